"""What is shown of labels that come late: counts, alarms, and one sample with what is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from infra.settings import ModelSettings
from models.spec import FeatureSpec, ModelSpec
from streams.commands._inspect_shown import Seen, show
from streams.commands._labels_shown import (
    LabelCounts,
    bytes_text,
    label_alarms,
    partitions_table,
    time_text,
)
from streams.commands._live import LiveModel, NotReadable
from streams.commands._waiting import Found, Partition, partitions
from streams.commands._waiting_sample import Window, sample_document, show_sample
from streams.ingest_report import Report
from streams.labels.codec import NEVER, EarlyLabel
from streams.labels.fold import LateFold, Standing
from streams.labels.stored import StoredSample
from streams.labels.view import new_fold
from streams.log_format import PartitionId

T0 = 1_700_000_000_000
SPEC = ModelSpec(task="binary", features=FeatureSpec(hash_bits=18), classes=("no", "yes"), late_labels=True)
HERE, THERE = Partition("s", 0, "l"), Partition("s", 1, "l")
WINDOW = Window(horizon=60_000, patience=10_000)


def fold(waiting: Mapping[int, int], **tally: int) -> LateFold:
    """So many samples wait in each partition."""
    made = new_fold(SPEC)
    assert isinstance(made, LateFold)
    for number, count in waiting.items():
        partition = PartitionId("s", "id", number)
        made.next[partition] = 100
        made.standings[partition] = Standing("l", "lid", 50, "w:1", T0, waiting=count)
    for name, count in tally.items():
        setattr(made.tally, name, count)
    return made


def text(of: LateFold, spec: ModelSpec = SPEC) -> dict[str, str]:
    """The fields of a checkpoint that are read here."""
    standings = [[p.topic, p.topic_id, p.partition, at] for p, at in of.standings.items()]
    return {
        "version": "1",
        "log_offset": "7",
        "log_topic_id": "log",
        "spec": spec.to_json().decode(),
        "offsets": json.dumps({str(p): at for p, at in of.next.items()}),
        "labels": json.dumps(of.document()),
        "standings": msgspec.json.encode(standings).decode(),
    }


def live(of: LateFold, spec: ModelSpec = SPEC, **more: str) -> LiveModel:
    return LiveModel.of("m", text(of, spec) | more, {"intercept": "1.5"})


def counts(of: LateFold) -> LabelCounts:
    found = live(of).label_counts()
    assert found is not None
    return found


# Counts and alarms


def test_what_a_fold_tells_is_what_is_read_of_it() -> None:
    found = live(fold({0: 3, 1: 4}, joined=9, early=2))
    assert found.document(0)["labels"] == json.loads(found.text["labels"])
    read = found.label_counts()
    assert read is not None
    assert msgspec.to_builtins(read).keys() == found.document(0)["labels"].keys()
    assert (read.waiting, read.joined, read.early, read.partitions["s-1"].waiting) == (7, 9, 2, 4)
    assert (read.of("s-1"), read.of("s-2")) == ("l-1", None)
    assert partitions(found) == [HERE, THERE]


@pytest.mark.parametrize("field", ["labels", "standings"])
@pytest.mark.parametrize("content", ["", "x", "1", "[[]]", '{"waiting": "many"}', "[[1, 2, 3, 4]]"])
def test_what_no_worker_wrote_is_one_line(field: str, content: str) -> None:
    if (field, content) == ("standings", ""):
        assert partitions(live(fold({}), standings="")) == []
        return
    with pytest.raises(NotReadable, match=r"^Redis key gradstream:\{m\}: not a checkpoint of gradstream \("):
        partitions(live(fold({0: 1}), **{field: content}))


@pytest.mark.parametrize(
    ("waiting", "limit", "topic_partitions", "alarm"),
    [
        ({0: 40, 1: 40}, 100, 2, ""),
        ({0: 41, 1: 0}, 100, 2, "41 samples wait, 82% of what may wait in s-0 (waiting_limit 100,"),
        ({0: 0, 1: 50}, 100, 2, "50 samples wait, 100% of what may wait in s-1"),
        ({0: 41}, 100, 1, ""),
        ({0: 41}, 100, 2, "41 samples wait, 82% of"),  # the other one is not open yet
        ({0: 41}, None, 1, ""),
        ({0: 1, 1: 0}, 1, 2, "1 samples wait, 100% of"),
        ({}, 100, 0, ""),
    ],
)
def test_a_partition_that_is_nearly_full_is_told(
    waiting: dict[int, int], limit: int | None, topic_partitions: int, alarm: str
) -> None:
    found = label_alarms(counts(fold(waiting)), limit, topic_partitions)
    assert len(found) == bool(alarm)
    assert "".join(found).startswith(alarm)


def test_samples_that_were_let_go_are_told() -> None:
    (line,) = label_alarms(counts(fold({0: 1}, dropped=1234)), None, 1)
    assert line.startswith("1,234 samples were let go before their labels came")


def shown(document: dict[str, Any], model: LiveModel, seen: Seen | None) -> list[str]:
    out = StringIO()
    show(Console(file=out, width=200, highlight=False), model.label_counts(), document, seen)
    return out.getvalue().splitlines()


def test_people_see_counts_positions_and_clocks() -> None:
    model = live(fold({0: 3, 1: 4}, joined=2000, delay_sum=5_000_000, delays={"8": 2000}))
    document = model.document(5)
    document["labels"] |= {"lag": 6, "redis": {"waiting_bytes": 2_000_000, "limit": 1000}}
    report = Report(10, 9, 0, [], [], [], [], [], late=True)
    lines = shown(document, model, Seen({"s-0": 5, "s-1": 0, "s-2": 1}, {"l-0": 6, "l-1": 0}, report))
    text = "\n".join(line.rstrip() for line in lines)
    assert "waiting        7 of 1,000, 2.0 MB in Redis\njoined         2,000\n" in text
    assert "lag of labels  6\ndelay          mean 2.5 s, p50 0.009 s, " in text
    assert [line.split() for line in lines if line.startswith("s-")] == [
        ["s-0", "100", "5", "l-0", "50", "6"],
        ["s-1", "100", "0", "l-1", "50", "0"],
        ["s-2", "-", "1", "-", "-", "-"],
        ["s-0", "3", "0", "2023-11-14T22:13:20.000Z", "-"],
        ["s-1", "4", "0", "2023-11-14T22:13:20.000Z", "-"],
    ]
    assert "last 10 samples: 9 valid, with a label of their own 0.0%" in text


def test_what_is_not_known_is_a_question_mark() -> None:
    model = live(fold({0: 3}))
    document = model.document(None)
    document["labels"] |= {"lag": None, "redis": {"waiting_bytes": None, "limit": None}}
    lines = [line.rstrip() for line in shown(document, model, None)]
    assert "waiting        3" in lines
    assert "lag of labels  ?" in lines
    assert ["s-0", "100", "?", "l-0", "50", "?"] in [line.split() for line in lines]
    assert partitions_table(counts(fold({0: 3}))).row_count == 1


def test_times_and_sizes_are_short() -> None:
    assert time_text(NEVER + 1) == "0001-01-01T00:00:00.000Z"
    assert time_text(T0 + 1) == "2023-11-14T22:13:20.001Z"
    assert time_text(400_000_000_000_000) == "400000000000000 ms"
    assert (bytes_text(999), bytes_text(12_345_678)) == ("1.0 kB", "12.3 MB")


# One sample


def sample(*prediction: float | None, offset: int = 5) -> StoredSample:
    return StoredSample(offset, T0, 1.0, list(prediction))


def found(
    partition: Partition = HERE,
    one: StoredSample | None = None,
    early: EarlyLabel | None = None,
    clocks: tuple[int, int] = (T0 + 2000, T0 + 3000),
    joined: bool = False,
) -> Found:
    return Found(partition, 7, clocks, one, early, joined)


def early(label: float = 1.0) -> EarlyLabel:
    return EarlyLabel("a", label, 2.0, T0, 9, b"a", b"{}", [])


def people(document: dict[str, Any]) -> str:
    out = StringIO()
    show_sample(Console(file=out, width=200, highlight=False), document)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_sample_that_waits_has_its_prediction_and_its_times() -> None:
    document = sample_document(live(fold({0: 1})), "a", [found(one=sample(0.75))], WINDOW)
    assert document == {
        "model": "m",
        "id": "a",
        "waiting": {
            "topic": "s",
            "partition": 0,
            "offset": 5,
            "timestamp": T0,
            "weight": 1.0,
            "prediction": "yes",
            "probability": 0.75,
            "log_offset": 7,
            "sample_time": T0 + 2000,
            "label_time": T0 + 3000,
            "waited_seconds": 3.0,
            "label_from": T0 - 10_000,
            "label_until": T0 + 60_000,
            "waits_until": T0 + 70_000,
        },
        "early": None,
        "joined": None,
    }
    text = people(document)
    assert "waits       in s-0 @5, as of learning log offset 7\n" in text
    assert "since       2023-11-14T22:13:20.000Z, for 3 s\n" in text
    assert "prediction  yes, probability 0.75\n" in text
    assert text.endswith("expires     when a clock is past 2023-11-14T22:14:30.000Z")


def test_without_settings_or_labels_what_is_not_known_is_left_out() -> None:
    document = sample_document(live(fold({0: 1})), "a", [found(one=sample(None), clocks=(T0, NEVER))], None)
    waiting = document["waiting"]
    names = ("prediction", "probability", "label_time", "label_from", "label_until", "waits_until")
    assert [waiting[name] for name in names] == [None] * 6
    text = people(document)
    assert "clocks      samples until 2023-11-14T22:13:20.000Z\nprediction  -, probability -" in text
    assert "expires" not in text


@pytest.mark.parametrize(
    ("spec", "prediction", "line"),
    [
        (ModelSpec("regression", FeatureSpec(hash_bits=18), late_labels=True), [31.25678912], "31.2568"),
        (
            ModelSpec("multiclass", FeatureSpec(hash_bits=18), classes=(1, 2, 3), late_labels=True),
            [0.25, 0.5, 0.25],
            "2, 1 0.25, 2 0.5, 3 0.25",
        ),
    ],
)
def test_each_task_has_its_prediction(spec: ModelSpec, prediction: list[float], line: str) -> None:
    document = sample_document(live(fold({0: 1}), spec), "a", [found(one=sample(*prediction))], WINDOW)
    assert f"prediction  {line}\n" in people(document)


def test_a_sample_with_another_number_of_outputs_is_one_line() -> None:
    with pytest.raises(NotReadable, match="not a checkpoint of gradstream"):
        sample_document(live(fold({0: 1})), "a", [found(one=sample(0.1, 0.9))], WINDOW)


def test_an_early_label_and_a_joined_sample_are_told() -> None:
    document = sample_document(
        live(fold({0: 1})), "a", [found(early=early(0.0)), found(THERE, joined=True)], WINDOW
    )
    assert document["early"] == {
        "topic": "l",
        "partition": 0,
        "offset": 9,
        "label": "no",
        "weight": 2.0,
        "timestamp": T0,
        "kept_until": T0 + 10_000,
    }
    assert document["joined"] == {"topic": "s", "partition": 1}
    text = people(document)
    assert "early label  no of 2023-11-14T22:13:20.000Z, in l-0 @9\n" in text
    assert "kept         until the samples' clock is past 2023-11-14T22:13:30.000Z\n" in text
    assert "joined       in s-1, one of the last there" in text


def test_sample_and_label_that_will_not_meet_are_pointed_out() -> None:
    one, other = found(one=sample(0.5)), found(THERE, early=early())
    model = live(fold({0: 1, 1: 0}))
    assert "! sample and label are in" in people(sample_document(model, "a", [one, other], WINDOW))
    assert "!" not in people(sample_document(model, "a", [one], WINDOW))


def test_the_window_is_that_of_the_settings() -> None:
    table = {"name": "m", "samples": "s", "labels": "l", "task": "binary", "label_horizon": "1.5s"}
    assert Window.of(ModelSettings.model_validate(table)) == Window(1500, 600_000)
