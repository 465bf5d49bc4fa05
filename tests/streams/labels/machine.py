"""Workers of a late-label model, everything that can be done to them, and what has to come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from infra.memory_store import MemoryStore
from infra.settings import ModelSettings
from infra.store import StoreUnavailable
from streams.appender import LONGEST_WAIT_SECONDS
from streams.labels.fold import LateFold
from streams.labels.plain import Rules
from streams.labels.processor import LateProcessor
from streams.memory_log import Append, MemoryLogReader
from streams.verify import fold_to, new_view
from tests.streams.labels.machine_worker import LateWorker, Surroundings
from tests.streams.labels.machine_world import Topic, TornStore, WatchedLateLog
from tests.streams.labels.reference import joins
from tests.streams.labels.world import Label, Sample
from tests.streams.machine_worker import ALLOWED, NAME
from tests.streams.machine_world import Outbox, SteppedLoop

PARTITIONS, WORKERS = 2, 2
Message = tuple[int, Sample | Label | None, bool]
"""A partition, what is sent to it (None: a gap), and whether to the labels topic."""


def model_settings(horizon: int, patience: int, negative: bool) -> ModelSettings:
    """Times in ms."""
    table = {
        "name": NAME, "samples": "samples", "labels": "labels", "task": "binary", "save_every": "1s",
        "label_horizon": f"{horizon}ms", "label_patience": f"{patience}ms", "audit_every": 4,
        "on_missing": "negative" if negative else "drop",
        "features": {"numeric": ["x"], "categorical": ["c"], "hash_bits": 8},
    }  # fmt: skip
    return ModelSettings.model_validate(table)


class LateMachine:
    """See the module. All is deterministic: after each move the event loop runs until everybody waits."""

    def __init__(self, settings: ModelSettings, messages: list[Message]) -> None:
        self.loop = SteppedLoop()
        self.settings = settings
        self.coming = messages
        self.sent: list[Message] = []
        self.samples = [Topic() for _ in range(PARTITIONS)]
        self.labels = [Topic() for _ in range(PARTITIONS)]
        self.log, self.outbox = WatchedLateLog(), Outbox()
        self.store = TornStore(self.log)
        self.checkpoints = MemoryStore()
        self.workers: list[LateWorker | None] = [None] * WORKERS
        self.past: list[Append] = []
        """Appends whose writers wait no more: they may arrive late, or once more."""
        self._around = Surroundings(
            self.loop,
            settings,
            self.samples,
            self.labels,
            self.log,
            self.checkpoints,
            self.store,
            self.outbox,
        )

    # Moves

    def produce(self, count: int) -> None:
        """The next messages are sent."""
        for message in self.coming[:count]:
            partition, what, to_labels = message
            (self.labels if to_labels else self.samples)[partition].produce(what)
        self.sent += self.coming[:count]
        del self.coming[:count]

    def worker(self, slot: int) -> LateWorker:
        """The worker in a slot; a new one if there is none."""
        found = self.workers[slot]
        if found is None:
            found = self.workers[slot] = LateWorker(self._around)
            self.settle()
        return found

    def started(self, slot: int) -> LateWorker | None:
        """The worker in a slot, if it has come to the end of the log and runs."""
        found = self.worker(slot)
        return found if found.started and self.workers[slot] is found else None

    def crash(self, slot: int) -> None:
        """The worker in a slot is gone."""
        found, self.workers[slot] = self.workers[slot], None
        if found is not None:
            found.crash()
            self.settle()

    def settle(self) -> None:
        """Run until all wait; workers that were told to fail are gone then."""
        self.loop.settle()
        for append in [append for append in self.log.held if append.answered]:
            self.log.held.remove(append)
            self.past.append(append)
        for slot, worker in enumerate(self.workers):
            if worker is not None and (error := worker.failure()) is not None:
                if not isinstance(error, (*ALLOWED, StoreUnavailable)):
                    raise error
                self.crash(slot)
        self.look()

    def look(self) -> None:
        """Every worker that owns a partition alone has what waits as the plain reader has it."""
        for worker in self.workers:
            if worker is None or not worker.started or worker.model.fold.log_offset != self.log.end:
                continue
            processor = worker.model.processor
            assert isinstance(processor, LateProcessor)
            fold = processor.fold
            for partition, waiting in processor.view.waiting.items():
                desk = self.log.plain.desks[partition.partition]
                assert fold.standings[partition].waiting == len(desk.waiting)
                if not any(batch.partition == partition for batch in processor.view.pending):
                    assert waiting.count == len(desk.waiting), "a worker has lost sight of a sample"
                    assert waiting.early.keys() == desk.early.keys(), "a worker has lost sight of a label"

    # The end

    def drain(self) -> None:
        """All that was held is let go, all is sent, processed and joined; everybody agrees."""
        self.release()
        self.produce(len(self.coming))
        self.worker(0)
        running = [worker for worker in self.workers if worker is not None]
        for i, worker in enumerate(running):
            worker.assign(p for p in range(PARTITIONS) if p % len(running) == i)
        self.settle()
        self._finish()
        self.compare(running)

    def release(self) -> None:
        """Nothing is held any more, and the store is there."""
        self.log.holding = self.outbox.holding = self.store.away = False
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

    def _finish(self) -> None:
        idle = 0
        for _ in range(1_000):
            before = self.log.end
            for worker in self.workers:
                if worker is not None:
                    for partition in worker.assigned:
                        worker.fetch(partition, 4)
                        worker.fetch_labels(partition, 4)
                    worker.process(len(worker.prefetched))
                    worker.save()
            self.settle()
            self.loop.pass_time(0.05)
            self.settle()
            if self._all_at_end():
                return
            idle = idle + 1 if self.log.end == before else 0
            assert idle < 50, "the workers are stuck"
            if idle > 20:
                self.loop.pass_time(LONGEST_WAIT_SECONDS)
        raise AssertionError("the workers come to no end")

    def _all_at_end(self) -> bool:
        desks = self.log.plain.desks
        return all(
            (desks[p].next, desks[p].label_next) == (self.samples[p].end, self.labels[p].end)
            for p in range(PARTITIONS)
        ) and not any(worker.model.view.pending for worker in self.workers if worker is not None)

    def compare(self, running: Iterable[LateWorker]) -> None:
        """Each label was joined exactly once; all folds are alike, and so is what is saved."""
        log, sent = self.log.plain, self.sent
        rules = self.rules()
        samples = [what for _, what, _ in sent if isinstance(what, Sample)]
        expected = joins(samples, [what for _, what, _ in sent if isinstance(what, Label)], rules)
        found = {row.id: (row.label, row.label_time) for row in log.joined}
        assert found == {id_: (label.label, label.time) for id_, label in expected.items()}
        assert len(found) == len(log.joined), "a sample was joined twice"
        learned = [row.id for row in log.learned]
        waiting = [id_ for desk in log.desks.values() for id_ in desk.waiting]
        assert sorted([*learned, *(id_ for _, id_ in log.gone), *waiting]) == sorted(s.id for s in samples)
        early = sum(len(desk.early) for desk in log.desks.values())
        labels = len(found) + early + log.counts["repeated"] + log.counts["unmatched"]
        assert labels == sum(isinstance(what, Label) for _, what, _ in sent)
        again = new_view(self.settings.spec())
        self.loop.run_until_complete(fold_to(again, MemoryLogReader(self.log), self.log.end))  # type: ignore[arg-type]
        assert isinstance(again.fold, LateFold)
        for worker in running:
            fold = worker.model.view.fold
            assert (fold.log_offset, fold.digest()) == (self.log.end, again.fold.digest())
            assert fold.names == again.fold.names
        assert again.fold.undecodable == 0
        document, plain = again.fold.document(), log.labels()
        assert {name: document[name] for name in plain if name != "delays"} == {
            name: plain[name] for name in plain if name != "delays"
        }

    def rules(self) -> Rules:
        """Those of the settings."""
        horizon, patience = self.settings.label_horizon, self.settings.label_patience
        return Rules(round(horizon * 1000), round(patience * 1000), False, 0)

    def close(self) -> None:
        """Leave nothing running."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()
