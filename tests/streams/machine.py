"""Several workers on one log: everything that can be done to them, and what has to hold at each moment.

`Machine` is what Hypothesis (tests/streams/test_machine.py), or a directed scenario, plays with. All is
deterministic: after each move the event loop runs until everybody waits.
"""

from __future__ import annotations

import asyncio

from infra.settings import ModelSettings
from streams.appender import LONGEST_WAIT_SECONDS
from streams.checkpoints import Checkpoints
from streams.log_format import PartitionId, envelope
from streams.memory_log import Append, MemoryLogReader
from streams.verify import fold_to, new_view
from tests.streams.machine_contract import PlainFold, State, tensor_digest
from tests.streams.machine_worker import ALLOWED, NAME, SELF_TEST, MachineWorker
from tests.streams.machine_world import Input, Outbox, SteppedLoop, WatchedLog, WatchedStore

TOPIC = "samples"
PARTITIONS = 3
KNOWN = 2
"""Partitions that the topic has when the model begins; the others are added later."""
WORKERS = 3
UPDATES = {
    "sample": {"name": "sample"},
    "batch": {"name": "batch", "batch_size": 5},
    "window": {"name": "window", "window_size": 9, "stride": 4, "steps": 2},
}


def model_settings(update: str) -> ModelSettings:
    """A model whose state has several blocks, that halts soon, and is audited and saved every second."""
    table = {
        "name": NAME,
        "samples": TOPIC,
        "task": "regression",
        "features": {"numeric": ["x"], "categorical": ["c"], "hash_bits": 14},
        "halt_after": 3,
        "audit_every": 4,
        "save_every": "1s",
        "update": UPDATES[update],
    }
    return ModelSettings.model_validate(table)


class Machine:
    """See the module."""

    def __init__(self, update: str = "sample") -> None:
        self.loop = SteppedLoop()
        self.settings = model_settings(update)
        self.spec = self.settings.spec()
        self.inputs = [Input(partition) for partition in range(PARTITIONS)]
        self.plain = PlainFold(self.spec)
        self.log = WatchedLog(self.plain, self.inputs)
        self.store = WatchedStore()
        self.outbox = Outbox()
        self.workers: list[MachineWorker | None] = [None] * WORKERS
        self.past: list[Append] = []
        """Appends whose writers wait no more: they may arrive late, or once more."""
        self._seen: dict[MachineWorker, int] = {}
        self._gone: list[MachineWorker] = []
        self.broken = False
        """Whether a worker ended as none should: there is nothing left to be drained."""

    # Moves

    def worker(self, slot: int) -> MachineWorker:
        """The worker in a slot; a new one if there is none."""
        found = self.workers[slot]
        if found is None:
            found = self.workers[slot] = MachineWorker(
                self.loop, self.settings, self.log, self.store, self.outbox, self.inputs, KNOWN
            )
            self.settle()
        return found

    def started(self, slot: int) -> MachineWorker | None:
        """The worker in a slot, if it has come to the end of the log and runs."""
        found = self.worker(slot)
        return found if found.started and self.workers[slot] is found else None

    def crash(self, slot: int) -> None:
        """The worker in a slot is gone."""
        found, self.workers[slot] = self.workers[slot], None
        if found is not None:
            found.crash()
            self._gone.append(found)
            self.settle()

    def settle(self) -> None:
        """Run until all wait; workers that were told to fail are gone then; look at the others."""
        self.loop.settle()
        for append in [append for append in self.log.held if append.answered]:
            self.log.held.remove(append)
            self.past.append(append)
        for slot, worker in enumerate(self.workers):
            if worker is not None and (error := worker.failure()) is not None:
                if not isinstance(error, ALLOWED):
                    self.broken = True
                    raise error
                self.crash(slot)
        self.look()

    # What has to hold

    def look(self) -> None:
        """Every worker has the state of the plain fold at its log offset; so has the store."""
        for worker in self.workers:
            if worker is None or not hasattr(worker.model, "view"):
                continue
            fold = worker.model.view.fold
            if self._seen.get(worker) != fold.log_offset:
                self._seen[worker] = fold.log_offset
                assert State.of(fold) == self.plain.states[fold.log_offset], "a worker differs"
        if self.store.changed:
            self.store.changed = False
            self.look_at_store()

    def look_at_store(self) -> None:
        """What is stored can be loaded, and is the fold at the log offset where it says to stand."""
        view = new_view(self.spec)
        log_id = f"id of {self.settings.learning_log}"
        checkpoints = Checkpoints(NAME, self.spec, view, self.store, log_id)
        if self.loop.run_until_complete(checkpoints.load(SELF_TEST)):
            assert State.of(view.fold) == self.plain.states[view.fold.log_offset], "the store differs"

    # The end

    def drain(self) -> None:
        """All that was held is let go; everything that was produced is learned, and all have the same state.

        Nobody comes from outside, so a worker that was not woken when it should have been is found out.
        """
        self.release()
        self.finish()
        self.worker(0)
        running = [worker for worker in self.workers if worker is not None]
        for i, worker in enumerate(running):
            worker.assign(p for p in range(PARTITIONS) if p % len(running) == i)
        self.settle()
        self.finish()
        self.compare()

    def release(self) -> None:
        """Nothing is held any more."""
        self.log.holding = self.outbox.holding = False
        for worker in self.workers:
            if worker is not None:
                worker.reader.show(None)
        self.settle()
        while self.outbox.held or self.log.held:
            if self.outbox.held:
                self.outbox.answer(0)
            else:
                self.log.held[0].succeed()
            self.settle()

    def finish(self) -> None:
        """Owners process their partitions to the end, in batches of one size: two owners have the same."""
        idle = 0
        for _ in range(1_000):
            before = self.log.end
            for worker in self.workers:
                if worker is not None:
                    for partition in worker.assigned * 3:
                        worker.fetch(partition, 4)
                    worker.process(len(worker.prefetched))
            self.settle()
            if self._all_at_end():
                return
            if self.log.end == before:
                idle += 1
                assert idle < 5, "the workers are stuck"
                self.loop.pass_time(LONGEST_WAIT_SECONDS)  # somebody waits before he tries again
            else:
                idle = 0
        raise AssertionError("the workers come to no end")

    def compare(self) -> None:
        """Exactly once, in order, equal, saved."""
        for partition in self.inputs:
            learned = self.plain.learned[partition.partition]
            assert learned == partition.labelled, "a sample was lost, repeated, or learned out of order"
        assert self.plain.dead_letters == sum(len(partition.dead) for partition in self.inputs)
        running = [worker for worker in self.workers if worker is not None]
        running[0].save()
        self.settle()
        again = new_view(self.spec)
        reader = MemoryLogReader(self.log)
        self.loop.run_until_complete(fold_to(again, reader, self.log.end))
        for worker in running:
            fold = worker.model.view.fold
            assert not worker.model.view.pending
            assert fold.log_offset == self.log.end
            assert fold.digest() == again.fold.digest()
        assert tensor_digest(again.model) == self.plain.states[-1].tensors
        self.look_at_store()

    def close(self) -> None:
        """Leave nothing running."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()

    def _all_at_end(self) -> bool:
        """Whether all that is owned is learned, and nobody has anything pending."""
        running = [worker for worker in self.workers if worker is not None]
        owned = {p for worker in running for p in worker.assigned}
        return all(self.plain.next.get(self._id(p)) == self.inputs[p].end for p in owned) and not any(
            worker.started and worker.model.view.pending for worker in running
        )

    def _id(self, partition: int) -> PartitionId:
        return PartitionId(TOPIC, f"id of {TOPIC}", partition)

    # Records of others

    def put_resume(self) -> None:
        """An operator lets the model learn again."""
        self.log.put(b"resume", None, envelope("operator", self.log.end))
        self.settle()

    def put_garbage(self, partition: int) -> None:
        """A data record that stands in the right place, and that nobody can decode."""
        start = self.plain.next.get(self._id(partition), 0)
        headers = {**self._id(partition).headers(), "from_": start, "to": start + 3}
        self.log.put(
            b"data", b"garbage", envelope("vandal", self.log.end, **headers, samples=1, dead_letters=0)
        )
        self.settle()
