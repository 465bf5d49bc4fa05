"""Joining: samples and labels of one partition, merged by event time, to rows that are predicted and learned.

A sample waits for the first label of its id that is in time, by event times alone:

    -patience ≤ label's time - sample's time ≤ horizon

With S and L the latest event times that the samples and labels of the partition had so far, a sample has
waited for long enough when max(S, L) - patience > its time + horizon (the watermark of bounded disorder, as
in Akidau et al., The Dataflow Model, VLDB 2015), and an early label when S - patience > its own time. As long
as the broker has labels that were not read, S says nothing about samples: the caller tells (`labels_ended`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.kernels.fold import GIVEN, SERVE
from models.rows import Float64, Int64, Rows
from streams.dead_letters import DuplicateId, InvalidRecord, LateLabel, UnmatchedLabel
from streams.ingest import Ingested
from streams.ingest_text import shown
from streams.labels.codec import AT_ONCE, EXPIRED, JOINED, OWN, WAITS, EarlyLabel, Events, LateRows, Part
from streams.labels.fold import Facts
from streams.labels.messages import LabelBatch
from streams.labels.waiting import Change, Waiting
from streams.records import DeadLetter, Record

MOST_EARLY = 100_000
"""Early labels that a partition keeps."""
MOST_EXPIRED = 6_000
"""Samples that count as negative in one batch."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a model; times in ms. limit: samples that may wait in one partition."""

    horizon: int
    patience: int
    negative: bool
    limit: int

    def in_time(self, sample: int, label: int) -> bool:
        """Whether a label's event time is in time for its sample's."""
        return -self.patience <= label - sample <= self.horizon


@dataclass(slots=True)
class Steps:
    """Rows in the order in which the model sees them, as lists; see Model.join for origin."""

    source: list[int] = field(default_factory=list)  # a sample's position, or n + that of a waiting row
    origin: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)  # of the sample's weight
    times: list[int] = field(default_factory=list)  # the label's
    ids: list[str] = field(default_factory=list)

    def add(
        self, source: int, origin: int, event: int, id_: str, label: float, factor: float, time: int
    ) -> int:
        """One more row; returns its place."""
        self.source.append(source)
        self.origin.append(origin)
        self.events.append(event)
        self.labels.append(label)
        self.factors.append(factor)
        self.times.append(time)
        self.ids.append(id_)
        return len(self.source) - 1


class Join:
    """Samples and labels of one batch against what waits; made, run and used up once."""

    def __init__(
        self,
        waiting: Waiting,
        rules: Rules,
        samples: Ingested,
        record: Callable[[int], Record],
        labels: LabelBatch,
        labels_ended: bool,
    ) -> None:
        """`record`: finds the record of a sample by its offset, for a dead letter."""
        self.waiting, self.rules = waiting, rules
        self.samples, self.labels = samples, labels
        self.dead_samples = list(samples.dead)
        self.dead_labels = list(labels.dead)
        self.change = Change(clocks=self._clocks())
        self.repeated = self.unmatched = self.corrections = self.dropped = 0
        self.part = Part(0)
        self._record = record
        self._ended = labels_ended
        self._steps = Steps()
        self._here: dict[str, int] = {}  # samples of this batch that wait: id → its row
        self._taken_numbers: list[int] = []
        self._kept = np.ones(len(samples.ids), dtype=np.bool_)
        self._elsewhere = set(waiting.elsewhere.find(samples.ids))
        self._sample_times: list[int] = samples.rows.timestamps.tolist()
        self._run()

    def _clocks(self) -> tuple[int, int]:
        sample_time, label_time = self.waiting.clocks
        samples, labels = self.samples.rows.timestamps, self.labels.times
        return (
            max(sample_time, int(samples.max(initial=sample_time))),
            max(label_time, int(labels.max(initial=label_time))),
        )

    def _run(self) -> None:
        n = len(self.samples.ids)
        for k in merged(self.waiting.clocks, self.samples.rows.timestamps, self.labels.times).tolist():
            if k < n:
                self._sample(k)
            else:
                self._label(k - n)
        self.waiting.take(self.change.taken)
        self._expire()
        self._give_up()
        self._hold_limit()

    # One sample, one label

    def _sample(self, i: int) -> None:
        id_, waiting = self.samples.ids[i], self.waiting
        if id_ in self._here or id_ in waiting.index or id_ in self._elsewhere:
            self._kept[i] = False
            self._refuse_sample(i, DuplicateId(f"id: a sample {shown(id_)} still waits for its label"))
            return
        own = float(self.samples.rows.labels[i])
        if own == own:
            self._steps.add(i, SERVE, OWN, id_, own, 1.0, 0)
            self._note_joined(id_)
            return
        row = self._steps.add(i, SERVE, WAITS, id_, np.nan, 1.0, 0)
        self._here[id_] = row
        early = waiting.early.pop(id_, None)
        if early is not None:
            self._let_early_go(id_)
            if self.rules.in_time(self._sample_times[i], early.time):
                self._join_here(id_, early.label, early.weight, early.time)
            else:
                self._refuse_early(early, self._late(id_, self._sample_times[i], early.time))

    def _label(self, j: int) -> None:
        labels, id_ = self.labels, self.labels.ids[j]
        time = int(labels.times[j])
        self.corrections += labels.corrections[j]
        if id_ in self._here:
            sample = self._sample_times[self._steps.source[self._here[id_]]]
            if self.rules.in_time(sample, time):
                self._join_here(id_, float(labels.labels[j]), float(labels.weights[j]), time)
            else:
                self._refuse_label(j, self._late(id_, sample, time))
        elif (number := self.waiting.index.get(id_)) is not None:
            sample = self.waiting.time_of(number)
            if self.rules.in_time(sample, time):
                self._join_waiting(id_, number, j, time)
            else:
                self._refuse_label(j, self._late(id_, sample, time))
        elif id_ in self.waiting.early and labels.corrections[j]:
            self._keep_early(j, id_, time)
        elif id_ in self.waiting.joined or id_ in self.waiting.early:
            self.repeated += not labels.corrections[j]
        elif self.rules.patience == 0:
            self._refuse_label(j, UnmatchedLabel(self._unmatched(id_)))
        else:
            self._keep_early(j, id_, time)

    def _join_here(self, id_: str, label: float, factor: float, time: int) -> None:
        row = self._here.pop(id_)
        self._steps.add(self._steps.source[row], row, AT_ONCE, id_, label, factor, time)
        self._note_joined(id_)

    def _join_waiting(self, id_: str, number: int, j: int, time: int) -> None:
        place = self._take(id_, number)
        label, factor = float(self.labels.labels[j]), float(self.labels.weights[j])
        self._steps.add(place, GIVEN, JOINED, id_, label, factor, time)
        self._note_joined(id_)

    def _take(self, id_: str, number: int) -> int:
        """A waiting row for this batch; returns its source."""
        del self.waiting.index[id_]
        self.change.taken[id_] = number
        self._taken_numbers.append(number)
        return len(self.samples.ids) + len(self._taken_numbers) - 1

    def _note_joined(self, id_: str) -> None:
        self.change.joined.append(id_)
        self.waiting.remember([id_])

    def _keep_early(self, j: int, id_: str, time: int) -> None:
        labels, record = self.labels, self.labels.records[j]
        early = EarlyLabel(
            id_, float(labels.labels[j]), float(labels.weights[j]), time, record.offset,
            record.key, record.value or b"", list(record.headers),
        )  # fmt: skip
        self.waiting.early[id_] = early
        self.change.early[id_] = early

    def _let_early_go(self, id_: str) -> None:
        if self.change.early.pop(id_, None) is None:
            self.change.early_gone.append(id_)

    # What has waited for long enough

    def _expire(self) -> None:
        clocks = self.change.clocks
        bound = (max(clocks) if self._ended else clocks[1]) - self.rules.patience - self.rules.horizon
        here = [one for one, row in self._here.items() if self._time_here(row) < bound]
        numbers = self.waiting.older(bound)
        if self.rules.negative:
            for id_ in here[:MOST_EXPIRED]:
                row = self._here.pop(id_)
                self._steps.add(self._steps.source[row], row, EXPIRED, id_, 0.0, 1.0, 0)
            numbers = numbers[: MOST_EXPIRED - min(len(here), MOST_EXPIRED)]
            for id_, number in zip(self.waiting.rows.ids_of(numbers), numbers.tolist(), strict=True):
                self._steps.add(self._take(id_, number), GIVEN, EXPIRED, id_, 0.0, 1.0, 0)
            self.waiting.rows_taken(numbers)
            return
        for id_ in here:
            del self._here[id_]
        self.part.gone += here
        self._let_go(self.waiting.rows.ids_of(numbers), numbers)
        self._let_go_elsewhere(self.waiting.elsewhere.older(bound, MOST_EXPIRED))

    def _give_up(self) -> None:
        bound = self.change.clocks[0] - self.rules.patience
        old = [one for one in self.waiting.early.values() if one.time < bound]
        over = len(self.waiting.early) - len(old) - MOST_EARLY
        if over > 0:
            old = list(self.waiting.early.values())[: len(old) + over]
        for early in old:
            del self.waiting.early[early.id]
            self._let_early_go(early.id)
            self._refuse_early(early, UnmatchedLabel(self._unmatched(early.id)))

    def _hold_limit(self) -> None:
        """Above the limit the oldest go, so that memory and store stay bounded."""
        over = self.waiting.count + len(self._here) - self.rules.limit
        if over <= 0:
            return
        self.dropped = over
        elsewhere = self.waiting.elsewhere.first(over)
        self._let_go_elsewhere(elsewhere)
        numbers = self.waiting.rows.first(over - len(elsewhere))
        self._let_go(self.waiting.rows.ids_of(numbers), numbers)
        for id_ in list(self._here)[: over - len(elsewhere) - len(numbers)]:
            del self._here[id_]
            self.part.gone.append(id_)

    def _let_go(self, ids: list[str], numbers: Int64) -> None:
        for id_, number in zip(ids, numbers.tolist(), strict=True):
            del self.waiting.index[id_]
            self.change.taken[id_] = number
        self.waiting.rows_taken(numbers)
        self.part.gone += ids

    def _let_go_elsewhere(self, ids: list[str]) -> None:
        self.waiting.elsewhere.discard(ids)
        self.change.gone += ids
        self.part.gone += ids

    def _time_here(self, row: int) -> int:
        return self._sample_times[self._steps.source[row]]

    # Dead letters

    def _refuse_sample(self, i: int, error: InvalidRecord) -> None:
        record = self._record(int(self.samples.rows.offsets[i]))
        self.dead_samples.append(DeadLetter.of(record, error))

    def _refuse_label(self, j: int, error: InvalidRecord) -> None:
        self.unmatched += 1
        self.dead_labels.append(DeadLetter.of(self.labels.records[j], error))

    def _refuse_early(self, early: EarlyLabel, error: InvalidRecord) -> None:
        self.unmatched += 1
        self.dead_labels.append(DeadLetter.of(KeptRecord.of(early), error))

    def _late(self, id_: str, sample: int, label: int) -> LateLabel:
        return LateLabel(
            f"timestamp: expected one from {self.rules.patience / 1000:g} s before to "
            f"{self.rules.horizon / 1000:g} s after that of sample {shown(id_)}, got one "
            f"{(label - sample) / 1000:g} s after it (label_patience, label_horizon)"
        )

    def _unmatched(self, id_: str) -> str:
        return (
            f"id: no sample {shown(id_)} waits for a label, and none came within "
            f"{self.rules.patience / 1000:g} s (label_patience); are samples and labels keyed by the id?"
        )

    # What comes out

    def rows(self) -> tuple[Rows, Float64, Int64]:
        """Rows, predictions and origins for Model.join."""
        steps, n = self._steps, len(self.samples.ids)
        taken, given = self.waiting.rows.of(np.array(self._taken_numbers, dtype=np.int64))
        source = np.array(steps.source, dtype=np.int64)
        rows = Rows.concatenate([self.samples.rows, taken]).take(source)
        rows.labels = np.array(steps.labels, dtype=np.float64)
        rows.weights = rows.weights * np.array(steps.factors, dtype=np.float64)
        served = np.zeros((len(source), given.shape[1]))
        of_waiting = source >= n
        served[of_waiting] = given[source[of_waiting] - n]
        return rows, served, np.array(steps.origin, dtype=np.int64)

    def predicted(self) -> tuple[Ingested, Int64]:
        """The samples that were predicted, with all their dead letters, and the rows that they are."""
        keep, s = self._kept, self.samples
        at = np.flatnonzero(np.array(self._steps.origin, dtype=np.int64) == SERVE)
        order = np.argsort(np.array(self._steps.source, dtype=np.int64)[at], kind="stable")
        if keep.all():
            ids, keys, rows = s.ids, s.keys, s.rows
        else:
            where = np.flatnonzero(keep).tolist()
            ids, keys, rows = [s.ids[i] for i in where], [s.keys[i] for i in where], s.rows.select(keep)
        return Ingested(s.topic, s.partition, ids, keys, rows, self.dead_samples), at[order]

    def facts(self) -> Facts:
        """What the record says beside its rows; after `late_rows`."""
        waiting = self.waiting
        return Facts(
            *self.change.clocks, waiting.count, len(waiting.early),
            self.repeated, self.unmatched, self.corrections, self.dropped,
        )  # fmt: skip

    def late_rows(self, rows: Rows, served: Float64) -> LateRows:
        """The rows for the log: samples that wait from now on, then all that is learned, in order."""
        events: Events = np.array(self._steps.events, dtype=np.int8)
        waits = np.sort(np.fromiter(self._here.values(), np.int64, len(self._here)))
        order = np.concatenate([waits, np.flatnonzero(events != WAITS)])
        self.part.rows = len(order)
        self.part.early = list(self.change.early.values())
        self.part.given_up = self.change.early_gone
        ids = [self._steps.ids[at] for at in order.tolist()]
        times = np.array(self._steps.times, dtype=np.int64)[order]
        late = LateRows(rows.take(order), served[order], ids, events[order], times, [self.part])
        self.change.added = self.waiting.keep(
            ids[: len(waits)], late.rows.slice(0, len(waits)), late.served[: len(waits)]
        )
        return late


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """The record of an early label, as it was kept."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @classmethod
    def of(cls, early: EarlyLabel) -> KeptRecord:
        """The record that a label came in."""
        return cls(early.offset, early.time, early.key, early.value, early.headers)


def merged(clocks: tuple[int, int], samples: Int64, labels: Int64) -> Int64:
    """Positions of n samples (0 …) and of labels (n …) in the order of their event times.

    Each topic keeps its own order: a record counts as not earlier than what stands before it. At the same
    time, samples come first.
    """
    keys = [
        np.maximum(np.maximum.accumulate(times), clock) if len(times) else times
        for clock, times in zip(clocks, (samples, labels), strict=True)
    ]
    return np.argsort(np.concatenate(keys), kind="stable")
