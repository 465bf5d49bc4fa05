"""Labels that come late, and where a model begins: keys, defaults, and each mistake in one line."""

# The lines that come back stand whole in the tables.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import ModelSettings, SettingsError, load_settings
from models.spec import ModelSpec

MIDNIGHT = 1_795_478_400_000  # 2026-11-24T00:00:00Z
HEAD = '[models.clicks]\nsamples = "impressions"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gradstream.toml"


def read(
    file: Path, lines: str, env: dict[str, str] | None = None, task: str = "binary", **flags: object
) -> ModelSettings:
    file.write_text(f'{HEAD}task = "{task}"\n{lines}\n')
    return load_settings(file, flags, env or {}).models["clicks"]


def message(file: Path, lines: str, env: dict[str, str] | None = None, task: str = "binary") -> str:
    with pytest.raises(SettingsError) as caught:
        read(file, lines, env, task)
    return str(caught.value).removeprefix(f"{file}: ").removeprefix("models.clicks.")


def test_without_a_labels_topic_labels_stand_in_their_samples(file: Path) -> None:
    model = read(file, "")
    assert model.labels is None
    assert not model.spec().late_labels


def test_a_labels_topic_alone_gives_every_default(file: Path) -> None:
    model = read(file, 'labels = "outcomes"')
    assert (model.labels, model.label_horizon, model.label_patience) == ("outcomes", 6 * 3600.0, 600.0)
    assert (model.on_missing, model.waiting_limit) == ("drop", 1_000_000)


def test_every_key_is_read(file: Path) -> None:
    lines = 'labels = "l"\nlabel_horizon = "1ms"\nlabel_patience = "0ms"\non_missing = "negative"\n'
    model = read(file, lines + "waiting_limit = 100_000_000")
    assert (model.label_horizon, model.label_patience) == (0.001, 0.0)
    assert (model.on_missing, model.waiting_limit) == ("negative", 100_000_000)
    env = {"GRADSTREAM_MODELS__CLICKS__LABELS": "l", "GRADSTREAM_MODELS__CLICKS__WAITING_LIMIT": "7"}
    assert read(file, "", env).waiting_limit == 7


def test_only_that_labels_come_late_stands_in_the_specification(file: Path) -> None:
    short, long = (read(file, f'labels = "l"\nlabel_horizon = "{one}"').spec() for one in ("1s", "9d"))
    assert short == long
    assert short.late_labels
    assert ModelSpec.from_json(short.to_json()) == short
    plain = read(file, "").spec()
    assert ModelSpec.from_json(plain.to_json().replace(b',"late_labels":false', b"")) == plain


MISTAKES = {
    'labels = "a b"': "labels: expected a topic name: at most 249 of letters, digits, '.', '_' and '-', found 'a b'",
    'labels = "impressions"': "labels: 'impressions' is the topic of samples already; expected another",
    'labels = "clicks_predictions"': "labels: 'clicks_predictions' is the topic of predictions already; "
    "expected another",
    'labels = "clicks.dead-letters"': "labels: 'clicks.dead-letters' is the topic of dead_letters already; "
    "expected another",
    'labels = "l"\nlearning_log = "l"': "labels: 'l' is the topic of learning_log already; expected another",
    'lables = "l"': "lables: unknown key; did you mean 'labels'?",
    'label_horizon = "1d"': "label_horizon: used with labels only; name their topic, labels = 'TOPIC', or "
    "leave it out",
    'label_patience = "10m"': "label_patience: used with labels only; name their topic, labels = 'TOPIC', or "
    "leave it out",
    'on_missing = "drop"': "on_missing: used with labels only; name their topic, labels = 'TOPIC', or leave it out",
    "waiting_limit = 1000000": "waiting_limit: used with labels only; name their topic, labels = 'TOPIC', or "
    "leave it out",
    'labels = "l"\nlabel_horizon = "0s"': "label_horizon: expected a duration between '1ms' and '36500d', "
    "found '0s'",
    'labels = "l"\nlabel_patience = 10': "label_patience: expected a duration, a number and a unit in quotes: "
    "'500ms', '1s', '5m', '6h' or '30d', found 10",
    'labels = "l"\non_missing = "positive"': "on_missing: expected 'drop' or 'negative', found 'positive'",
    'labels = "l"\nwaiting_limit = 0': "waiting_limit: expected an integer between 1 and 100000000, found 0",
}


@pytest.mark.parametrize(("lines", "expected"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_one_line(file: Path, lines: str, expected: str) -> None:
    assert message(file, lines) == expected


def test_only_a_binary_model_has_a_negative_class(file: Path) -> None:
    found = message(file, 'labels = "l"\non_missing = "negative"', task="regression")
    assert found == (
        "on_missing: 'negative', the first class, is for task 'binary' only; the task here is 'regression'"
    )
    classes = 'labels = "l"\non_missing = "negative"\nclasses = ["a", "b"]'
    assert "the task here is 'multiclass'" in message(file, classes, task="multiclass")
    assert read(file, classes).on_missing == "negative"


STARTS = {
    '"earliest"': "earliest",
    '"latest"': "latest",
    "2026-11-24T00:00:00Z": MIDNIGHT,
    "2026-11-24 01:00:00+01:00": MIDNIGHT,
    '"2026-11-24T00:00:00Z"': MIDNIGHT,
    '"2026-11-23T19:30:00-04:30"': MIDNIGHT,
    '"2026-11-24T00:00:00.25Z"': MIDNIGHT + 250,
    '"2026-11-24T00:00:00.0001Z"': MIDNIGHT + 1,  # no record between it and the next whole millisecond
    '"1970-01-01T00:00:00Z"': 0,
    "0": 0,
    str(MIDNIGHT): MIDNIGHT,
    '"9999-12-31T23:59:59.999Z"': 253_402_300_799_999,
}


@pytest.mark.parametrize(("written", "start"), STARTS.items(), ids=STARTS)
def test_a_start_is_an_end_of_the_topic_or_a_time(file: Path, written: str, start: str | int) -> None:
    assert read(file, f"start = {written}").start == start


@pytest.mark.parametrize("written", [str(MIDNIGHT), "2026-11-24T00:00:00Z"])
def test_a_start_from_a_variable_or_a_flag_has_no_type(file: Path, written: str) -> None:
    assert read(file, "", {"GRADSTREAM_MODELS__CLICKS__START": written}).start == MIDNIGHT
    assert read(file, "", **{"models.clicks.start": written}).start == MIDNIGHT


NO_STARTS = {
    "2026-11-24T00:00:00": "2026-11-24 00:00:00",  # no zone
    "2026-11-24": "2026-11-24",
    "00:00:00": "00:00:00",
    '"2026-11-24T00:00:00"': "'2026-11-24T00:00:00'",
    '"2026-13-24T00:00:00Z"': "'2026-13-24T00:00:00Z'",
    '"1969-12-31T23:59:59Z"': "'1969-12-31T23:59:59Z'",
    "1969-12-31T23:59:59Z": "1969-12-31 23:59:59+00:00",
    "-1": "-1",  # the protocol's word for the end
    "253402300800000": "253402300800000",
    f'"{MIDNIGHT}"': f"'{MIDNIGHT}'",
    "1.5": "1.5",
    "true": "true",
    "[]": "[]",
    '"latests"': "'latests'; did you mean 'latest'?",
}


@pytest.mark.parametrize(("written", "found"), NO_STARTS.items(), ids=NO_STARTS)
def test_any_other_start_is_a_mistake(file: Path, written: str, found: str) -> None:
    expected = (
        "start: expected 'earliest', 'latest', a time from 1970 on with a zone, as in '2026-11-24T00:00:00Z', "
        "or milliseconds since 1970, found "
    )
    assert message(file, f"start = {written}") == expected + found


def test_the_example_of_the_documentation_can_be_read(file: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    file.write_text(page.split("### Labels that come late")[1].split("```toml\n")[1].split("```")[0])
    model = load_settings(file, env={}).models["clicks"]
    assert (model.labels, model.label_horizon, model.on_missing) == ("clicks", 1800.0, "negative")
