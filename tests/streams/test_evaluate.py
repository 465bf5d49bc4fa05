"""gradstream evaluate: what it promises about metrics, counts, plots and mistakes; no server is there."""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.model import Model
from streams.ingest import Ingest
from tests.streams.kafka_records import kafka_records
from tests.streams.recorded import FEATURES, answer, flights, json_lines, run, settings_file, spec_of

SERVERS = ("kafka", "aiokafka", "redis", "faust")
PROGRAM = f"""
import sys
from streams.cli import cli, run
code = run(cli, sys.argv[1:])
print([name for name in {SERVERS} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
UPDATES = {
    "sample": "",
    "batch": 'update = "batch"\nbatch_size = 7\n',
    "window": 'update = "window"\nwindow_size = 100\nstride = 40\nsteps = 2\n',
}


def without_time(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "seconds"}


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("update", list(UPDATES))
def test_metrics_and_state_are_those_of_the_model_that_learns_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, update: str
) -> None:
    config = settings_file(tmp_path, UPDATES[update], task)
    recorded = flights(9_000, task)
    spec = spec_of(config)
    model = Model(spec)
    records = kafka_records(map(msgspec.json.encode, recorded))
    undo = model.predict_and_learn(Ingest("delay", spec).decode("flights", 0, records).rows).undo
    assert undo is not None
    model.forget(undo)
    found = answer(
        capsys, config, "evaluate", "delay", "--from", str(json_lines(tmp_path / "f.jsonl", recorded))
    )
    assert found["metrics"] == model.metrics()
    assert found["digest"] == model.digest()
    assert (found["samples"], found["labelled"], found["samples_learned"]) == (9_000, 8_100, 8_100)


def test_csv_and_json_lines_are_read_as_produce_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, recorded = settings_file(tmp_path), flights(600)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["carrier", "distance", "hour", "late"])
    writer.writeheader()
    writer.writerows(one["features"] | {"late": one["label"]} for one in recorded)
    table = tmp_path / "f.csv"
    table.write_text(text.getvalue())
    flat = json_lines(tmp_path / "flat.jsonl", [one["features"] | {"late": one["label"]} for one in recorded])
    whole = answer(
        capsys, config, "evaluate", "delay", "--from", str(json_lines(tmp_path / "f.jsonl", recorded))
    )
    for path in (table, flat):
        found = answer(capsys, config, "evaluate", "delay", "--from", str(path), "--label", "late")
        assert (found["metrics"], found["digest"]) == (whole["metrics"], whole["digest"])


def program(config: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; its last line of errors says which clients it imported."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", str(config), *arguments],
        input=given, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_file_needs_no_server_and_no_client_of_one(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "f.jsonl", flights(50))
    done = program(settings_file(tmp_path), "evaluate", "delay", "--from", str(path))
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "log_loss" in done.stdout


def test_standard_input_is_json_lines(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, flights(50)))
    done = program(settings_file(tmp_path), "evaluate", "delay", "--from", "-", "--json", given=lines)
    assert json.loads(done.stdout)["samples"] == 50


def test_the_same_file_gives_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, recorded = settings_file(tmp_path), str(json_lines(tmp_path / "f.jsonl", flights(700)))
    first, second = (answer(capsys, config, "evaluate", "delay", "--from", recorded) for _ in range(2))
    assert without_time(first) == without_time(second)
    assert first["seconds"] > 0


def test_a_limit_is_the_beginning_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, recorded = settings_file(tmp_path), flights(700)
    whole, part = json_lines(tmp_path / "f.jsonl", recorded), json_lines(tmp_path / "p.jsonl", recorded[:300])
    limited = answer(capsys, config, "evaluate", "delay", "--from", str(whole), "--limit", "300")
    beginning = answer(capsys, config, "evaluate", "delay", "--from", str(part))
    assert without_time(limited) | {"source": ""} == without_time(beginning) | {"source": ""}


def test_a_setting_given_as_a_flag_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = str(json_lines(tmp_path / "f.jsonl", flights(700)))
    config = settings_file(tmp_path)
    plain = answer(capsys, config, "evaluate", "delay", "--from", recorded)
    rate = ["--set", "models.delay.optimizer=sgd", "--set", "models.delay.optimizer.learning_rate=0.03"]
    flagged = answer(capsys, config, "evaluate", "delay", "--from", recorded, *rate)
    written = settings_file(tmp_path, 'optimizer = { name = "sgd", learning_rate = 0.03 }\n')
    assert flagged["digest"] == answer(capsys, written, "evaluate", "delay", "--from", recorded)["digest"]
    assert flagged["metrics"] != plain["metrics"]


def test_dead_letters_are_counted_and_the_first_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, recorded = settings_file(tmp_path), flights(300)
    for i in (1, 5, 6, 7, 8, 9, 250):
        recorded[i]["features"]["distance"] = "far"
    path = str(json_lines(tmp_path / "f.jsonl", recorded))
    found = answer(capsys, config, "evaluate", "delay", "--from", path)
    assert (found["records"], found["samples"], found["dead_letters"]) == (300, 293, 7)
    why = 'features.distance: expected a finite number, got "far"'
    assert found["first_dead_letters"] == [{"at": f"line {i}", "reason": why} for i in (2, 6, 7, 8, 9)]
    code, out, _ = run(capsys, config, "evaluate", "delay", "--from", path)
    assert code == 0
    assert f"! line 2: {why}\n" in out
    assert "! and 2 more dead letters" in out


def test_samples_without_labels_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = [{"features": one["features"]} for one in flights(20)]
    path = str(json_lines(tmp_path / "f.jsonl", recorded))
    _, out, _ = run(capsys, settings_file(tmp_path), "evaluate", "delay", "--from", path)
    assert "no sample has a label: nothing was learned" in out


def test_a_model_that_halts_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = '[models.delay.features]\nnumeric = ["distance"]\nscaling = "none"\n'
    learning = 'optimizer = { name = "sgd", learning_rate = 1000.0 }\nhalt_after = 5\n'
    config = settings_file(tmp_path, learning, "regression", features)
    path = str(json_lines(tmp_path / "f.jsonl", flights(400, "regression")))
    found = answer(capsys, config, "evaluate", "delay", "--from", path)
    assert found["halted"]
    assert found["refused"] >= 5
    assert found["skipped"] > 0
    assert found["skipped"] + found["refused"] + found["samples_learned"] == found["labelled"]
    assert "! learning has halted" in run(capsys, config, "evaluate", "delay", "--from", path)[1]


def test_a_column_that_looks_like_the_label_is_not_taken_as_a_feature_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = json_lines(
        tmp_path / "f.jsonl", [one["features"] | {"label": one["label"]} for one in flights(20)]
    )
    _, _, err = run(capsys, settings_file(tmp_path), "evaluate", "delay", "--from", str(flat))
    assert (
        err == "note: column 'label' was read as a feature; name it with --label label if that is not meant\n"
    )


def test_a_file_without_the_time_that_a_feature_is_made_of_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings_file(tmp_path, features=FEATURES + 'time = ["hour-of-day"]\n')
    timed = [one | {"timestamp": 1_700_000_000_000 + i} for i, one in enumerate(flights(20))]
    path = json_lines(tmp_path / "f.jsonl", [*flights(3), *timed])
    _, _, err = run(capsys, config, "evaluate", "delay", "--from", str(path))
    assert err.startswith("note: features.time is declared, and 3 samples have no timestamp")
    path = json_lines(tmp_path / "f.jsonl", timed)
    assert run(capsys, config, "evaluate", "delay", "--from", str(path))[2] == ""


# the learning curve


def test_the_curve_ends_at_the_metrics_and_its_points_are_those_of_shorter_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, path = settings_file(tmp_path), str(json_lines(tmp_path / "f.jsonl", flights(15_000)))
    found = answer(capsys, config, "evaluate", "delay", "--from", path)
    curve = found["curve"]
    assert 128 <= len(curve) <= 256
    assert {b["samples"] - a["samples"] for a, b in itertools.pairwise(curve)} == {100}
    assert curve[-1] == {"samples": 15_000, "samples_learned": 13_500, "metrics": found["metrics"]}
    point = curve[40]
    shorter = answer(capsys, config, "evaluate", "delay", "--from", path, "--limit", str(point["samples"]))
    assert point["metrics"] == shorter["metrics"]


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_plot_is_a_picture_with_both_lines_and_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    from streams.evaluation.plot import RECENT, SINCE_THE_START

    config = settings_file(tmp_path, task=task)
    path = str(json_lines(tmp_path / "f.jsonl", flights(3_000, task)))
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for picture in pictures:
        assert run(capsys, config, "evaluate", "delay", "--from", path, "--plot", str(picture))[0] == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    pixels = imread(pictures[0])[:, :, :3]
    for colour in (SINCE_THE_START, RECENT):
        assert (np.abs(pixels - np.array(to_rgb(colour))).max(axis=2) < 0.02).sum() > 300


def test_one_sample_can_be_plotted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = str(json_lines(tmp_path / "f.jsonl", flights(1))), tmp_path / "one.png"
    code = run(capsys, settings_file(tmp_path), "evaluate", "delay", "--from", path, "--plot", str(picture))[
        0
    ]
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


# mistakes: one line each, before the work where that is possible


def mistake(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str, code: int = 1) -> str:
    found, out, err = run(capsys, config, "evaluate", *arguments)
    assert (found, out) == (code, "")
    assert err.count("\n") == 1
    return err


def test_a_plot_without_matplotlib_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    path = str(json_lines(tmp_path / "f.jsonl", flights(1)))
    arguments = ["delay", "--from", path, "--plot", str(tmp_path / "a.png")]
    assert "pip install 'gradstream[plot]'" in mistake(capsys, settings_file(tmp_path), *arguments)


@pytest.mark.parametrize(
    ("plot", "line"),
    [("curve.pdf", "expected the name of a .png file"), ("none/curve.png", "there is no folder")],
)
def test_a_plot_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plot: str, line: str
) -> None:
    arguments = ["delay", "--from", str(tmp_path / "not even there.csv"), "--plot", str(tmp_path / plot)]
    assert line in mistake(capsys, settings_file(tmp_path), *arguments)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("data/f.csv", "--from data/f.csv: no such file, and no topic can have this name"),
        (".", "--from .: is a folder; expected a file of samples or a topic"),
    ],
)
def test_what_is_neither_file_nor_topic_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, line: str
) -> None:
    assert line in mistake(capsys, settings_file(tmp_path), "delay", "--from", source)


def test_what_is_no_file_is_looked_for_as_a_topic(tmp_path: Path) -> None:
    done = program(settings_file(tmp_path), "evaluate", "delay", "--from", "flihgts.csv")
    assert done.returncode == 1
    line = "--from flihgts.csv: no such file, and as a topic: Kafka at 127.0.0.1:1: connection refused"
    assert line in done.stderr.splitlines()[0]


def test_a_file_of_unknown_kind_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json_lines(tmp_path / "flights.txt", flights(1))
    err = mistake(capsys, settings_file(tmp_path), "delay", "--from", str(path), code=2)
    assert "flights.txt: expected a name that ends in .jsonl or .csv, or --format" in err
    found = answer(
        capsys, settings_file(tmp_path), "evaluate", "delay", "--from", str(path), "--format", "jsonl"
    )
    assert found["samples"] == 1


def test_a_line_that_is_no_object_ends_it_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "f.jsonl", [*flights(3), "no object"])
    err = mistake(capsys, settings_file(tmp_path), "delay", "--from", str(path))
    assert "f.jsonl, line 4: expected a JSON object" in err


def test_an_empty_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json_lines(tmp_path / "f.jsonl", [])
    assert "f.jsonl: there is no record in it" in mistake(
        capsys, settings_file(tmp_path), "delay", "--from", str(path)
    )


def test_an_unknown_model_is_told_with_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    err = mistake(capsys, settings_file(tmp_path, features=FEATURES), "dely", "--from", "f.csv")
    assert "no model 'dely'" in err
    assert "did you mean 'delay'?" in err
