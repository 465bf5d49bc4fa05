"""Whatever happens to workers, log, outputs and store, in whatever order: one result, exactly once.

Hypothesis plays with a Machine (tests/streams/machine.py). GRADSTREAM_LONG=1 plays ten times as long.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.memory_store import MemoryStore
from infra.store import Checkpoint, SaveAnswer
from streams.appender import Appender
from streams.fold import Fold
from streams.log_format import PartitionId
from streams.processor import Processor
from streams.view import Batch
from tests.streams.machine import PARTITIONS, UPDATES, WORKERS, Machine
from tests.streams.machine_worker import MachineWorker

LONG = os.environ.get("GRADSTREAM_LONG") == "1"
MIXED = ["labelled"] * 6 + ["unlabelled", "garbage", "gap", "wild"]

slots = st.integers(0, WORKERS - 1)
partitions = st.integers(0, PARTITIONS - 1)
places = st.integers(0, 7)
"""Of something in a list that may be shorter."""
sizes = st.sampled_from([2, 2, 4, 1, 3, 6])
"""Of fetched batches; mostly those whose boundaries meet again at two owners."""
owned = st.sampled_from([(0,), (0, 1), (0, 1, 2), (1,), (1, 2), (2, 0), ()])
kinds = st.lists(st.sampled_from(MIXED), min_size=4, max_size=16)


class Faults(RuleBasedStateMachine):
    """What may happen."""

    machine: Machine | None = None

    @initialize(update=st.sampled_from(sorted(UPDATES)), kinds=kinds, first=owned, second=owned)
    def begin(self, update: str, kinds: list[str], first: tuple[int, ...], second: tuple[int, ...]) -> None:
        self.machine = Machine(update)
        for partition in range(PARTITIONS):
            self.produce(partition, kinds)
        self.assign(0, first)
        self.assign(1, second)

    @rule(partition=partitions, kinds=kinds)
    def produce(self, partition: int, kinds: list[str]) -> None:
        for kind in kinds:
            self.machine.inputs[partition].produce(kind)

    @rule(slot=slots, owned=owned)
    def assign(self, slot: int, owned: tuple[int, ...]) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.assign(owned)
            self.machine.settle()

    @rule(slot=slots, size=sizes, times=st.integers(1, 6))
    def work(self, slot: int, size: int, times: int) -> None:
        """Fetch some batches of each partition, and process all that is fetched."""
        self.prefetch(slot, size, times)
        self.process(slot, 100)

    @rule(slot=slots, size=sizes, times=st.integers(1, 4))
    def prefetch(self, slot: int, size: int, times: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            for _ in range(times):
                for partition in worker.assigned:
                    worker.fetch(partition, size)

    @rule(slot=slots, most=st.integers(1, 3))
    def process(self, slot: int, most: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.process(most)
            self.machine.settle()

    @rule(appends=st.booleans())
    def hold_or_let_go(self, appends: bool) -> None:
        channel = self.machine.log if appends else self.machine.outbox
        channel.holding = not channel.holding

    @precondition(lambda self: self.machine.log.held)
    @rule(place=places, what=st.sampled_from(["succeed", "arrive", "fail"]))
    def answer_an_append(self, place: int, what: str) -> None:
        if held := self.machine.log.held:
            getattr(held[place % len(held)], what)()
            self.machine.settle()

    @rule(slot=slots, size=sizes, before=st.integers(0, 2), arrives=st.booleans())
    def work_until_an_append_fails(self, slot: int, size: int, before: int, arrives: bool) -> None:
        """In the middle of a pipeline; whether it has arrived all the same, its worker cannot know."""
        self.machine.log.holding = True
        self.work(slot, size, 4)
        for _ in range(before):
            self.answer_an_append(0, "succeed")
        if arrives:
            self.answer_an_append(0, "arrive")
        self.answer_an_append(0, "fail")
        self.machine.log.holding = False

    @precondition(lambda self: self.machine.past)
    @rule(place=places)
    def an_append_arrives_late_or_again(self, place: int) -> None:
        self.machine.past[-1 - place % len(self.machine.past)].arrive()
        self.machine.settle()

    @precondition(lambda self: self.machine.outbox.held)
    @rule(place=places, most=st.integers(1, 6), fail=st.sampled_from([False] * 7 + [True]))
    def answer_deliveries(self, place: int, most: int, fail: bool) -> None:
        for _ in range(min(most, len(self.machine.outbox.held))):
            self.machine.outbox.answer(place, fail)
        self.machine.settle()

    @rule(slot=slots, behind=st.none() | st.integers(0, 3))
    def show(self, slot: int, behind: int | None) -> None:
        """Let a worker read all of the log, or nothing that comes now: it goes on as a zombie."""
        if (worker := self.machine.started(slot)) is not None:
            worker.reader.show(None if behind is None else max(0, self.machine.log.end - behind))
            self.machine.settle()

    @rule(slot=slots, back=st.booleans())
    def crash(self, slot: int, back: bool) -> None:
        worker = self.machine.workers[slot]
        self.machine.crash(slot)
        if back and worker is not None:
            self.assign(slot, worker.assigned)

    @rule(slot=slots)
    def save(self, slot: int) -> None:
        if (worker := self.machine.started(slot)) is not None:
            worker.save()
            self.machine.settle()

    @rule()
    def a_second_passes(self) -> None:
        """All save, and compare their digests."""
        self.machine.loop.pass_time(1.0)
        self.machine.settle()

    @rule(slot=slots, back=st.sampled_from([1, 1, 2, 5, None]))
    def the_store_falls_back_between_saves(self, slot: int, back: int | None) -> None:
        """By so many saves, or it loses everything; what is processed before and after is little."""
        self.save(slot)
        self.work(slot, 2, 1)
        self.save(slot)
        if back is None:
            self.machine.store.lose()
        elif self.machine.store.kept:
            self.machine.store.rewind(back)
        self.work(slot, 1, 1)
        self.save(slot)

    @precondition(lambda self: self.machine.log.end)
    @rule(partition=st.none() | partitions)
    def somebody_elses_record(self, partition: int | None) -> None:
        """Of an operator who lets the model learn again, or one that nobody can decode."""
        if partition is None:
            self.machine.put_resume()
        else:
            self.machine.put_garbage(partition)

    def teardown(self) -> None:
        if self.machine is not None:
            try:
                if not self.machine.broken:
                    self.machine.drain()
            finally:
                self.machine.close()


def play(examples: int, **more: Any) -> None:
    """Let Hypothesis play so many games."""
    options = {"stateful_step_count": 50, "deadline": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(Faults, settings=settings(max_examples=examples, **options, **more))


@pytest.fixture(autouse=True)
def small_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline is full, and its limit adapted, with few samples."""
    monkeypatch.setattr("streams.processor.MAX_PENDING_BATCHES", 6)
    monkeypatch.setattr("streams.pacing.SMALLEST", 4)
    monkeypatch.setattr("streams.pacing.WINDOW", 12)


def test_whatever_happens_all_learn_each_sample_exactly_once_and_alike() -> None:
    play(1_000 if LONG else 100)


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.close()


def test_an_append_that_fails_while_the_pipeline_is_full_stops_nobody(machine: Machine) -> None:
    worker = pipeline(machine, 0, batches=12)
    machine.log.held[0].fail()
    machine.log.holding = False
    machine.finish()
    assert worker.model.view.samples_redone == 0
    machine.drain()


def pipeline(machine: Machine, slot: int, batches: int) -> MachineWorker:
    """A worker that owns everything has as many batches of two samples as fit in its pipeline, unsent."""
    while machine.inputs[0].end < 2 * batches:
        machine.inputs[0].produce("labelled")
    worker = machine.worker(slot)
    worker.assign((0, 1, 2))
    machine.settle()
    machine.log.holding = True
    for _ in range(batches):
        worker.fetch(0, 2)
    worker.process(batches)
    machine.settle()
    return worker


def test_after_a_drop_the_echoes_of_what_was_sent_kill_nothing_new(machine: Machine) -> None:
    assert wasted_by_two_owners(machine) == 1


def test_without_waiting_for_echoes_they_would(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    no_wait_for_echoes(monkeypatch)
    assert wasted_by_two_owners(machine) > 5


def wasted_by_two_owners(machine: Machine) -> int:
    """How many records are appended for nothing.

    Two owners have the same batches. One is first with the first of them; the other has sent six when it
    reads so, and goes on while it reads their echoes one by one.
    """
    for _ in range(60):
        machine.inputs[0].produce("labelled")
    one, two = machine.worker(0), machine.worker(1)
    for worker in (one, two):
        worker.watch_echoes = False
        worker.assign((0, 1, 2))
        machine.settle()
    until = machine.log.end
    one.reader.show(until)
    for worker in [two] + [one] * 6:
        work_on_one(machine, worker)
    two.assign(())
    while until < machine.log.end:
        until += 1
        one.reader.show(until)
        machine.settle()
        work_on_one(machine, one)
    machine.drain()
    return machine.plain.wasted


def work_on_one(machine: Machine, worker: MachineWorker) -> None:
    worker.fetch(0, 2)
    worker.process(1)
    machine.settle()


# Deliberately broken variants


def accept_any_from(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fold, "counts", lambda fold, record: record.partition() in fold.next)


def append_before_acknowledged(patch: pytest.MonkeyPatch) -> None:
    right, running = Appender.deliver, []

    def deliver(appender: Appender, batch: Batch, delivery: Coroutine[Any, Any, None]) -> None:
        running.append(asyncio.ensure_future(delivery))
        right(appender, batch, asyncio.sleep(0))

    patch.setattr(Appender, "deliver", deliver)


def accept_lower_offsets(patch: pytest.MonkeyPatch) -> None:
    right = MemoryStore.save

    async def save(store: MemoryStore, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        if (found := store._checkpoints.get(model)) is not None and found.log_offset > checkpoint.log_offset:
            found.text["log_offset"] = str(checkpoint.log_offset - 1)
        return await right(store, model, checkpoint)

    patch.setattr(MemoryStore, "save", save)


def accept_any_since(patch: pytest.MonkeyPatch) -> None:
    right = MemoryStore.save

    async def save(store: MemoryStore, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        since = None if checkpoint.since is None else 0
        return await right(store, model, replace(checkpoint, since=since))

    patch.setattr(MemoryStore, "save", save)


def no_wait_for_echoes(patch: pytest.MonkeyPatch) -> None:
    async def at_once(processor: Processor, partition: PartitionId) -> None:
        return None

    patch.setattr(Processor, "_echoes_read", at_once)


def leave_out_open(patch: pytest.MonkeyPatch) -> None:
    async def stand(processor: Processor, partition: PartitionId, start: int, *_: object) -> None:
        processor.fold.next.setdefault(partition, start)

    patch.setattr(Processor, "open", stand)


BROKEN = {
    accept_any_from: "a worker differs",
    append_before_acknowledged: "acknowledged",
    accept_lower_offsets: "moved the store back|damaged",
    accept_any_since: "the store differs|damaged",
    no_wait_for_echoes: "before the echo",
    leave_out_open: "a worker differs",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_variant_is_found(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(Exception, match=BROKEN[broken]):
        play(200, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
