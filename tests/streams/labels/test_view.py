"""Records of a late-label partition: which of them count, and that all who read them have the same waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from streams.labels.plain import Rules
from streams.labels.view import LateBatch
from streams.log_format import LogRecord
from tests.streams.labels import play
from tests.streams.labels.world import LABELS, Label, P, Sample, Worker, World

RULES = Rules(horizon=100, patience=10, negative=False, limit=1000)


def worker_of(world: World) -> Worker:
    """One that stands where the log ends."""
    worker = Worker(world)
    worker.read()
    assert worker.stand()
    return worker


def settled(*workers: Worker) -> None:
    """All has been sent and read."""
    for worker in workers:
        while worker.send(1):
            pass
    for worker in workers:
        worker.read()


def test_a_record_counts_only_behind_the_one_that_it_was_computed_on() -> None:
    """Two ways to one pair of offsets leave different samples waiting: the pair alone does not tell."""
    world = World([Sample("a", 0), Sample("b", 1)], [Label("b", 5), Label("a", 9)], RULES)
    owner, zombie = worker_of(world), worker_of(world)
    owner.process(1, 1)  # "b" is early
    owner.process(1, 0)
    zombie.process(2, 1)
    zombie.process(0, 1)
    first, second = (batch for batch in zombie.view.pending if isinstance(batch, LateBatch))
    assert (first.stop, first.label_stop) == (second.start, second.label_start) == (2, 1)
    settled(owner)
    zombie.send(1)
    zombie.send(1)  # from (2, 1), where the partition now stands
    owner.read()
    assert owner.view.fold.ignored == 2
    assert world.counted()[-1].worker == owner.view.worker
    zombie.read()
    play.finish(world, [owner, zombie], play.always)
    play.assert_alike(world, [owner, zombie])
    assert sorted(row.id for row in play.plain_log(world).joined) == ["a", "b"]


def test_a_record_that_comes_twice_counts_once() -> None:
    world = World([Sample("a", 0)], [Label("a", 5)], RULES)
    worker = worker_of(world)
    worker.process(1, 0)
    worker.process(0, 1)
    records = [worker.send(1), worker.send(1)]
    for record in [*records, *records]:
        assert record is not None
        again(world, record)
    worker.read()
    assert worker.view.fold.ignored == 4
    assert worker.view.fold.tally.joined == 1
    play.assert_alike(world, [worker])


def again(
    world: World, record: LogRecord, worker: str = "", value: bytes | None = None, **other: object
) -> None:
    """The same record once more, perhaps from somebody else, with something else in it."""
    own = ("format", "worker", "seq")
    headers = {name: text for name, text in record.headers.items() if name not in own} | other
    world.log.append(record.kind, worker or record.worker, record.seq, value or record.value, **headers)


Damage = Mapping[str, object]
DAMAGES: list[Damage] = [
    {"label_from": "1"}, {"label_from": "x"}, {"label_topic": "others"}, {"label_topic_id": "another"},
    {"after": ""}, {"after": "somebody:0"}, {"to": "0", "label_to": "0"}, {"label_to": "-1"},
    {"samples": "9"}, {"dead_letters": "9"}, {"waiting": "-1"}, {"sample_time": "soon"}, {"label_time": ""},
    {"sample_time": "--1"}, {"repeated": "1.5"}, {"label_time": "9" * 20},
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_record_whose_headers_do_not_fit_changes_nothing(damage: Damage) -> None:
    world = World([Sample("a", 0), Sample("b", 1)], [Label("a", 5)], RULES)
    worker = worker_of(world)
    worker.process(1, 0)
    settled(worker)
    worker.process(1, 1)
    good = worker.send(1)
    assert good is not None
    world.log.records.pop()
    again(world, good, "vandal", None, **damage)
    again(world, good)
    worker.read()
    assert worker.view.fold.ignored + worker.view.fold.undecodable == 1
    assert worker.view.fold.tally.joined == 1
    play.assert_alike(world, [worker])


def _arrow_of_another_model(value: bytes) -> bytes:
    return value.replace(b"label_timestamp", b"label_timestomp")


def _damaged_parts(value: bytes) -> bytes:
    return value.replace(b'"rows":', b'"rous":')


def _parts_that_are_no_json(value: bytes) -> bytes:
    return value.replace(b'[{"rows"', b'[[["rows"')


@pytest.mark.parametrize(
    "damage", [_arrow_of_another_model, _damaged_parts, _parts_that_are_no_json, lambda value: b"junk"],
    ids=["columns", "parts", "no JSON", "junk"],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_ignored_by_all_alike(damage: Callable[[bytes], bytes]) -> None:
    world = World([Sample("a", 0)], [Label("a", 5)], RULES)
    worker = worker_of(world)
    worker.process(1, 1)
    good = worker.send(1)
    assert good is not None
    assert good.value is not None
    world.log.records.pop()
    assert damage(good.value) != good.value
    again(world, good, "vandal", damage(good.value))
    again(world, good)
    worker.read()
    assert worker.view.fold.undecodable == 1
    assert worker.view.fold.tally.joined == 1
    play.assert_alike(world, [worker])


def test_a_hole_in_either_topic_moves_on_and_leaves_what_waits() -> None:
    world = World([Sample("a", 0), Sample("b", 1), Sample("c", 2)], [Label("a", 5), Label("c", 6)], RULES)
    worker = worker_of(world)
    worker.process(1, 0)
    settled(worker)
    standing = worker.view.fold.standings[P]
    counts = {"samples": 0, "dead_letters": 0, **LABELS}
    world.log.append("hole", "w", 0, b"{}", **P.headers(), from_=1, to=2, label_from=0, label_to=0,
                     after=standing.after, **counts)  # fmt: skip
    world.log.append("hole", "w", 1, b"{}", **P.headers(), from_=2, to=2, label_from=0, label_to=1,
                     after="w:0", **counts)  # fmt: skip
    worker.read()
    assert (worker.view.fold.next[P], standing.label_next, standing.after) == (2, 1, "w:1")
    assert worker.view.fold.holes == [
        {"partition": "samples-0", "from": 1, "to": 2, "label_from": 0, "label_to": 0},
        {"partition": "samples-0", "from": 2, "to": 2, "label_from": 0, "label_to": 1},
    ]
    play.finish(world, [worker], play.always)
    assert [row.id for row in play.plain_log(world).joined] == ["c"]
    assert sorted(worker.whole()) == ["a"]
    play.assert_alike(world, [worker])


def test_a_hole_throws_a_pending_batch_out() -> None:
    world = World([Sample("a", 0)], [Label("a", 5)], RULES)
    worker = worker_of(world)
    worker.process(1, 1)
    world.log.append("hole", "w", 0, b"{}", **P.headers(), from_=0, to=1, label_from=0, label_to=0, after="",
                     samples=0, dead_letters=0, **LABELS)  # fmt: skip
    worker.read()
    assert not worker.view.pending
    assert worker.waiting.count == 0
    play.assert_alike(world, [worker])


@pytest.mark.parametrize("missing", ["label_topic", "label_topic_id", "label_next"])
def test_an_open_that_does_not_say_where_its_labels_begin_is_undecodable(missing: str) -> None:
    world = World([], [], RULES)
    headers = {**LABELS, "label_next": "0"}
    del headers[missing]
    world.log.append("open", "w", 0, None, topic="t", topic_id="i", partition=1, next=0, **headers)
    worker = Worker(world)
    worker.read()
    assert worker.view.fold.undecodable == 1
    assert list(worker.view.fold.next) == list(worker.view.fold.standings) == [P]


def test_the_second_open_of_a_partition_is_ignored() -> None:
    world = World([], [], RULES)
    world.log.append("open", "w", 0, None, **P.headers(), next=7, **LABELS, label_next=9)
    worker = Worker(world)
    worker.read()
    assert (worker.view.fold.next[P], worker.view.fold.standings[P].label_next) == (0, 0)
    assert worker.view.fold.ignored == 1
