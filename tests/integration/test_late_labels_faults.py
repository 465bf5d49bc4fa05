"""Late labels while things break: a worker dies, Redis is emptied; and what is too much for one record."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable

import pytest

from tests.consistency.late_audit import assert_redis_says_the_same, letters, plain_log
from tests.consistency.late_reader import EXPIRED, LateLog
from tests.consistency.late_traffic import HORIZON, LIVE, PATIENCE, traffic
from tests.integration.harness import Stream, terminate
from tests.integration.late_labels import Small, audit, joined, log_end, send, waiting

Make = Callable[..., Stream]


def test_killed_in_the_middle_each_label_is_joined_exactly_once(make_late: Make) -> None:
    stream, made = make_late(4), traffic(12_000, 4)
    for start in range(0, len(made.messages), len(made.messages) // 4 + 1):
        send(stream, made, start, start + len(made.messages) // 4 + 1)
        before = log_end(stream)
        worker = stream.worker(env={"GRADSTREAM_GROUP_ID": uuid.uuid4().hex})  # nobody waits for the dead one
        stream.wait(lambda before=before: log_end(stream) > before + 1)
        worker.kill()
        worker.wait()
    stream.drain(env={"GRADSTREAM_GROUP_ID": uuid.uuid4().hex})
    audit(stream, made)


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before a restart"])
def test_in_a_redis_that_is_emptied_while_samples_wait_they_wait_again(
    make_late: Make, running: bool
) -> None:
    stream, made = make_late(2), traffic(3_000, 2, kinds=LIVE)
    middle = len(made.messages) // 2
    send(stream, made, 0, middle)
    worker = stream.worker()
    stream.wait(lambda: waiting(stream) > 100 and stream.inspect()["lag"] == 0)
    if not running:
        assert terminate(worker) == 0
    with stream.client() as client:
        client.delete(*client.keys(f"gradstream:{{{stream.name}}}*"))
    if not running:
        worker = stream.worker()
    send(stream, made, middle)
    stream.wait(lambda: waiting(stream) == 2)
    with stream.client() as client:
        stream.wait(lambda: int(client.hget(f"{_key(stream)}:about", "waiting") or -1) == 1)
        (id_,) = client.hkeys(_key(stream))
    assert terminate(worker) == 0
    audit(stream, made)
    assert id_.decode() in plain_log(stream).desks[0].waiting


def _key(stream: Stream) -> str:
    return f"gradstream:{{{stream.name}}}:waiting:0"


def test_a_worker_that_starts_finds_in_redis_what_waits(make_late: Make) -> None:
    stream, made = make_late(2), traffic(3_000, 2)
    middle = len(made.messages) // 2
    send(stream, made, 0, middle)
    stream.drain()
    desks = plain_log(stream).desks
    with stream.client() as client:
        for partition, desk in desks.items():
            key = f"gradstream:{{{stream.name}}}:waiting:{partition}"
            assert {id_.decode() for id_ in client.hkeys(key)} == desk.waiting.keys()
            about = {name.decode(): value.decode() for name, value in client.hgetall(f"{key}:about").items()}
            assert {one[0] for one in json.loads(about["early"])} == desk.early.keys()
            assert (int(about["next"]), int(about["label_next"])) == (desk.next, desk.label_next)
            for id_, sample in client.hgetall(key).items():
                row, found = desk.waiting[id_.decode()], json.loads(sample)
                assert (found["offset"], found["timestamp"], found["weight"]) == (
                    row.offset,
                    row.time,
                    row.weight,
                )
                assert found["prediction"] == [row.prediction]
    send(stream, made, middle)
    stream.drain()
    audit(stream, made)


# What is large


def test_the_longest_ids_wait_and_are_joined_and_let_go_in_any_number(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    long = [f"{i}-".ljust(4096, "x") for i in range(1_800)]
    for i, id_ in enumerate(long):
        small.sample(id_, i % 2)
    for id_ in long[:600]:
        small.label(id_, 10)
    small.run()
    assert (len(joined(stream)), waiting(stream)) == (600, 1_200)
    log = let_all_go(small)
    assert sorted(id_ for _, id_ in log.gone) == sorted(long[600:])


def test_labels_of_a_megabyte_that_come_early_are_kept_and_joined_or_given_up(make_late: Make) -> None:
    stream = make_late()
    small = Small(stream)
    for i in range(60):
        small.label(f"s{i}", 10, other="x" * 300_000)
    small.run()
    for i in range(12):
        small.sample(f"s{i}", 20)
    small.run()
    assert len(joined(stream)) == 12
    small.sample("last", 11 + PATIENCE)
    small.run()
    assert [name for name, *_ in letters(stream)] == ["UnmatchedLabel"] * 48
    assert "append failed" not in stream.logs()
    assert_redis_says_the_same(stream, plain_log(stream))


def test_any_number_of_large_samples_expires_at_once(make_late: Make) -> None:
    stream = make_late(1, 'on_missing = "negative"')
    stream.write_config(
        stream.table.replace('numeric = ["x"]', 'numeric = ["x", { name = "v", size = 1000 }]')
    )
    small = Small(stream)
    vector = [i / 7 for i in range(1_000)]
    for i in range(800):
        small.sample(f"s{i}", i % 2, features={"x": i % 5, "c": "c", "v": vector})
    small.run()
    log = let_all_go(small)
    assert Counter(row.event for row in log.learned) == {EXPIRED: 800}


def let_all_go(small: Small) -> LateLog:
    """All that waits is due at once; a record of the log takes a part of it, and each sample brings one."""
    stream = small.stream
    worker = stream.worker()
    for i in range(100):
        small.sample(f"last {i}", 3 * (HORIZON + PATIENCE))
        end = log_end(stream)
        stream.send(small.records[-1:])
        stream.wait(lambda end=end: log_end(stream) > end)
        if 0 <= waiting(stream) <= i + 1:
            break
    assert terminate(worker) == 0
    assert "append failed" not in stream.logs()
    log = plain_log(stream)
    assert_redis_says_the_same(stream, log)
    return log
