"""Worlds and moves for Hypothesis: what may be sent, what may happen, how a play ends, what then holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from streams.labels.plain import Rules
from tests.consistency.late_reader import LateLog
from tests.streams.labels.world import Cut, Label, P, Sample, Worker, World

Move = tuple[int, str, Any]
Fair = Callable[[World, Worker, int, int], bool]
"""Whether the broker may say that its labels end behind a batch of so many samples and labels."""

sizes = st.integers(0, 6)
moves = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(
            ["process"] * 5 + ["send"] * 2 + ["read"] * 2 + ["stand", "round", "round", "shrink", "odd"]
        ),
        st.tuples(sizes, sizes, st.booleans()),
    ),
    max_size=60,
)
"""Of two workers; what the numbers say depends on the move."""


@st.composite
def fair_worlds(draw: st.DrawFn) -> World:
    """Samples in order, of ids that come once; labels out of order by the patience at most.

    An id whose first label is out of time has none in time behind it: which of them comes before the sample
    would decide.
    """
    rules = Rules(
        draw(st.sampled_from([30, 100])), draw(st.sampled_from([1, 7, 25])), draw(st.booleans()), 1000
    )
    times = sorted(draw(st.lists(st.integers(0, 250), max_size=14)))
    owns = st.sampled_from([None] * 6 + [0, 1])
    samples = [
        Sample(f"s{i}", time, draw(owns), draw(st.sampled_from([1.0, 0.0, 2.5])))
        for i, time in enumerate(times)
    ]
    delays, jitters = st.integers(-rules.patience - 3, rules.horizon + 3), st.integers(0, rules.patience)
    sent = draw(st.lists(st.tuples(st.integers(-2, 13), delays, jitters, st.integers(0, 1)), max_size=24))
    arrivals = []
    for i, delay, jitter, value in sent:
        known = 0 <= i < len(samples)
        time = (samples[i].time if known else 60) + delay
        arrivals.append(
            (time + jitter, Label(f"s{i}" if known else f"nobody{i}", time, value, 1.0 + jitter % 2))
        )
    labels = [label for _, label in sorted(arrivals, key=lambda one: one[0])]
    first: dict[str, bool] = {}
    kept = []
    for label in labels:
        sample = next((one for one in samples if one.id == label.id), None)
        in_time = sample is not None and rules.in_time(sample.time, label.time)
        if first.setdefault(label.id, in_time) or not in_time:
            kept.append(label)
    return World(samples, kept, rules)


def fair(world: World, worker: Worker, samples: int, labels: int) -> bool:
    """No label that is still to come is older than the newest sample by more than the patience."""
    assert worker.at is not None
    newest = max((one.time for one in world.samples[: worker.at[0] + samples]), default=0)
    rest = world.labels[worker.at[1] + labels :]
    return all(label.time >= newest - world.rules.patience for label in rest)


ids = st.sampled_from([f"s{i}" for i in range(7)])
"""So few that they are used again while others of them wait, and afterwards."""


@st.composite
def wild_worlds(draw: st.DrawFn, limits: Sequence[int] = (1000,)) -> World:
    """Anything, in any order."""
    rules = Rules(
        draw(st.sampled_from([0, 20, 60])), draw(st.sampled_from([0, 5, 30])), draw(st.booleans()),
        draw(st.sampled_from(limits)),
    )  # fmt: skip
    times = st.integers(0, 150)
    weights = st.sampled_from([1.0, 0.0, 2.5])
    owns = st.sampled_from([None] * 5 + [0, 1])
    samples = draw(st.lists(st.builds(Sample, ids, times, owns, weights), max_size=16))
    labels = draw(
        st.lists(st.builds(Label, ids, times, st.integers(0, 1), weights, st.booleans()), max_size=24)
    )
    return World(samples, labels, rules)


def perform(world: World, crew: list[Worker], move: Move, may_end: Fair, shrinks: bool = True) -> None:
    """One move of one worker."""
    slot, what, (a, b, yes) = move
    worker = crew[slot]
    if what == "process" and worker.at is not None:
        worker.process(a, b, yes and may_end(world, worker, a, b))
    elif what == "send":
        worker.send(1 + a % 3)
    elif what == "read":
        worker.read(None if yes else 1 + a % 2)
    elif what == "stand":
        worker.stand()
    elif what == "round":  # nothing stays pending
        while worker.send(3):
            pass
        worker.read()
        worker.stand()
    elif what == "shrink":
        worker.save()
        worker.shrink(2 * a if shrinks else 0)
    elif what == "odd":
        _odd(world, worker, a, b)


def _odd(world: World, worker: Worker, a: int, b: int) -> None:
    """What should not happen, and does."""
    if a == 0:
        worker.start()
    elif a == 1:
        worker.send(3, lost=True)
    else:  # an older record arrives once more, whoever sent it
        old = [record for record in world.log.records if record.kind == "data"]
        if old:
            again = old[-1 - (a * 7 + b) % len(old)]
            own = ("format", "worker", "seq")
            names = {name: text for name, text in again.headers.items() if name not in own}
            world.log.append("data", again.worker, again.seq, again.value, **names)


def finish(world: World, crew: list[Worker], may_end: Fair) -> None:
    """The first worker brings both topics to their end; everybody reads all."""
    owner = crew[0]
    for _ in range(100):
        for worker in crew:
            worker.read()
        if owner.stand():
            owner.process(5, 5, may_end(world, owner, 5, 5))
        while owner.send(2):
            pass
        fold = owner.view.fold
        if not owner.view.pending and _at_end(world, fold.next[P], fold.standings[P].label_next):
            break
    for worker in crew:
        worker.read()
    assert not owner.view.pending


def _at_end(world: World, samples: int, labels: int) -> bool:
    return (samples, labels) == (len(world.samples), len(world.labels))


def plain_log(world: World) -> LateLog:
    """What the plain reader finds in the log; nothing of it contradicts itself."""
    log = LateLog()
    for record in world.log.records:
        log.read(record.offset, record.kind, record.headers, record.value)
    assert not log.problems, log.problems
    return log


def assert_alike(world: World, crew: list[Worker]) -> None:
    """All have the same fold, and the same waits: so has one that reads the log anew."""
    reader = Worker(world)
    reader.read()
    early, joined, clocks = reader.waiting.counted
    for worker in crew:
        assert worker.view.fold.digest() == reader.view.fold.digest()
        assert worker.view.fold.names == reader.view.fold.names
        if not worker.view.pending:
            assert worker.whole() == reader.whole()
            assert worker.waiting.counted == (early, joined, clocks)
            assert (worker.waiting.early, worker.waiting.clocks) == (early, clocks)
            assert worker.waiting.count == reader.view.fold.standings[P].waiting


def always(world: World, worker: Worker, samples: int, labels: int) -> bool:
    """The broker may say anything at any time."""
    return True


__all__ = [
    "Cut",
    "always",
    "assert_alike",
    "fair",
    "fair_worlds",
    "finish",
    "moves",
    "perform",
    "plain_log",
    "wild_worlds",
]
