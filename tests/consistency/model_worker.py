"""One worker of the model: its fold, its view, what is pending, and where its partitions stand.

All functions are pure: a worker goes in, the worker afterwards comes out. Rule numbers are those of
LEARNING-LOG.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from tests.consistency.model_contract import NOT_OPEN, Broken, Effect, Record, effects

T = TypeVar("T")

# Where a partition stands in a worker.
AWAY = "away"  # not owned
TAKEN = "taken"  # owned: waits for echoes, and for the end of the log
OPENING = "opening"  # its `open` was sent
DROPPED = "dropped"  # pending was dropped: waits for echoes
SKIPPING = "skipping"  # its `hole` was sent
STANDS = "stands"


class Batch(NamedTuple):
    """A processed batch that has not been read back; `seq` of its record, -1 before it is sent."""

    partition: int
    start: int
    stop: int
    acknowledged: bool = False
    seq: int = -1

    def __str__(self) -> str:
        return f"p{self.partition}[{self.start},{self.stop})"


class Fetched(NamedTuple):
    """A fetched batch that waits to be processed; not `current` once its partition was sought again."""

    start: int
    stop: int
    current: bool = True


class Worker(NamedTuple):
    """A worker. `read`, `learned` and `view` are counted from the state's base (see model_log)."""

    read: int  # records of the log
    next: tuple[int, ...]  # the fold's next offsets
    learned: tuple[Effect, ...]  # the fold's parameters
    view: tuple[Effect, ...]  # the view's parameters
    pending: tuple[Batch, ...]
    place: tuple[str, ...]
    position: tuple[int, ...]
    unread: tuple[tuple[int, int], ...]  # (seq, partition) of data records sent and not read back
    sent: tuple[Record, ...]  # in flight to the log
    fetcher: tuple[int, ...]  # where each partition is fetched next
    fetched: tuple[tuple[Fetched, ...], ...]


def fresh(read: int, next_: tuple[int, ...], learned: tuple[Effect, ...]) -> Worker:
    """A process that has just started: it has loaded a checkpoint and owns nothing."""
    n = len(next_)
    return Worker(read, next_, learned, learned, (), (AWAY,) * n, (0,) * n, (), (), (0,) * n, ((),) * n)


def put(values: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    """`values` with one of them replaced."""
    return (*values[:at], value, *values[at + 1 :])


def samples(batches: Iterable[Batch]) -> tuple[Effect, ...]:
    """The samples of batches, in order."""
    return tuple((b.partition, offset) for b in batches for offset in range(b.start, b.stop))


def take(worker: Worker, p: int) -> Worker:
    """Rule 8: assigned, perhaps once more: drop what is pending for the partition, then wait."""
    return _without(worker, lambda b: b.partition == p)._replace(place=put(worker.place, p, TAKEN))


def may_stand(worker: Worker, p: int, at_end: bool, broken: Broken) -> bool:
    """Rules 8 and 11: whether a waiting partition can be processed again."""
    place = worker.place[p]
    if place in (AWAY, STANDS) or (worker.next[p] == NOT_OPEN and not broken.no_open):
        return False
    if place == SKIPPING:
        return worker.next[p] != worker.position[p]
    if awaits_echo(worker, p) and not broken.no_wait:
        return False
    return place != TAKEN or at_end


def awaits_echo(worker: Worker, p: int) -> bool:
    """Rule 11: whether something that this producer sent for the partition was not read back."""
    return any(of == p for _, of in worker.unread)


def stand(worker: Worker, p: int) -> Worker:
    """Seek to the fold's next offset; what was fetched before the seek is no longer current."""
    offset = max(worker.next[p], 0)
    stale = tuple(f._replace(current=False) for f in worker.fetched[p])
    return worker._replace(
        place=put(worker.place, p, STANDS),
        position=put(worker.position, p, offset),
        fetcher=put(worker.fetcher, p, offset),
        fetched=put(worker.fetched, p, stale),
    )


def process(worker: Worker, p: int, start: int, stop: int) -> Worker:
    """Rule 9: predict and learn in the view; the batch is pending from now on."""
    batch = Batch(p, start, stop)
    return worker._replace(
        pending=(*worker.pending, batch),
        view=worker.view + samples([batch]),
        position=put(worker.position, p, stop),
    )


def send(worker: Worker, first: int, count: int) -> Worker:
    """Append pending batches [first, first + count), neighbours of one partition, as one record."""
    group = worker.pending[first : first + count]
    seq = 1 + max([seq for seq, _ in worker.unread] + [b.seq for b in worker.pending])
    record = Record(
        "data",
        group[0].partition,
        group[0].start,
        group[-1].stop,
        seq=seq,
        acknowledged=all(b.acknowledged for b in group),
    )
    pending = worker.pending[:first] + tuple(b._replace(seq=seq) for b in group)
    return worker._replace(
        pending=pending + worker.pending[first + count :],
        unread=(*worker.unread, (seq, group[0].partition)),
        sent=(*worker.sent, record),
    )


def fail(worker: Worker) -> Worker:
    """Rule 12: the producer ends; pending is dropped, and every partition waits for the end of the log."""
    places = tuple(place if place == AWAY else TAKEN for place in worker.place)
    return _without(worker, lambda b: True)._replace(place=places, unread=(), sent=())


def read(worker: Worker, record: Record, mine: bool, broken: Broken) -> tuple[Worker, str, str]:
    """Fold the next record (rules 2, 3, 10): the worker, what became of the record, what is wrong."""
    p = record.partition
    echo = mine and (record.seq, p) in worker.unread
    unread = tuple(one for one in worker.unread if not (echo and one == (record.seq, p)))
    worker = worker._replace(read=worker.read + 1, unread=unread)
    if record.kind == "open":
        if worker.next[p] != NOT_OPEN:
            return worker, "ignored", ""
        return worker._replace(next=put(worker.next, p, record.start)), "counts", ""
    if not _counts(worker.next[p], record, broken):
        return worker, "ignored", ""
    worker = worker._replace(next=put(worker.next, p, record.stop), learned=worker.learned + effects(record))
    if mine and worker.pending and worker.pending[0].seq == record.seq:
        rest = tuple(b for b in worker.pending if b.seq != record.seq)
        return worker._replace(pending=rest), "counts, its own", ""
    return _foreign(worker, record, echo, broken)


def _foreign(worker: Worker, record: Record, echo: bool, broken: Broken) -> tuple[Worker, str, str]:
    p, wrong = record.partition, ""
    said = "counts, foreign"
    if broken.no_rebase:
        worker = worker._replace(view=worker.view + effects(record))
    else:
        worker = worker._replace(view=worker.learned + samples(worker.pending))
    first = next((b for b in worker.pending if b.partition == p), None)
    astray = first is not None and first.start != record.stop
    idle = first is None and worker.place[p] == STANDS and worker.position[p] != record.stop
    if (astray and not broken.no_drop) or (idle and not broken.idle_stands):
        if astray and echo:
            wrong = "work without end: a worker's own echo killed what it had processed anew"
        worker = _without(worker, lambda b: b.partition == p)
        if worker.place[p] == STANDS:
            worker = worker._replace(place=put(worker.place, p, DROPPED))
        said += "; pending is dropped" if astray else "; it is sought again"
    return worker, said, wrong


def _counts(expected: int, record: Record, broken: Broken) -> bool:
    if expected == NOT_OPEN:
        return broken.no_open
    return broken.any_from or (record.start == expected and record.stop > record.start)


def _without(worker: Worker, which: Callable[[Batch], bool]) -> Worker:
    """Undo all pending, and learn again what stays."""
    kept = tuple(b for b in worker.pending if not which(b))
    if kept == worker.pending:
        return worker
    return worker._replace(pending=kept, view=worker.learned + samples(kept))
