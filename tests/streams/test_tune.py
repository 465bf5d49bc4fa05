"""gradstream tune: what it promises about its answer; no server is there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.settings import load_settings
from models.spec import ModelSpec
from tests.streams.recorded import FEATURES, answer, flights, json_lines, run, settings_file

SLOW = 'optimizer = { name = "sgd", learning_rate = 1e-5 }\n'
"""Settings that can be bettered."""


def recording(folder: Path, count: int = 3_000, task: str = "binary") -> str:
    return str(json_lines(folder / f"{task}.jsonl", flights(count, task)))


def tuned(
    capsys: pytest.CaptureFixture[str], config: Path, source: str, *arguments: str
) -> tuple[str, list[str]]:
    """The TOML, and the lines of standard error."""
    code, out, err = run(capsys, config, "tune", "delay", "--from", source, *arguments)
    assert code == 0, err
    return out, err.splitlines()


def spec_of(folder: Path, toml: str) -> ModelSpec:
    """What a settings file says that has nothing but this text in it."""
    path = folder / "tuned.toml"
    path.write_text(toml)
    return load_settings(path, env={}).models["delay"].spec()


@pytest.mark.parametrize(
    ("task", "learner"),
    [
        ("binary", "linear"),
        ("regression", "linear"),
        ("multiclass", "linear"),
        ("binary", "factorization-machine"),
        ("regression", "mlp"),
    ],
)
def test_the_printed_toml_is_a_settings_file_that_reaches_what_was_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, learner: str
) -> None:
    learning = SLOW if learner == "linear" else f'{SLOW}learner = "{learner}"\n'
    config, source = settings_file(tmp_path, learning, task), recording(tmp_path, task=task)
    toml, _ = tuned(capsys, config, source)
    best = answer(capsys, config, "tune", "delay", "--from", source)
    assert best["best"] == toml
    spec_of(tmp_path, toml)
    found = answer(capsys, tmp_path / "tuned.toml", "evaluate", "delay", "--from", source)
    assert found["metrics"] == best["ranked"][0]["metrics"]
    assert best["ranked"][0]["samples"] == found["samples_learned"]
    current = answer(capsys, config, "evaluate", "delay", "--from", source)
    assert found["metrics"][best["metric"]] < current["metrics"][best["metric"]]


def test_the_table_replaces_the_models_own_and_keeps_all_else_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learning = SLOW + 'save_every = "7s"\nhalt_after = 9\nstart = "latest"\npredictions = "p"\n'
    config, source = settings_file(tmp_path, learning), recording(tmp_path, 1_200)
    toml, _ = tuned(capsys, config, source, "--candidates", "8")
    before = tomllib.loads(config.read_text())["models"]["delay"]
    after = tomllib.loads(toml)["models"]["delay"]
    tuned_keys = {"learner", "optimizer", "update"}
    assert {k: v for k, v in after.items() if k not in tuned_keys} == {
        k: v for k, v in before.items() if k not in tuned_keys
    }
    assert after["optimizer"] != before["optimizer"]


def test_the_current_settings_are_raced_to_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, source = settings_file(tmp_path, SLOW), recording(tmp_path, 6_000)
    found = answer(capsys, config, "tune", "delay", "--from", source, "--candidates", "16")
    [current] = [one for one in found["ranked"] if one["current"]]
    assert current["settings"] == {}
    alone = answer(capsys, config, "evaluate", "delay", "--from", source)
    assert (current["samples"], current["metrics"]) == (alone["samples_learned"], alone["metrics"])
    assert current["rank"] > 1
    dropped = [one for one in found["ranked"] if one["samples"] < current["samples"]]
    assert len(dropped) == 16 - 3
    assert [one["rank"] for one in found["ranked"]] == list(range(1, 17))


def test_the_best_of_those_that_saw_all_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, source = settings_file(tmp_path, SLOW), recording(tmp_path, 900)
    for metric, sign in (("log_loss", 1), ("roc_auc", -1), ("accuracy", -1)):
        ranked = answer(capsys, config, "tune", "delay", "--from", source, "--metric", metric)["ranked"]
        assert {one["samples"] for one in ranked} == {810}  # so few that nobody is dropped before the end
        values = [sign * one[metric] for one in ranked if not one["broken"]]
        assert values == sorted(values)
        assert values[0] < values[-1]


def test_a_seed_gives_the_same_race_and_another_seed_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, source = settings_file(tmp_path), recording(tmp_path, 1_500)

    def ranked(*arguments: str) -> list[Any]:
        found = answer(capsys, config, "tune", "delay", "--from", source, *arguments)["ranked"]
        return [one | {"seconds": 0} for one in found]

    assert ranked() == ranked("--seed", "0")
    assert ranked() != ranked("--seed", "1")


def test_the_ranked_table_is_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml, err = tuned(capsys, settings_file(tmp_path), recording(tmp_path, 1_500), "--candidates", "9")
    assert toml.startswith("# log_loss 0.")
    assert err[0].split() == ["rank", "settings", "log_loss", "samples", "refused", "seconds"]
    ranks = [line.split()[0] for line in err[1:] if line.strip()]
    assert ranks == [str(rank) for rank in range(1, 10)]
    assert sum("current settings" in line for line in err) == 1


def test_flags_count_as_current_settings_and_stand_in_the_toml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, source = settings_file(tmp_path), recording(tmp_path, 1_200)
    flags = {
        "models.delay.optimizer": "ftrl",
        "models.delay.optimizer.beta": "2",
        "models.delay.save_every": "5s",
        "models.delay.samples": "123",
        "models.delay.halt_after": "7",
        "models.delay.features.hash_bits": "9",
        "models.delay.features.others": "include",
        "models.delay.features.numeric": '["distance"]',
    }
    given = [text for key, value in flags.items() for text in ("--set", f"{key}={value}")]
    toml, _ = tuned(capsys, config, source, "--candidates", "6", *given)
    model = load_settings(config, flags, env={}).models["delay"]
    table = tomllib.loads(toml)["models"]["delay"]
    assert (table["samples"], table["halt_after"], table["save_every"]) == ("123", 7, "5s")
    assert spec_of(tmp_path, toml).features == model.spec().features
    [current] = [
        one
        for one in answer(capsys, config, "tune", "delay", "--from", source, "--candidates", "6", *given)[
            "ranked"
        ]
        if one["current"]
    ]
    alone = answer(capsys, config, "evaluate", "delay", "--from", source, *given)
    assert current["metrics"] == alone["metrics"]


def test_the_models_own_window_is_raced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    window = 'update = "window"\nwindow_size = 50\nstride = 25\nsteps = 2\n'
    config, source = settings_file(tmp_path, window), recording(tmp_path, 700)
    ranked = answer(capsys, config, "tune", "delay", "--from", source)["ranked"]
    updates = [one["settings"].get("update", "window") for one in ranked]
    assert updates.count("window") > 5
    assert any(update != "window" for update in updates)


def test_settings_that_explode_come_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = '[models.delay.features]\nnumeric = ["distance"]\nscaling = "none"\n'
    learning = 'optimizer = { name = "sgd", learning_rate = 1e-7 }\nhalt_after = 5\n'
    config = settings_file(tmp_path, learning, "regression", features)
    ranked = answer(capsys, config, "tune", "delay", "--from", recording(tmp_path, 1_500, "regression"))[
        "ranked"
    ]
    broken = [one["broken"] for one in ranked]
    assert broken == sorted(broken)
    assert 0 < sum(broken) < len(broken)


def test_names_that_toml_has_to_quote_are_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = 'a "b" \\ ü'
    features = f"[models.\"de.lay\".features]\ncategorical = ['{name}']\n"
    config = settings_file(tmp_path, features="")
    text = config.read_text().replace("[models.delay]", '[models."de.lay"]') + features
    config.write_text(text)
    recorded = [{"features": {name: f"v{i % 3}"}, "label": int(i % 3 == 0)} for i in range(300)]
    path = json_lines(tmp_path / "f.jsonl", recorded)
    code, toml, _ = run(capsys, config, "tune", "de.lay", "--from", str(path), "--candidates", "4")
    assert code == 0
    (tmp_path / "tuned.toml").write_text(toml)
    model = load_settings(tmp_path / "tuned.toml", env={}).models["de.lay"]
    assert model.spec().features.categorical == (name,)


# mistakes and limits: one line each


def mistake(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str, code: int = 1) -> str:
    found, out, err = run(capsys, config, "tune", *arguments)
    assert (found, out) == (code, "")
    assert err.count("\n") == 1
    return err


def test_a_metric_that_the_model_does_not_have_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = recording(tmp_path, 10)
    err = mistake(capsys, settings_file(tmp_path), "delay", "--from", source, "--metric", "log_los", code=2)
    assert "this model has log_loss, accuracy, roc_auc; did you mean 'log_loss'?" in err


def test_a_recording_without_labels_is_told_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = [{"features": one["features"]} for one in flights(20)]
    recorded[3]["features"]["distance"] = "far"
    path = str(json_lines(tmp_path / "f.jsonl", recorded))
    err = mistake(capsys, settings_file(tmp_path), "delay", "--from", path)
    assert "none of its 20 records is a sample with a label; line 4: features.distance" in err


def test_a_learner_without_settings_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings_file(tmp_path, 'learner = "counting"\n', "regression")
    err = mistake(capsys, config, "delay", "--from", recording(tmp_path, 10, "regression"))
    assert "nothing is known that could be tuned for learner 'counting'" in err


def test_a_recording_on_which_the_metric_is_undefined_has_no_winner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = [one | {"label": 1} for one in flights(50)]
    path = str(json_lines(tmp_path / "f.jsonl", recorded))
    err = mistake(capsys, settings_file(tmp_path), "delay", "--from", path, "--metric", "roc_auc")
    assert "all have no roc_auc on it" in err


def test_a_recording_larger_than_memory_is_raced_as_far_as_it_fits_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.tuning.held.MOST_BYTES", 400_000)
    config, source = settings_file(tmp_path), recording(tmp_path, 9_000)
    _, err = tuned(capsys, config, source, "--candidates", "4")
    assert "note: the first 3,600 labelled samples of" in err[0]
    assert err[0].endswith("MiB in memory; the rest was left out")


def test_dead_letters_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = flights(200)
    recorded[7]["features"]["distance"] = "far"
    path = str(json_lines(tmp_path / "f.jsonl", recorded))
    _, err = tuned(capsys, settings_file(tmp_path, features=FEATURES), path, "--candidates", "4")
    assert err[0].startswith("note: 1 of 200 records would be dead letters")
