"""One worker of the late-label model: it reads samples and labels in an order of its own, and appends.

All functions are pure: a worker goes in, the worker afterwards comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from tests.consistency.labels_check_fold import Desk, Given, Record, Rules, counts, fold, written


class Worker(NamedTuple):
    """`fold` is made of the log's records; `view` is what the worker believes, made of its own reading."""

    read: int = 0  # records of the log of the state
    fold: Desk = Desk()
    view: Desk = Desk()
    pending: tuple[Record, ...] = ()  # appended, and not read back
    doubtful: bool = False  # what it appends now is lost, or late, and it does not know that yet


def append(worker: Worker, name: int, after: Desk) -> tuple[Worker, Record]:
    """The next batch turns the view into `after`; `name` is that of its record."""
    record = written(name, worker.view, after)
    return worker._replace(view=after._replace(last=name), pending=(*worker.pending, record)), record


def read(worker: Worker, log: Sequence[Record], rules: Rules) -> Worker:
    """Fold all records to the log's end: own ones at the head of pending are let go, others drop pending."""
    for record in log[worker.read :]:
        if counts(worker.fold, record, rules):
            worker = worker._replace(fold=fold(worker.fold, record))
            if worker.pending and worker.pending[0].name == record.name:
                worker = worker._replace(pending=worker.pending[1:])
            else:
                worker = worker._replace(pending=(), view=worker.fold)
    return worker._replace(read=len(log))


def begin_again(worker: Worker, log: Sequence[Record], rules: Rules) -> Worker:
    """After a doubtful append or a crash: nothing is pending, the log is read to its end, and sought."""
    worker = read(worker._replace(pending=(), doubtful=False), log, rules)
    return worker._replace(view=worker.fold)


@cache
def batches(desk: Desk, given: Given, size: int, empty: bool) -> tuple[Desk, ...]:
    """All that a batch of at most `size` events can make of a desk, whatever their order.

    `empty`: also batches that read nothing, and only let go.
    """
    found, reached = {desk}, {desk}
    for _ in range(size):
        reached = {after for before in reached for after in _events(before, given)} - found
        found |= reached
    stood = (desk.samples, desk.labels)
    return tuple(sorted(one for one in found - {desk} if empty or (one.samples, one.labels) != stood))


def _events(desk: Desk, given: Given) -> Iterator[Desk]:
    """The next sample is read, or the next label; or something is let go."""
    after = []
    if desk.samples < len(given.samples):
        after.append(_sample(desk, given))
    if desk.labels < len(given.labels):
        after.append(_label(desk, given))
    if given.let_go == "at any time":
        yield from after
        yield from (_expired(desk, sample) for sample in desk.waiting)
        yield from (_given_up(desk, label) for label in desk.early)
    else:
        yield from (_by_clocks(d, given) if given.let_go == "by the clocks" else d for d in after)


def _sample(desk: Desk, given: Given) -> Desk:
    """A sample finds its early label, or waits. An early label that turns out to be out of time is let go."""
    sample = desk.samples
    desk = desk._replace(samples=sample + 1)
    for label in desk.early:
        if given.labels[label][0] == sample and given.in_time(sample, label):
            early = tuple(one for one in desk.early if one != label)
            return desk._replace(early=early, joined=tuple(sorted((*desk.joined, (sample, label)))))
        if given.labels[label][0] == sample:
            desk = _given_up(desk, label)
    return desk._replace(waiting=tuple(sorted((*desk.waiting, sample))))


def _label(desk: Desk, given: Given) -> Desk:
    """A label finds its sample, or is out of time, or a repeat, or early."""
    label, sample = desk.labels, given.labels[desk.labels][0]
    desk = desk._replace(labels=label + 1)
    if sample in desk.waiting:
        if not given.in_time(sample, label):
            return _given_up(desk, label)
        waiting = tuple(one for one in desk.waiting if one != sample)
        return desk._replace(waiting=waiting, joined=tuple(sorted((*desk.joined, (sample, label)))))
    if sample in [s for s, _ in desk.joined] or sample in [given.labels[one][0] for one in desk.early]:
        return desk
    return desk._replace(early=(*desk.early, label))


def _expired(desk: Desk, sample: int) -> Desk:
    waiting = tuple(one for one in desk.waiting if one != sample)
    return desk._replace(waiting=waiting, expired=tuple(sorted((*desk.expired, sample))))


def _given_up(desk: Desk, label: int) -> Desk:
    early = tuple(one for one in desk.early if one != label)
    return desk._replace(early=early, given_up=tuple(sorted((*desk.given_up, label))))


def _by_clocks(desk: Desk, given: Given) -> Desk:
    """Let go of what is due, by the largest event times of what was read."""
    long_ago = -1_000_000
    sample_time = max(given.samples[: desk.samples], default=long_ago)
    label_time = max((time for _, time in given.labels[: desk.labels]), default=long_ago)
    for sample in desk.waiting:
        if max(sample_time, label_time) - given.patience > given.samples[sample] + given.horizon:
            desk = _expired(desk, sample)
    for label in desk.early:
        if sample_time - given.patience > given.labels[label][1]:
            desk = _given_up(desk, label)
    return desk
