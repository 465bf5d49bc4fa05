"""Every mistake in the settings is one clear line, whatever the mistake."""

# Each entry of the tables is what is written, and the line that comes back.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import SettingsError, load_settings
from models.errors import GradstreamError

HEAD = '[models.delay]\nsamples = "flights"\ntask = "binary"\n'
FEATURES = HEAD + "[models.delay.features]\n"


def message(path: Path, text: str, env: dict[str, str] | None = None, **flags: object) -> str:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, flags, env or {})
    assert isinstance(caught.value, GradstreamError)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value).replace(str(path), "FILE")


# After HEAD: what is written → the line that comes back, after "FILE: models.delay.".
IN_A_MODEL = {
    'taks = "x"': "taks: unknown key; did you mean 'task'?",
    "zzz = 1": "zzz: unknown key; allowed: samples, labels, label_horizon, label_patience, on_missing, waiting_limit, "
    "start, predictions, dead_letters, learning_log, task, classes, learner, loss, optimizer, update, features, save_every, "
    "learning_log_retention, halt_after, audit_every, on_hole, batch_size, window_size, stride, steps, tolerance",
    "batch_sise = 3": "batch_sise: unknown key; did you mean 'batch_size'?",
    'name = "x"': "name: unknown key; the model's name stands in the table's head, [models.NAME]",
    'learner = "liner"': "learner: expected 'linear', 'factorization-machine', 'mlp' or 'counting', found 'liner'; "
    "did you mean 'linear'?",
    'learner = "field-aware-factorization-machine"': "learner: 'field-aware-factorization-machine' is not supported "
    "yet; expected 'linear', 'factorization-machine', 'mlp' or 'counting'",
    'learner = { name = "mlp", hidden = [8, 0] }': "learner.hidden[1]: expected an integer between 1 and 65536, "
    "found 0",
    'learner = { name = "mlp", hidden = [] }': "learner.hidden: expected 1 to 32 hidden layers, found 0",
    'learner = { name = "mlp", hidden = 8 }': "learner.hidden: expected a list of numbers of units, one a hidden "
    "layer, found 8",
    'learner = { name = "mlp", activation = "rely" }': "learner.activation: expected 'relu', 'tanh' or 'gelu', found "
    "'rely'; did you mean 'relu'?",
    'learner = { name = "linear", factors = 4 }': "learner.factors: used by learner 'factorization-machine' only; "
    "the learner here is 'linear'",
    'learner = { name = "fm", factor_rate = 0 }': "learner.factor_rate: expected a finite number above 0 and at most "
    "1000000, found 0",
    'learner = { name = "fm", factor_rate = 0.5 }\noptimizer = "adam"': "learner.factor_rate: goes with optimizer 'sgd', "
    "'adagrad' or 'rmsprop', found 'adam'",
    'learner = { name = "mlp", factor_rate = 0.5 }': "learner.factor_rate: used by learner 'factorization-machine' "
    "only; the learner here is 'mlp'",
    'loss = "squarred"': "loss: expected 'squared', 'absolute', 'huber', 'quantile', 'poisson', 'log', 'hinge', "
    "'squared-hinge' or 'cross-entropy', found 'squarred'; did you mean 'squared'?",
    'loss = "squared"': "loss: 'squared' does not serve task 'binary'; expected 'log', 'hinge' or 'squared-hinge'",
    'loss = { name = "hinge", delta = 2 }': "loss.delta: used by loss 'huber' only; the loss here is 'hinge'",
    'learner = "mlp"\noptimizer = "normalized-adaptive"': "optimizer: 'normalized-adaptive' serves learner 'linear' "
    "only; the learner here is 'mlp'",
    'optimizer = { name = "adamw", learning_rate = 10, weight_decay = 1 }': "optimizer.weight_decay: with "
    "learning_rate 10 expected less than 0.1",
    "optimizer = { clip_norm = 1 }": "optimizer.clip_norm: optimizer 'normalized-adaptive' bounds its steps by "
    "itself; leave it out",
    "optimizer = { learning_rate = 1e9 }": "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found 1000000000.0",
    "optimizer = { learning_rate = -1 }": "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found -1",
    "learner = 3": "learner: expected a table",
    'learner = "counting"': "learner: 'counting' is for task 'regression' only; the task here is 'binary'",
    "halt_after = -1": "halt_after: expected an integer between 0 and 1000000, found -1",
    "audit_every = 0": "audit_every: expected an integer between 1 and 1000000, found 0",
    'optimizer = "agadrad"': "optimizer: expected 'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', "
    "'adamw', 'ftrl-proximal' or 'normalized-adaptive', found 'agadrad'; did you mean 'adagrad'?",
    "optimizer = { learning_rate = 0 }": "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found 0",
    "optimizer = { learning_rate = nan }": "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found nan",
    "optimizer = { learning_rate = true }": "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found true",
    "optimizer = { learning_rate = 1000001 }": "optimizer.learning_rate: expected a finite number above 0 and at "
    "most 1000000, found 1000001",
    'optimizer = { learning_rate = "0.1" }': "optimizer.learning_rate: expected a finite number above 0 and at most "
    "1000000, found '0.1'",
    "optimizer = { l1 = -1 }": "optimizer.l1: expected a finite number at least 0, found -1",
    "optimizer = { l2 = inf }": "optimizer.l2: expected a finite number at least 0, found inf",
    "optimizer = { beta = 1 }": "optimizer.beta: used by optimizer 'ftrl-proximal' only; the optimizer here is "
    "'normalized-adaptive'",
    'optimizer = { name = "ftrl", schedule = "constant" }': "optimizer.schedule: optimizer 'ftrl-proximal' has "
    "rates of its own; leave the schedule out",
    "optimizer = { learning_rte = 1 }": "optimizer.learning_rte: unknown key; did you mean 'learning_rate'?",
    'optimizer = { schedule = "inverse" }': "optimizer.schedule: expected 'constant', 'inverse-scaling', 'exponential', "
    "'step' or 'cosine', found 'inverse'; did you mean 'inverse-scaling'?",
    "optimizer = { schedule = { power = 0.3 } }": "optimizer.schedule.power: used by schedule 'inverse-scaling' "
    "only; the schedule here is 'constant'",
    'update = "windows"': "update: expected 'sample', 'batch' or 'window', found 'windows'; did you mean 'window'?",
    "batch_size = 3": "batch_size: used by update 'batch' only; the update here is 'sample'",
    'update = { name = "batch", stride = 3 }': "update.stride: used by update 'window' only; the update here is "
    "'batch'",
    'update = { name = "batch", batch_size = 3 }\nbatch_size = 3': "batch_size: stands in models.delay.update as "
    "well; keep one of the two",
    'update = "batch"\nbatch_size = 0': "batch_size: expected an integer between 1 and 1000000, found 0",
    'update = "batch"\nbatch_size = 2.5': "batch_size: expected an integer between 1 and 1000000, found 2.5",
    'update = "batch"\nbatch_size = true': "batch_size: expected an integer between 1 and 1000000, found true",
    'update = "batch"\nbatch_size = "32"': "batch_size: expected an integer between 1 and 1000000, found '32'",
    'update = "window"\ntolerance = -0.1': "tolerance: expected a finite number at least 0, found -0.1",
    "classes = [0, 1, 2]": "classes: task 'binary' has exactly two classes, found 3",
    'classes = ["a", 1]': "classes: expected classes that are all texts, all integers or all booleans, "
    "found ['a', 1]",
    "classes = [0.0, 1.0]": "classes: expected classes that are all texts, all integers or all booleans, "
    "found [0.0, 1.0]",
    'classes = ["a", "a"]': "classes: 'a' is given twice",
    'classes = ["a", ""]': "classes[1]: expected a class, found ''",
    'classes = "ab"': "classes: expected a list of classes, found 'ab'",
    'start = "latests"': "start: expected 'earliest', 'latest', a time from 1970 on with a zone, as in "
    "'2026-11-24T00:00:00Z', or milliseconds since 1970, found 'latests'; did you mean 'latest'?",
    "save_every = 1": "save_every: expected a duration, a number and a unit in quotes: '500ms', '1s', '5m', '6h' "
    "or '30d', found 1",
    'save_every = "1 week"': "save_every: expected a duration, a number and a unit in quotes: '500ms', '1s', '5m', "
    "'6h' or '30d', found '1 week'",
    'save_every = "0s"': "save_every: expected a duration between '10ms' and '1d', found '0s'",
    'on_hole = "ignore"': "on_hole: expected 'stop' or 'skip', found 'ignore'",
    'predictions = "flights"': "predictions: 'flights' is the topic of samples already; expected another",
    'learning_log = "delay_predictions"': "learning_log: 'delay_predictions' is the topic of predictions already; "
    "expected another",
    'dead_letters = "a b"': "dead_letters: expected a topic name: at most 249 of letters, digits, '.', '_' and '-', "
    "found 'a b'",
    'dead_letters = ".."': "dead_letters: expected a topic name: at most 249 of letters, digits, '.', '_' and '-', "
    "found '..'",
    "features = []": "features: expected a table",
}

IN_FEATURES = {
    "": ": no feature is declared; list some under numeric, categorical, bins, time, text or encode, set others = "
    "'include', or leave the table out to take every feature",
    "hash_bits = 20": ": no feature is declared; list some under numeric, categorical, bins, time, text or encode, set "
    "others = 'include', or leave the table out to take every feature",
    'numerics = ["a"]': ".numerics: unknown key; did you mean 'numeric'?",
    'numeric = "a"': ".numeric: expected a list of feature names or tables { name = …, size = … }, found 'a'",
    'numeric = ["a", 3]': ".numeric[1]: expected a feature name, found 3",
    'numeric = ["a", ""]': ".numeric[1]: expected a feature name, found ''",
    "numeric = [{ size = 3 }]": ".numeric[0].name: missing; expected the feature's name",
    'numeric = [{ name = "v", size = 0 }]': ".numeric[0].size: expected an integer between 1 and 32767, found 0",
    'numeric = [{ name = "v", sise = 3 }]': ".numeric[0].sise: unknown key; did you mean 'size'?",
    'numeric = [{ name = "v", scaling = "minmax" }]': ".numeric[0].scaling: expected 'standard', 'min-max' or "
    "'none', found 'minmax'; did you mean 'min-max'?",
    'numeric = [{ name = "v", size = 32767 }, "a"]': ".numeric: 32768 columns with all lists; at most 32767 are "
    "allowed",
    'numeric = ["a", "b", "a"]': ".numeric[2]: 'a' is declared twice",
    'numeric = ["a"]\ncategorical = ["a"]': ".categorical[0]: 'a' is declared twice; give one another name, and of "
    "= 'a'",
    'numeric = ["intercept"]': ".numeric: two weights would be called 'intercept'; rename the feature",
    'numeric = ["v[0]", { name = "v", size = 1 }]': ".numeric: two weights would be called 'v[0]'; rename the "
    "feature",
    'numeric = ["a", "b", "a*b"]\ninteractions = [["a", "b"]]': ".numeric: two weights would be called 'a*b'; rename "
    "the feature",
    'categorical = ["carrier"]\ninteractions = [["carrier", "carier"]]': ".interactions[0][1]: 'carier' is not "
    "declared under numeric, categorical, bins or encode; did you mean 'carrier'?",
    'categorical = ["c"]\ninteractions = [["c"]]': ".interactions[0]: expected at least two different names, found "
    "['c']",
    'categorical = ["c"]\ninteractions = [["c", "c"]]': ".interactions[0]: expected at least two different names, "
    "found ['c', 'c']",
    'categorical = ["c", "d"]\ninteractions = [["c", "d"], ["d", "c"]]': ".interactions[1]: ['d', 'c'] is declared "
    "twice",
    'categorical = ["c"]\ninteractions = ["c"]': ".interactions[0]: expected a list of feature names, found 'c'",
    'numeric = ["a", "b"]\ncategorical = ["c"]\ninteractions = [["a", "b", "c"]]': ".interactions[0]: expected "
    "categorical names with at most one numeric, or two numeric names, found 2 numeric of 3",
    'numeric = [{ name = "v", size = 2 }]\ncategorical = ["c"]\ninteractions = [["c", "v"]]': ".interactions[0][1]: "
    "'v' is a list; an interaction takes single values",
    'others = "include"\nhash_bits = 29': ".hash_bits: expected an integer between 8 and 28, found 29",
    'others = "included"': ".others: expected 'ignore' or 'include', found 'included'; did you mean 'include'?",
}

WHOLE_FILES = {
    "": "FILE: models: missing; expected a table [models.NAME] with samples and task",
    "[model.delay]": "FILE: model: unknown key; did you mean 'models'?",
    "[models]": "FILE: models: none is declared; add a table [models.NAME] with samples and task",
    "models = 3": "FILE: models: expected tables [models.NAME]",
    "models.delay = 3": "FILE: models.delay: expected a table, found 3",
    '[models.delay]\ntask = "binary"': "FILE: models.delay.samples: missing; expected the topic with the samples",
    '[models.delay]\nsamples = "s"': "FILE: models.delay.task: missing; expected 'regression', 'binary' or "
    "'multiclass'",
    '[models.delay]\nsamples = "s"\ntaks = "binary"': "FILE: models.delay.taks: unknown key; did you mean 'task'?",
    '[models.delay]\nsamples = "s"\ntask = "classification"': "FILE: models.delay.task: expected 'regression', "
    "'binary' or 'multiclass', found 'classification'",
    '[models.delay]\nsamples = "s"\ntask = "Binary"': "FILE: models.delay.task: expected 'regression', 'binary' or "
    "'multiclass', found 'Binary'; did you mean 'binary'?",
    '[models.delay]\nsamples = "s"\ntask = "multiclass"': "FILE: models.delay.classes: missing; task 'multiclass' "
    "needs at least two classes",
    '[models.delay]\nsamples = "s"\ntask = "multiclass"\nclasses = [1]': "FILE: models.delay.classes: task "
    "'multiclass' needs at least two classes",
    '[models.delay]\nsamples = "s"\ntask = "regression"\nclasses = [1, 2]': "FILE: models.delay.classes: used by "
    "tasks 'binary' and 'multiclass' only; the task here is 'regression'",
    '[models."a b"]': "FILE: models.\"a b\": not a model name; expected at most 63 of letters, digits, '.', '_' "
    "and '-', beginning with a letter or a digit",
    HEAD + "zzz = 1\nyyy = 2\nstart = -3": "(and 2 more)",
    HEAD + '[models.b]\nsamples = "s"\ntask = "binary"\npredictions = "delay.predictions"': "FILE: "
    "models.b.predictions: 'delay.predictions' is written by model 'delay' already, as its predictions; expected "
    "another topic",
    '[models."a.b"]\nsamples = "s"\ntask = "binary"\n[models.a_b]\nsamples = "s"\ntask = "binary"': "FILE: "
    "models.a_b.predictions: 'a_b.predictions' is written by model 'a.b' already, as its predictions; expected "
    "another topic",
    'session_timeout = "1h"\n'
    + HEAD: "FILE: session_timeout: expected a duration between '1s' and '30m', found '1h'",
    'group_id = ""\n' + HEAD: "FILE: group_id: expected a group name, found ''",
    'group_instance_id = "a/b"\n'
    + HEAD: "FILE: group_instance_id: expected a group instance name: at most 249 of "
    "letters, digits, '.', '_' and '-', found 'a/b'",
    "x = [1,\n  2": "FILE: not valid TOML: Unclosed array (at end of document)",
    "[models.delay]\nsamples flights": "FILE: not valid TOML: Expected '=' after a key in a key/value pair (at line "
    "2, column 9)",
    HEAD + f"zzz = {'9' * 5000}": "FILE: not valid TOML: a number too long or tables too deep",
}


@pytest.mark.parametrize(("lines", "expected"), IN_A_MODEL.items(), ids=IN_A_MODEL)
def test_a_mistake_in_a_model_names_its_key(tmp_path: Path, lines: str, expected: str) -> None:
    assert message(tmp_path / "x.toml", f"{HEAD}{lines}\n") == f"FILE: models.delay.{expected}"


@pytest.mark.parametrize(("lines", "expected"), IN_FEATURES.items(), ids=IN_FEATURES)
def test_a_mistake_in_the_features_names_its_entry(tmp_path: Path, lines: str, expected: str) -> None:
    assert message(tmp_path / "x.toml", f"{FEATURES}{lines}\n") == f"FILE: models.delay.features{expected}"


@pytest.mark.parametrize(("text", "expected"), WHOLE_FILES.items(), ids=lambda value: value[:40])
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, expected: str) -> None:
    found = message(tmp_path / "x.toml", text)
    assert found.endswith(expected) if expected.startswith("(") else found == expected


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"none\.toml: no such file; write one with a table \[models\.NAME\]"
    ):
        load_settings(tmp_path / "none.toml", env={})


def test_a_folder_or_a_binary_file_is_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, env={})
    (tmp_path / "b.toml").write_bytes(b"ab\xff")
    with pytest.raises(SettingsError, match=r"not UTF-8 text \(byte 2\)"):
        load_settings(tmp_path / "b.toml", env={})


VARIABLES = {
    ("GRADSTREAM_KAFAK__X", "1"): "GRADSTREAM_KAFAK__X: kafak: unknown key; did you mean 'kafka'?",
    (
        "GRADSTREAM_KAFKA__SERVERS",
        "h:1",
    ): "GRADSTREAM_KAFKA__SERVERS: kafka.servers: unknown key; did you mean 'bootstrap_servers'?",
    ("GRADSTREAM_GROUPID", "x"): "GRADSTREAM_GROUPID: unknown variable; did you mean 'GRADSTREAM_GROUP_ID'?",
    ("GRADSTREAM_REDIS_URL", "redis://h"): "GRADSTREAM_REDIS_URL: unknown variable; did you mean "
    "'GRADSTREAM_REDIS__URL'?",
    (
        "GRADSTREAM_MODELS__DELYA__START",
        "x",
    ): "GRADSTREAM_MODELS__DELYA__START: no model 'delya' is declared; did you mean 'delay'?",
    (
        "GRADSTREAM_MODELS__TIPS__START",
        "x",
    ): "GRADSTREAM_MODELS__TIPS__START: no model 'tips' is declared; declared: 'delay'",
    ("GRADSTREAM_MODELS__DELAY__UPDATE__STEPS", "many"): "GRADSTREAM_MODELS__DELAY__UPDATE__STEPS: "
    "models.delay.update.steps: expected an integer between 1 and 1000000, found 'many'",
    (
        "GRADSTREAM_MODELS__DELAY__STEPS",
        "3",
    ): "GRADSTREAM_MODELS__DELAY__STEPS: models.delay.steps: used by update "
    "'window' only; the update here is 'sample'",
    (
        "GRADSTREAM_MODELS__DELAY__OPTIMIZER",
        "sdg",
    ): "GRADSTREAM_MODELS__DELAY__OPTIMIZER: models.delay.optimizer: "
    "expected 'sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'adamw', 'ftrl-proximal' or "
    "'normalized-adaptive', found 'sdg'; did you mean 'sgd'?",
    ("GRADSTREAM_MODELS__DELAY__FEATURES__NUMERIC", "a,b"): "GRADSTREAM_MODELS__DELAY__FEATURES__NUMERIC: "
    "models.delay.features.numeric: expected a list of feature names or tables { name = …, size = … } "
    '(in a variable as JSON: ["a", "b"]), found \'a,b\'',
}


@pytest.mark.parametrize(("variable", "expected"), VARIABLES.items(), ids=lambda value: value[0])
def test_a_mistake_in_a_variable_names_the_variable(
    tmp_path: Path, variable: tuple[str, str], expected: str
) -> None:
    assert message(tmp_path / "x.toml", HEAD, dict([variable])) == expected


def test_a_variable_that_fits_two_models_is_a_mistake(tmp_path: Path) -> None:
    text = "".join(f'[models."{name}"]\nsamples = "s"\ntask = "binary"\n' for name in ("a.b", "a_B"))
    found = message(tmp_path / "x.toml", text, {"GRADSTREAM_MODELS__A-B__START": "latest"})
    assert found == "GRADSTREAM_MODELS__A-B__START: may mean model 'a.b' or 'a_B'; set it in the file instead"


def test_a_mistake_in_a_flag_says_so(tmp_path: Path) -> None:
    found = message(tmp_path / "x.toml", HEAD, **{"models.delay.start": "never"})
    assert found.startswith("flags: models.delay.start: expected 'earliest', 'latest', a time from 1970 on")
    assert found.endswith("found 'never'")
