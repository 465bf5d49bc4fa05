"""Whatever happens to workers, log, outputs and store, in whatever order: each label is joined exactly once.

Hypothesis plays with a LateMachine. GRADSTREAM_LONG=1 plays ten times as long.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streams.labels import keeper
from tests.streams.labels.machine import PARTITIONS, WORKERS, LateMachine, Message, model_settings
from tests.streams.labels.world import Label, Sample

LONG = os.environ.get("GRADSTREAM_LONG") == "1"

slots = st.integers(0, WORKERS - 1)
partitions = st.integers(0, PARTITIONS - 1)
places = st.integers(0, 7)
"""Of something in a list that may be shorter."""
sizes = st.sampled_from([2, 1, 3, 6])
owned = st.sampled_from([(0,), (0, 1), (1,), (1, 0), ()])


@st.composite
def traffic(draw: st.DrawFn, horizon: int, patience: int) -> list[Message]:
    """Samples in order, labels out of order by the patience at most, both in the order of arrival.

    An id whose first label is out of time has none in time behind it: which of them comes before the sample
    would decide.
    """
    times = sorted(draw(st.lists(st.integers(0, 300), min_size=12, max_size=30)))
    delay = st.tuples(st.integers(-patience - 2, horizon + 2), st.integers(0, patience))
    arrivals: list[tuple[int, int, Message]] = []
    for i, time in enumerate(times):
        partition, own = draw(partitions), draw(st.sampled_from([None] * 7 + [1]))
        arrivals.append((time, i, (partition, Sample(f"s{i}", time, own), False)))
        labels = sorted(
            (time + after + jitter, time + after) for after, jitter in draw(st.lists(delay, max_size=2))
        )
        in_time = [-patience <= at - time <= horizon for _, at in labels]
        for arrival, at in labels[:1] if in_time == [False, True] else labels:
            arrivals.append((arrival, i, (partition, Label(f"s{i}", at, draw(st.integers(0, 1))), True)))
        if draw(st.integers(0, 9)) == 0:
            arrivals.append((time, i, (partition, None, draw(st.booleans()))))
    return [message for *_, message in sorted(arrivals, key=lambda one: one[:2])]


class Faults(RuleBasedStateMachine):
    """What may happen."""

    machine: LateMachine | None = None

    @initialize(
        data=st.data(),
        horizon=st.sampled_from([40, 120]),
        patience=st.sampled_from([5, 30]),
        negative=st.booleans(),
    )
    def begin(self, data: st.DataObject, horizon: int, patience: int, negative: bool) -> None:
        made = model_settings(horizon, patience, negative)
        self.machine = LateMachine(made, data.draw(traffic(horizon, patience)))
        self.machine.produce(12)
        for slot in range(WORKERS):
            self.assign(slot, (slot,))

    @rule(count=st.integers(2, 12))
    def produce(self, count: int) -> None:
        self.machine.produce(count)

    @rule(slot=slots, owned=owned)
    def assign(self, slot: int, owned: tuple[int, ...]) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.assign(owned)
            self.machine.settle()

    @rule(slot=slots, size=sizes, labels=sizes, times=st.integers(2, 6))
    def work(self, slot: int, size: int, labels: int, times: int) -> None:
        """Samples and labels are fetched, and processed as far as that goes."""
        for _ in range(times):
            if (worker := self.machine.started(slot)) is not None:
                for partition in worker.assigned:
                    worker.fetch(partition, size)
                    worker.fetch_labels(partition, labels)
                worker.process(len(worker.prefetched))
                self.machine.settle()
                self.machine.loop.pass_time(0.03)

    @rule(size=sizes, labels=sizes, save=st.booleans())
    def all_work(self, size: int, labels: int, save: bool) -> None:
        """Everybody, with all that was held let go before; perhaps with a save."""
        self.machine.release()
        for slot in range(WORKERS):
            self.work(slot, size, labels, 3)
            if save:
                self.save(slot)

    @rule(slot=slots, size=sizes, labels=sizes, fail=st.booleans())
    def work_in_doubt(self, slot: int, size: int, labels: int, fail: bool) -> None:
        """What is appended is on its way; or that fails, and nobody knows whether it has arrived."""
        self.machine.log.holding = True
        self.work(slot, size, labels, 4)
        for append in list(self.machine.log.held) if fail else []:
            append.fail()
        self.machine.settle()
        self.time_passes(6.0)

    @rule(partition=partitions, size=sizes, labels=sizes, places=st.lists(places, max_size=12))
    def contend(self, partition: int, size: int, labels: int, places: list[int]) -> None:
        """Two believe that a partition is theirs: the record that arrives first counts."""
        for slot in range(WORKERS):
            self.assign(slot, (partition,))
        self.machine.log.holding = True
        for place in places:
            self.work(place % WORKERS, size, labels, 2)
            held = self.machine.log.held
            if held:
                held[place % len(held)].succeed()
                self.machine.settle()

    @rule(slot=slots, partition=partitions, size=sizes)
    def labels_alone(self, slot: int, partition: int, size: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.fetch_labels(partition, size)
            self.machine.settle()
            self.machine.loop.pass_time(0.03)

    @rule(slot=slots, partition=partitions, size=sizes)
    def prefetch(self, slot: int, partition: int, size: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.fetch(partition, size)

    @rule(slot=slots, most=st.integers(1, 3))
    def process(self, slot: int, most: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.process(most)
            self.machine.settle()

    @rule(slot=slots)
    def crash(self, slot: int) -> None:
        self.machine.crash(slot)

    @rule(slot=slots)
    def save(self, slot: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.save()
            self.machine.settle()

    @rule(seconds=st.sampled_from([0.05, 1.1, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.machine.loop.pass_time(seconds)
        self.machine.settle()

    # The log, and the outputs

    @rule(log=st.booleans(), outputs=st.booleans())
    def hold(self, log: bool, outputs: bool) -> None:
        self.machine.log.holding, self.machine.outbox.holding = log, outputs

    @precondition(lambda self: self.machine and self.machine.outbox.held)
    @rule(place=places, fail=st.sampled_from([False] * 5 + [True]))
    def answer(self, place: int, fail: bool) -> None:
        self.machine.outbox.answer(place, fail)
        self.machine.settle()

    @precondition(lambda self: self.machine and self.machine.log.held)
    @rule(place=places, what=st.sampled_from(["succeed", "succeed", "arrive", "fail"]))
    def append(self, place: int, what: str) -> None:
        held = self.machine.log.held
        getattr(held[place % len(held)], what)()
        self.machine.settle()

    @precondition(lambda self: self.machine and self.machine.past)
    @rule(place=places)
    def arrive_late(self, place: int) -> None:
        past = self.machine.past
        past[-1 - place % len(past)].arrive()
        self.machine.settle()

    @rule(slot=slots, until=st.integers(0, 4))
    def slow_log(self, slot: int, until: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            fold = worker.model.fold
            worker.reader.show(None if until == 0 else fold.log_offset + until - 1)
            self.machine.settle()

    # The store

    @rule(what=st.sampled_from(["lose", "lose_rows", "rewind", "away", "back", "back"]), place=places)
    def store(self, what: str, place: int) -> None:
        store = self.machine.store
        if what == "rewind":
            store.rewind(place)
        elif what in ("away", "back"):
            store.away = what == "away"
        else:
            getattr(store, what)()

    def teardown(self) -> None:
        if self.machine is not None:
            try:
                self.machine.drain()
            finally:
                self.machine.close()


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two or three rows fit in memory; the others wait in the store alone."""
    monkeypatch.setattr(keeper, "MEMORY_BYTES", 2_000)


def test_whatever_happens_each_label_is_joined_exactly_once_and_all_agree() -> None:
    run_state_machine_as_test(
        Faults,
        settings=settings(
            max_examples=600 if LONG else 60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
