"""Settings are read from a file, variables and flags, and become the specification of each model."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import Settings, SettingsError, load_connections, load_settings
from models.spec import (
    FeatureSpec,
    LearnerSpec,
    LossSpec,
    ModelSpec,
    NumericFeature,
    OptimizerSpec,
    ScheduleSpec,
    UpdateSpec,
)

DELAY = '[models.delay]\nsamples = "flights"\ntask = "binary"\n'
EVERY_FEATURE = FeatureSpec(hash_bits=18, others="include")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gradstream.toml"


def read(file: Path, text: str, env: dict[str, str] | None = None, **flags: object) -> Settings:
    file.write_text(text)
    return load_settings(file, flags, env or {})


def spec(file: Path, text: str, name: str = "delay") -> ModelSpec:
    return read(file, text).models[name].spec()


def test_the_smallest_file_gives_every_default(file: Path) -> None:
    settings = read(file, DELAY)
    model = settings.models["delay"]
    assert (model.predictions, model.dead_letters, model.learning_log) == (
        "delay.predictions",
        "delay.dead-letters",
        "delay.learning-log",
    )
    assert (model.name, model.samples, model.start, model.on_hole) == ("delay", "flights", "earliest", "stop")
    assert (model.save_every, model.learning_log_retention) == (1.0, 30 * 86400.0)
    assert settings.kafka.servers == ["localhost:9092"]
    assert settings.redis.url.get_secret_value() == "redis://localhost:6379/0"
    assert (settings.group_id, settings.group_instance_id, settings.session_timeout) == (
        "gradstream",
        None,
        10.0,
    )
    adaptive = OptimizerSpec("normalized-adaptive", 1.5)
    assert model.spec() == ModelSpec("binary", EVERY_FEATURE, (0, 1), optimizer=adaptive)


def test_the_example_of_the_documentation_can_be_read(file: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    assert spec(file, example) == ModelSpec(
        task="binary",
        classes=(0, 1),
        features=FeatureSpec(
            numeric=(NumericFeature("distance"), NumericFeature("hour")),
            categorical=("carrier", "origin", "dest"),
            interactions=(("origin", "dest"),),
            hash_bits=18,
        ),
        optimizer=OptimizerSpec("adagrad", learning_rate=0.1, l2=1e-6),
        update=UpdateSpec("sample"),
    )


FEATURES = {
    "numeric names alone make a dense model": (
        'numeric = ["a", "b"]\ninteractions = [["b", "a"]]',
        FeatureSpec((NumericFeature("a"), NumericFeature("b")), interactions=(("b", "a"),)),
    ),
    "hash_bits alone makes numeric names a hashed model": (
        'numeric = ["a"]\nhash_bits = 8',
        FeatureSpec((NumericFeature("a"),), hash_bits=8),
    ),
    "a categorical name makes a hashed model": (
        'categorical = ["c"]',
        FeatureSpec(categorical=("c",), hash_bits=18),
    ),
    "including the others makes a hashed model": (
        'numeric = ["a"]\nothers = "include"\nhash_bits = 28',
        FeatureSpec((NumericFeature("a"),), hash_bits=28, others="include"),
    ),
    "others alone are every feature": ('others = "include"', EVERY_FEATURE),
    "lists have a size, scaling is by feature": (
        'numeric = ["a", { name = "v", size = 3, scaling = "standard" }]\nscaling = "none"',
        FeatureSpec((NumericFeature("a", scaling="none"), NumericFeature("v", 3, "standard"))),
    ),
    "many categorical names cross with one numeric": (
        'numeric = ["a"]\ncategorical = ["c", "d"]\ninteractions = [["c", "a", "d"]]',
        FeatureSpec((NumericFeature("a"),), ("c", "d"), (("c", "a", "d"),), hash_bits=18),
    ),
}


@pytest.mark.parametrize(("table", "features"), FEATURES.values(), ids=FEATURES)
def test_a_features_table_becomes_the_features_of_the_spec(
    file: Path, table: str, features: FeatureSpec
) -> None:
    assert spec(file, f"{DELAY}[models.delay.features]\n{table}\n").features == features


OPTIMIZERS = {
    '"sgd"': OptimizerSpec("sgd", 0.01),
    '"adagrad"': OptimizerSpec("adagrad", 0.1),
    '"ftrl"': OptimizerSpec("ftrl-proximal", 0.1),
    '{ name = "ftrl-proximal", beta = 0, l1 = 1, l2 = 0.5 }': OptimizerSpec(
        "ftrl-proximal", 0.1, l1=1.0, l2=0.5, beta=0.0
    ),
    "{ learning_rate = 1 }": OptimizerSpec("normalized-adaptive", 1.0),
    '"nag"': OptimizerSpec("normalized-adaptive", 1.5),
    '{ name = "nag", norm = "max" }': OptimizerSpec("normalized-adaptive", 0.5, norm="max"),
    '"adam"': OptimizerSpec("adam", 0.001),
    '{ name = "adamw", learning_rate = 0.01, weight_decay = 0.1, clip_norm = 1 }': OptimizerSpec(
        "adamw", 0.01, weight_decay=0.1, clip_norm=1.0
    ),
    '{ name = "sgd", schedule = { name = "cosine", horizon = 1000, warmup = 10 } }': OptimizerSpec(
        "sgd", 0.01, ScheduleSpec("cosine", horizon=1000, warmup=10)
    ),
    '{ name = "sgd", schedule = "constant" }': OptimizerSpec("sgd", 0.01),
    '{ name = "sgd", schedule = "inverse-scaling" }': OptimizerSpec(
        "sgd", 0.01, ScheduleSpec("inverse-scaling", 0.5)
    ),
    '{ schedule = { name = "inverse-scaling", power = 0.25 } }': OptimizerSpec(
        "normalized-adaptive", 1.5, ScheduleSpec("inverse-scaling", 0.25)
    ),
}


@pytest.mark.parametrize(("value", "optimizer"), OPTIMIZERS.items(), ids=OPTIMIZERS)
def test_an_optimizer_is_a_name_or_a_table(file: Path, value: str, optimizer: OptimizerSpec) -> None:
    assert spec(file, f"{DELAY}optimizer = {value}\n").optimizer == optimizer


LOSSES = {
    '"log"': LossSpec("log"),
    '"hinge"': LossSpec("hinge"),
    '{ name = "squared-hinge" }': LossSpec("squared-hinge"),
}


@pytest.mark.parametrize(("value", "loss"), LOSSES.items(), ids=LOSSES)
def test_a_loss_is_a_name_or_a_table(file: Path, value: str, loss: LossSpec) -> None:
    assert spec(file, f"{DELAY}loss = {value}\n").loss == loss


LEARNERS = {
    '"fm"': (LearnerSpec("factorization-machine"), "adagrad"),
    '{ name = "factorization-machine", factors = 3 }': (
        LearnerSpec("factorization-machine", factors=3),
        "adagrad",
    ),
    '{ name = "mlp", hidden = [8, 4], activation = "gelu", embedding = 5, seed = 7 }': (
        LearnerSpec("mlp", hidden=(8, 4), activation="gelu", embedding=5, seed=7),
        "adam",
    ),
}


@pytest.mark.parametrize(("value", "expected"), LEARNERS.items(), ids=LEARNERS)
def test_each_learner_has_a_default_optimizer(
    file: Path, value: str, expected: tuple[LearnerSpec, str]
) -> None:
    found = spec(file, f"{DELAY}learner = {value}\n")
    assert (found.learner, found.optimizer.name) == expected
    assert spec(file, f"{DELAY}learner = {value}\noptimizer = {{ l2 = 1 }}\n").optimizer.name == expected[1]


RATES = {
    "": 3.0,
    'loss = "quantile"\n': 3.0,
    'loss = "poisson"\n': 1.5,
    "optimizer = { l2 = 1 }\n": 3.0,
    'optimizer = { norm = "max" }\n': 0.5,
    'optimizer = { name = "nag", learning_rate = 7 }\n': 7.0,
}


@pytest.mark.parametrize(("lines", "rate"), RATES.items(), ids=RATES)
def test_the_default_rate_is_in_the_units_of_the_loss(file: Path, lines: str, rate: float) -> None:
    regression = DELAY.replace('"binary"', '"regression"')
    assert spec(file, f"{regression}{lines}").optimizer.learning_rate == rate
    if "loss" not in lines:
        assert spec(file, f"{DELAY}{lines}").optimizer.learning_rate == {3.0: 1.5}.get(rate, rate)


UPDATES = {
    'update = "batch"': UpdateSpec("batch"),
    'update = "batch"\nbatch_size = 7': UpdateSpec("batch", batch_size=7),
    'update = { name = "batch", batch_size = 7 }': UpdateSpec("batch", batch_size=7),
    'stride = 1\nsteps = 2\nupdate = { name = "window", window_size = 5 }\ntolerance = 0.5': UpdateSpec(
        "window", window_size=5, stride=1, steps=2, tolerance=0.5
    ),
}


@pytest.mark.parametrize(("lines", "update"), UPDATES.items(), ids=UPDATES)
def test_the_keys_of_an_update_stand_in_either_table(file: Path, lines: str, update: UpdateSpec) -> None:
    assert spec(file, f"{DELAY}{lines}\n").update == update


@pytest.mark.parametrize(
    ("task", "classes", "expected"),
    [
        ("regression", None, ()),
        ("binary", None, (0, 1)),
        ("binary", '["no", "yes"]', ("no", "yes")),
        ("binary", "[false, true]", (False, True)),
        ("multiclass", "[3, 1, 2]", (3, 1, 2)),
        ("multiclass", '["a", "b"]', ("a", "b")),
    ],
)
def test_classes_keep_their_order_and_type(
    file: Path, task: str, classes: str | None, expected: tuple[object, ...]
) -> None:
    line = f"classes = {classes}\n" if classes else ""
    got = spec(file, f'[models.delay]\nsamples = "f"\ntask = "{task}"\n{line}').classes
    assert got == expected
    assert [type(one) for one in got] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("1s", 1.0), ("1.5s", 1.5), ("5m", 300.0), ("6h", 21600.0), ("1d", 86400.0)],
)
def test_durations_have_a_unit_and_become_seconds(file: Path, text: str, seconds: float) -> None:
    assert read(file, f'{DELAY}save_every = "{text}"\n').models["delay"].save_every == seconds


def test_a_spec_survives_its_json(file: Path) -> None:
    whole = spec(file, f'{DELAY}classes = ["a", "b"]\noptimizer = "ftrl"\n')
    assert ModelSpec.from_json(whole.to_json()) == whole


def test_one_file_holds_several_models(file: Path) -> None:
    text = DELAY + '[models."tip.v2"]\nsamples = "taxi"\ntask = "regression"\npredictions = "tips"\n'
    models = read(file, text).models
    assert list(models) == ["delay", "tip.v2"]
    assert (models["tip.v2"].predictions, models["tip.v2"].learning_log) == ("tips", "tip.v2.learning-log")


def test_flags_are_stronger_than_variables_and_variables_than_the_file(file: Path) -> None:
    text = 'group_id = "file"\nsession_timeout = "7s"\n[kafka]\nbootstrap_servers = "file:1"\n' + DELAY
    env = {"GRADSTREAM_GROUP_ID": "env", "GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS": "env:1"}
    file.write_text(text)
    settings = load_settings(file, {"group_id": "flag", "kafka.bootstrap_servers": None}, env)
    assert (settings.group_id, settings.kafka.servers, settings.session_timeout) == ("flag", ["env:1"], 7.0)


def test_a_variable_changes_one_key_of_a_table_and_leaves_the_others(file: Path) -> None:
    text = f'{DELAY}optimizer = "sgd"\nupdate = {{ name = "batch", batch_size = 3 }}\n'
    env = {
        "GRADSTREAM_MODELS__DELAY__OPTIMIZER__LEARNING_RATE": "0.5",
        "GRADSTREAM_MODELS__DELAY__BATCH_SIZE": "9",
    }
    resolved = read(file, text, env).models["delay"].spec()
    assert resolved.optimizer == OptimizerSpec("sgd", 0.5)
    assert resolved.update == UpdateSpec("batch", batch_size=9)


def test_variables_find_models_whose_names_no_shell_can_write(file: Path) -> None:
    text = "".join(f'[models."{name}"]\nsamples = "s"\ntask = "binary"\n' for name in ("a", "a.B-c", "x__y"))
    env = {"GRADSTREAM_MODELS__A_B_C__SAMPLES": "t", "GRADSTREAM_MODELS__X__Y__SAMPLES": "u"}
    models = read(file, text, env).models
    assert {name: model.samples for name, model in models.items()} == {"a": "s", "a.B-c": "t", "x__y": "u"}


def test_lists_and_tables_in_variables_are_json(file: Path) -> None:
    env = {
        "GRADSTREAM_MODELS__DELAY__FEATURES__CATEGORICAL": '["carrier"]',
        "GRADSTREAM_MODELS__DELAY__OPTIMIZER": '{"name": "sgd"}',
        "GRADSTREAM_MODELS__DELAY__OPTIMIZER__L2": "1e-3",
        "GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS": "[::1]:9092, b",
    }
    settings = read(file, DELAY, env)
    resolved = settings.models["delay"].spec()
    assert resolved.features == FeatureSpec(categorical=("carrier",), hash_bits=18)
    assert resolved.optimizer == OptimizerSpec("sgd", 0.01, l2=1e-3)
    assert settings.kafka.servers == ["[::1]:9092", "b:9092"]


def test_variables_of_others_and_empty_ones_are_left_alone(file: Path) -> None:
    env = {
        "GRADSTREAM_PORT": "tcp://10.0.0.1:80",
        "GRADSTREAM_SERVICE_HOST": "10.0.0.1",
        "GRADSTREAM_REDIS__URL": "",
    }
    assert read(file, DELAY, env) == read(file, DELAY)


def test_flags_find_models_whose_names_have_dots(file: Path) -> None:
    text = '[models.a]\nsamples = "s"\ntask = "binary"\n[models."a.b"]\nsamples = "s"\ntask = "binary"\n'
    file.write_text(text)
    models = load_settings(file, {"models.a.b.samples": "t", "models.a.save_every": "2s"}, {}).models
    assert (models["a"].samples, models["a"].save_every, models["a.b"].samples) == ("s", 2.0, "t")


def test_flags_are_left_as_they_were_given(file: Path) -> None:
    file.write_text(DELAY)
    flags = {"models.delay.optimizer": {"name": "sgd", "schedule": "inverse-scaling"}}
    load_settings(file, flags, {})
    assert flags == {"models.delay.optimizer": {"name": "sgd", "schedule": "inverse-scaling"}}


def test_the_process_environment_counts_when_no_other_is_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADSTREAM_GROUP_ID", "from-the-process")
    file.write_text(DELAY)
    assert load_settings(file).group_id == "from-the-process"
    assert load_settings(file, env={}).group_id == "gradstream"


def test_connections_need_no_file_and_no_model(file: Path) -> None:
    env = {"GRADSTREAM_REDIS__URL": "redis://r:1/2", "GRADSTREAM_MODELS__DELAY__TASK": "nonsense"}
    assert load_connections(None, env={}).kafka.servers == ["localhost:9092"]
    assert load_connections(file, {"models.delay.task": "nonsense"}, env).redis.address == "redis://r:1/2"


def test_connections_ignore_models_and_still_find_mistakes_in_the_rest(file: Path) -> None:
    file.write_text('[kafka]\nbootstrap_servers = "k:1"\n[models]\ndelay = 3\n')
    assert load_connections(file, env={}).kafka.servers == ["k:1"]
    file.write_text('[kafak]\nbootstrap_servers = "k:1"\n')
    with pytest.raises(SettingsError, match="kafak: unknown key; did you mean 'kafka'"):
        load_connections(file, env={})


def test_settings_cannot_be_changed_once_read(file: Path) -> None:
    settings = read(file, DELAY)
    with pytest.raises(ValueError, match="frozen"):
        settings.group_id = "other"
    with pytest.raises(ValueError, match="frozen"):
        settings.models["delay"].samples = "other"
