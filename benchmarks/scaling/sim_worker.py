"""A worker of the simulation: what it has pending, what it does next, and how long that takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.scaling.sim_parts import Batch, Figures, Record
from streams.learning_log import MAX_RECORD_BYTES, RECORDS_A_RUN
from streams.log_format import MAX_DATA_BYTES
from streams.pacing import Pacing
from streams.processor import MAX_PENDING_BATCHES, MAX_PENDING_BYTES, PREDICTION_BYTES
from streams.stride import CHUNK

if TYPE_CHECKING:
    from benchmarks.scaling.simulate import Simulation

MOST_A_RUN = 2 * MAX_RECORD_BYTES


class Worker:
    """One worker, which owns one partition."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self._sim, self.number = simulation, number
        self.folded = self.redone = 0
        self.figures = Figures()
        self.pacing = Pacing()
        self.pacing.own(1, simulation.setup.workers)
        self._pending: deque[Batch] = deque()
        self._own = 0  # samples of its partition that were processed
        self._undone = False
        self._appending = self._busy = False
        self._position = 0
        self._fetch_at = self._samples_at = 0.0
        self._save_at = simulation.setup.save_every * (1 + number / simulation.setup.workers)
        self._turn = 0
        self._woken = float("inf")
        self._then: Callable[[], None] | None = None  # what follows when the thing at hand is done

    def forget_figures(self) -> None:
        """Count anew."""
        self.figures = Figures(redone_before=self.redone)

    def look(self) -> None:
        """Do the next thing, if nothing is being done and there is one."""
        if self._busy:
            return
        for i in range(4):
            kind = (self._turn + i) % 4
            seconds = (self._fold, self._append, self._process, self._save)[kind]()
            if seconds is not None:
                seconds = self._sim.varied(seconds)
                self._turn = kind + 1
                self._busy = True
                self.figures.busy += seconds
                self._sim.at(self._sim.computes(seconds), self._done)
                return
        self._sleep()

    def _done(self) -> None:
        self._busy = False
        then, self._then = self._then, None
        if then is not None:
            then()
        self.look()

    def _sleep(self) -> None:
        """Look again when something may be there that no event tells of."""
        now = self._sim.now
        due = [at for at in (self._fetch_at, self._samples_at, self._save_at) if at > now]
        at = min(due, default=float("inf"))
        if at < self._woken or self._woken <= now:
            self._woken = at
            self._sim.at(at, self.look)

    def _cost(self, *stages: str, n: int) -> float:
        """Seconds of these stages for a batch of n."""
        return 1e-6 * self._sim.line(stages).of(n)

    def _fold(self) -> float | None:
        """A run of records, if one has come."""
        sim = self._sim
        run, size = 0, 0.0
        while (
            run < RECORDS_A_RUN
            and self._position + run < len(sim.log)
            and (record := sim.log[self._position + run]).visible <= sim.now
            and (not run or size + record.bytes <= MOST_A_RUN)
        ):
            run, size = run + 1, size + record.bytes
        if not run or sim.now < self._fetch_at:
            return None
        self._fetch_at = sim.now + sim.setup.round_trip
        seconds = self._cost("fetch", n=1)
        for record in sim.log[self._position : self._position + run]:
            seconds += self._cost("read", n=record.samples)
            seconds += self._confirm(record) if record.worker == self.number else self._foreign(record)
            self.folded += record.samples
        self._position += run
        return seconds

    def _confirm(self, record: Record) -> float:
        seconds = 0.0
        while self._pending and self._pending[0].record is record:
            samples = len(self._pending.popleft().rows)
            if self._undone:
                seconds += self._cost("fold", n=samples)
                self.redone += samples
        self.figures.trips.append(self._sim.now - record.sent)
        return seconds

    def _foreign(self, record: Record) -> float:
        seconds = self._cost("decode", "fold", n=record.samples)
        if not self._undone:
            seconds += sum(self._cost("undo", n=len(batch.rows)) for batch in self._pending)
            self._undone = True
        return seconds

    def _append(self) -> float | None:
        """The first batches that are acknowledged and not sent, as one record; one is in flight at a time."""
        sim, row = self._sim, self._sim.costs.log_bytes.each
        group: list[Batch] = []
        size = 0.0
        for batch in self._pending:
            if batch.record is not None:
                continue
            size += 512 + row * len(batch.rows)
            if self._appending or batch.acknowledged > sim.now or (group and size > MAX_DATA_BYTES):
                break
            group.append(batch)
        if not group:
            return None
        samples = sum(len(batch.rows) for batch in group)
        seconds = self._cost("encode", n=samples)
        record = Record(self.number, samples, sim.costs.log_bytes.of(samples))
        for batch in group:
            batch.record = record
        self._appending = True
        self.figures.sent, self.figures.records = self.figures.sent + samples, self.figures.records + 1
        self._then = lambda: self._leave(record)
        return seconds

    def _leave(self, record: Record) -> None:
        record.sent = self._sim.now
        self._sim.append(record, self._answered)

    def _answered(self) -> None:
        self._appending = False
        self.look()

    def _process(self) -> float | None:
        """Learn again what is undone, then a batch of what waits and may be pending."""
        sim, setup = self._sim, self._sim.setup
        waiting = min(sim.arrived(self.number) - self._own, sim.costs.full)
        room = self._room()
        if not waiting or not room or sim.now < self._samples_at:
            if not waiting and sim.now < setup.seconds:
                self._samples_at = max(self._samples_at, sim.now + setup.workers / setup.rate)
            return None
        samples, seconds = min(waiting, room), 0.0
        if self._undone:
            for batch in self._pending:
                seconds += self._cost("redo", n=len(batch.rows))
                self.redone += len(batch.rows)
            self._undone = False
        pending = sum(len(batch.rows) for batch in self._pending)
        self.figures.unseen += samples * max(0, sim.processed - self.folded - pending)
        self.figures.processed += samples
        self.figures.batches += 1
        seconds += self._cost("parse", "learn", "write", "transport", n=samples)
        made = Batch(range(samples), float("inf"))
        self._pending.append(made)
        self._own += samples
        sim.processed += samples
        self.pacing.processed(samples, self._pending, self.redone)
        if waiting < sim.costs.full:
            self._samples_at = sim.now + setup.round_trip
        self._then = lambda: self._send(made)
        return seconds

    def _send(self, made: Batch) -> None:
        made.acknowledged = self._sim.acknowledged(len(made.rows))
        self._sim.at(made.acknowledged, self.look)

    def _room(self) -> int:
        row = PREDICTION_BYTES + self._sim.costs.log_bytes.each
        held = sum(512 + row * len(batch.rows) for batch in self._pending)
        if len(self._pending) >= MAX_PENDING_BATCHES or held >= MAX_PENDING_BYTES:
            return 0
        return self.pacing.room(self._pending, CHUNK)

    def _save(self) -> float | None:
        """A checkpoint, when it is time."""
        if self._sim.now < self._save_at:
            return None
        self._save_at = self._sim.now + self._sim.setup.save_every
        return self._sim.costs.still(self._sim.setup.save_every) * self._sim.setup.save_every
