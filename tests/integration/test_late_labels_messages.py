"""Samples and labels that come late, message by message: what each becomes, and which letters there are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from confluent_kafka import Producer

from tests.consistency.late_audit import letters, plain_log, record_at
from tests.consistency.late_traffic import BEGIN, HORIZON, PATIENCE
from tests.integration.harness import Stream, terminate
from tests.integration.late_labels import Small, joined, waiting

Make = Callable[..., Stream]


def test_what_is_no_label_is_a_dead_letter_with_the_coordinates_of_its_record(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("a", 0)
    for value, key in ((b'{"label": 1}', b"k0"), (b"no JSON", None), (None, b"k2")):
        small.raw(value, key)
    small.label("x" * 2**20, 10)
    small.label("a", 20, label=7)
    small.label("a", 30)
    small.label("nobody", 40)
    small.sample("a late one", 10 + 2 * PATIENCE)
    small.run()
    assert joined(stream) == {"a": 1.0}
    labels = stream.read(stream.labels)
    expected = [
        (0, "InvalidSample"), (1, "NotJson"), (2, "EmptyValue"), (3, "InvalidSample"), (4, "InvalidLabel"),
        (6, "UnmatchedLabel"),
    ]  # fmt: skip
    assert letters(stream) == Counter((name, stream.labels, 0, offset) for offset, name in expected)
    for letter in stream.read(f"{stream.name}.dead-letters"):
        headers = dict(letter.headers)
        source = record_at(labels, 0, int(headers["__connect.errors.offset"]))
        assert (letter.key, letter.value) == (source.key, source.value)
        assert headers["__connect.errors.connector.name"] == stream.name.encode()
    assert stream.inspect()["dead_letters"] == 6
    assert stream.inspect()["labels"]["unmatched"] == 1


def test_an_id_of_a_megabyte_is_a_dead_letter_on_either_topic(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("y" * 2**20, 0)
    small.label("y" * 2**20, 0)
    small.sample("z" * 4096, 1)
    small.label("z" * 4096, 2)
    small.run()
    assert joined(stream) == {"z" * 4096: 1.0}
    assert letters(stream) == {
        ("InvalidSample", stream.samples, 0, 0): 1,
        ("InvalidSample", stream.labels, 0, 0): 1,
    }


def test_a_sample_whose_id_still_waits_gets_no_prediction_and_the_first_is_joined(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("a", 5)
    small.label("a", 10)
    small.sample("a", 20)  # waits no longer: its id may be used again
    small.run()
    assert [row.offset for row in plain_log(stream).joined] == [0]
    assert sorted(stream.predictions()) == [(0, 0), (0, 2)]
    assert letters(stream) == {("DuplicateId", stream.samples, 0, 1): 1}
    assert waiting(stream) == 1


def test_a_sample_without_an_id_waits_under_its_coordinates(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample(None, 0)
    small.label(f"{stream.samples}-0-0", 5)
    small.run()
    assert joined(stream) == {f"{stream.samples}-0-0": 1.0}


def test_a_correction_counts_until_its_sample_is_joined(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("b", 8_000)
    small.label("a", 7_999, label=0)  # early …
    small.label("a", 8_000, label=1, correction=True)  # … and corrected in time
    small.sample("a", 8_001)
    small.label("b", 8_002, label=0, correction=True)  # the first that comes is the label
    small.label("b", 8_003, label=1, correction=True)  # too late to change anything
    small.run()
    assert joined(stream) == {"a": 1.0, "b": 0.0}
    assert stream.inspect()["labels"]["corrections"] == 3


def test_a_label_is_in_time_up_to_the_last_millisecond(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    delays = {"last": HORIZON, "late": HORIZON + 1, "first": -PATIENCE, "early": -PATIENCE - 1}
    for id_ in delays:
        small.sample(id_, 100_000)
    small.run()
    for id_, delay in delays.items():
        small.label(id_, 100_000 + delay)
    small.run()
    assert joined(stream) == {"last": 1.0, "first": 1.0}
    assert letters(stream) == {("LateLabel", stream.labels, 0, offset): 1 for offset in (1, 3)}
    assert waiting(stream) == 2, "a sample goes on waiting after a label that is not in time"


def test_a_sample_expires_a_millisecond_after_the_last_one_that_could_bring_its_label(
    make_late: Make,
) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("b", HORIZON + PATIENCE)
    small.run()
    assert waiting(stream) == 2
    small.sample("c", HORIZON + PATIENCE + 1)
    small.run()
    assert waiting(stream) == 2
    assert plain_log(stream).gone == [(0, "a")]


def test_labels_of_aborted_transactions_were_never_sent(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    small.sample("a", 0)
    small.sample("b", 1)
    small.run()
    producer = Producer({"bootstrap.servers": stream.kafka, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    for id_, label, aborted in (("a", 0, True), ("a", 1, False), ("b", 0, True)):
        producer.begin_transaction()
        body = {"id": id_, "label": label, "timestamp": BEGIN + 50}
        producer.produce(stream.labels, json.dumps(body).encode(), partition=0)
        producer.flush(30)
        (producer.abort_transaction if aborted else producer.commit_transaction)(30)
    stream.drain()
    assert joined(stream) == {"a": 1.0}
    assert stream.inspect()["labels"]["offsets"] == {f"{stream.labels}-0": 6}


def test_samples_sent_in_transactions_do_not_hold_up_the_labels_behind_them(make_late: Make) -> None:
    """The topic ends with a marker, which is no record: there are no more samples all the same."""
    stream = make_late()
    worker = stream.worker()
    producer = Producer({"bootstrap.servers": stream.kafka, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    for id_ in ("a", "b"):
        producer.begin_transaction()
        body = {"id": id_, "timestamp": BEGIN, "features": {"x": 1}}
        producer.produce(stream.samples, json.dumps(body).encode(), partition=0)
        producer.flush(30)
        (producer.abort_transaction if id_ == "b" else producer.commit_transaction)(30)
    small = Small(stream)
    small.label("a", 50)
    stream.send(small.records)
    stream.wait_learned(1)
    assert terminate(worker) == 0
