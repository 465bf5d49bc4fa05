"""Joining: samples and labels of one partition, merged by event time, to rows that are predicted and learned.

A sample waits for the first label of its id that is in time, by event times alone:

    -patience ≤ label's time - sample's time ≤ horizon

With S and L the latest event times that the samples and labels of the partition had so far, a sample has
waited for long enough when max(S, L) - patience > its time + horizon (the watermark of bounded disorder, as
in Akidau et al., The Dataflow Model, VLDB 2015), and an early label when S - patience > its own time. As long
as the broker has labels that were not read, S says nothing about samples: the caller tells (`labels_ended`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.rows import Float64, Int64, Rows
from streams.dead_letters import DuplicateId, InvalidRecord, LateLabel, UnmatchedLabel
from streams.ingest import Ingested
from streams.ingest_text import shown
from streams.labels.codec import AT_ONCE, EXPIRED, JOINED, OWN, WAITS, EarlyLabel, LateRows, Part
from streams.labels.fold import Facts
from streams.labels.messages import LabelBatch
from streams.labels.plain import Plain, Rules
from streams.labels.steps import Steps
from streams.labels.waiting import Change, Waiting
from streams.records import DeadLetter, Record

MOST_EARLY = 100_000
"""Early labels that a partition keeps."""
MOST_EXPIRED = 6_000
"""Samples that count as negative in one batch."""


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
        self._steps = Steps(len(samples.ids))
        self._here: dict[str, int] = {}  # samples of this batch that wait, of ids that are looked at alone
        self._waits = np.zeros(len(samples.ids), dtype=np.bool_)  # the other samples that wait
        self._kept = np.ones(len(samples.ids), dtype=np.bool_)
        self._joined: set[str] = set()
        self._taken: list[Int64] = []
        self._taken_count = 0
        self._last = 2 * (len(samples.ids) + len(labels))
        self._run()

    def _clocks(self) -> tuple[int, int]:
        sample_time, label_time = self.waiting.clocks
        samples, labels = self.samples.rows.timestamps, self.labels.times
        return (
            max(sample_time, int(samples.max(initial=sample_time))),
            max(label_time, int(labels.max(initial=label_time))),
        )

    def _run(self) -> None:
        """Most ids come once and are joined without ado: all at a time. The others, one after the other."""
        samples, labels, waiting = self.samples, self.labels, self.waiting
        n = len(samples.ids)
        order = merged(waiting.clocks, samples.rows.timestamps, labels.times)
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order))
        plain = Plain.of(waiting, self.rules, samples, labels, ranks)
        self._join_plain(plain, ranks)
        alone = np.concatenate([np.flatnonzero(plain.odd_samples), n + np.flatnonzero(plain.odd_labels)])
        for k in alone[np.argsort(ranks[alone])].tolist():
            if k < n:
                self._sample(k, 2 * int(ranks[k]))
            else:
                self._label(k - n, 2 * int(ranks[k]))
        for i in self._here.values():
            self._waits[i] = True
        waiting.take(self.change.taken)
        self._expire()
        self._give_up()
        self._hold_limit()
        self._arranged = self._steps.arranged()
        learned = np.flatnonzero(np.isin(self._arranged.event, (JOINED, AT_ONCE, OWN)))
        self.change.joined = [self._arranged.ids[at] for at in learned.tolist()]
        waiting.joined.add(self.change.joined)

    def _join_plain(self, plain: Plain, ranks: Int64) -> None:
        samples, labels, n = self.samples, self.labels, len(self.samples.ids)
        mine = np.flatnonzero(~plain.odd_samples)
        self._waits[mine] = True
        self._steps.add_all(_of(samples.ids, mine), 2 * ranks[mine], mine, WAITS)
        for which, event in ((plain.waiting, JOINED), (plain.here, AT_ONCE)):
            at = np.flatnonzero(which)
            ids = _of(labels.ids, at)
            if event == JOINED:
                source = self._take(ids, plain.numbers[at])
            else:
                source = plain.positions[at]
                self._waits[source] = False
            self._steps.add_all(
                ids, 2 * ranks[n + at], source, event, labels.labels[at], labels.weights[at], labels.times[at]
            )

    def _take(self, ids: list[str], numbers: Int64) -> Int64:
        """Waiting rows for this batch; returns their sources."""
        deque(map(self.waiting.index.pop, ids), maxlen=0)
        self.change.taken.update(zip(ids, numbers.tolist(), strict=True))
        first = len(self.samples.ids) + self._taken_count
        self._taken.append(numbers)
        self._taken_count += len(ids)
        return np.arange(first, first + len(ids))

    # One sample, one label

    def _sample(self, i: int, place: int) -> None:
        id_, waiting = self.samples.ids[i], self.waiting
        if id_ in self._here or id_ in waiting.index or waiting.elsewhere.find([id_]):
            self._kept[i] = False
            self._refuse_sample(i, DuplicateId(f"id: a sample {shown(id_)} still waits for its label"))
            return
        own = float(self.samples.rows.labels[i])
        early = waiting.early.pop(id_, None)
        if early is not None:
            self._let_early_go(id_)
        if own == own:
            self._steps.add(place, i, OWN, id_, own)
            self._joined.add(id_)
            if early is not None:  # the sample brought its label itself
                self.repeated += 1
            return
        self._steps.add(place, i, WAITS, id_)
        time = self._time(i)
        if early is None:
            self._here[id_] = i
        elif self.rules.in_time(time, early.time):
            self._steps.add(place + 1, i, AT_ONCE, id_, early.label, early.weight, early.time)
            self._joined.add(id_)
        else:
            self._here[id_] = i
            self._refuse_early(early, self._late(id_, time, early.time))

    def _label(self, j: int, place: int) -> None:
        labels, id_, waiting = self.labels, self.labels.ids[j], self.waiting
        time, correction = int(labels.times[j]), labels.corrections[j]
        self.corrections += correction
        here, number = self._here.get(id_), waiting.index.get(id_)
        if here is not None or number is not None:
            sample = waiting.time_of(number) if here is None and number is not None else self._time(here or 0)
            if not self.rules.in_time(sample, time):
                self._refuse_label(j, self._late(id_, sample, time))
                return
            if here is not None:
                source, event = self._here.pop(id_), AT_ONCE
            else:
                source, event = int(self._take([id_], np.array([number]))[0]), JOINED
            label, factor = float(labels.labels[j]), float(labels.weights[j])
            self._steps.add(place, source, event, id_, label, factor, time)
            self._joined.add(id_)
        elif id_ in waiting.early and correction:
            self._keep_early(j, id_, time)
        elif id_ in waiting.early or id_ in self._joined or id_ in waiting.joined:
            self.repeated += not correction
        elif self.rules.patience == 0:
            self._refuse_label(j, UnmatchedLabel(self._unmatched(id_)))
        else:
            self._keep_early(j, id_, time)

    def _time(self, i: int) -> int:
        return int(self.samples.rows.timestamps[i])

    def _keep_early(self, j: int, id_: str, time: int) -> None:
        labels, record = self.labels, self.labels.records[j]
        early = EarlyLabel(
            id_, float(labels.labels[j]), float(labels.weights[j]), time, record.offset,
            record.key, record.value or b"", list(record.headers),
        )  # fmt: skip
        if id_ in self.waiting.early and id_ not in self.change.early:
            self.change.early_gone.append(id_)  # one of an earlier batch, which this one corrects
        self.waiting.early[id_] = early
        self.change.early[id_] = early

    def _let_early_go(self, id_: str) -> None:
        if self.change.early.pop(id_, None) is None:
            self.change.early_gone.append(id_)

    # What has waited for long enough

    def _expire(self) -> None:
        clocks = self.change.clocks
        bound = (max(clocks) if self._ended else clocks[1]) - self.rules.patience - self.rules.horizon
        here = np.flatnonzero(self._waits & (self.samples.rows.timestamps < bound))
        numbers = self.waiting.older(bound)
        if self.rules.negative:
            here = here[:MOST_EXPIRED]
            self._count_negative(_of(self.samples.ids, here), here)
            self._waits[here] = False
            numbers = numbers[: MOST_EXPIRED - len(here)]
            ids = self.waiting.rows.ids_of(numbers)
            self._count_negative(ids, self._take(ids, numbers))
            self.waiting.rows_taken(numbers)
            return
        self._let_go_here(here)
        self._let_go(self.waiting.rows.ids_of(numbers), numbers)
        self._let_go_elsewhere(self.waiting.elsewhere.older(bound, MOST_EXPIRED))

    def _count_negative(self, ids: list[str], source: Int64) -> None:
        places = np.arange(self._last, self._last + len(ids))
        self._last += len(ids)
        self._steps.add_all(ids, places, source, EXPIRED, 0.0)

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
        over = self.waiting.count + int(self._waits.sum()) - self.rules.limit
        if over <= 0:
            return
        self.dropped = over
        elsewhere = self.waiting.elsewhere.first(over)
        self._let_go_elsewhere(elsewhere)
        numbers = self.waiting.rows.first(over - len(elsewhere))
        self._let_go(self.waiting.rows.ids_of(numbers), numbers)
        self._let_go_here(np.flatnonzero(self._waits)[: over - len(elsewhere) - len(numbers)])

    def _let_go(self, ids: list[str], numbers: Int64) -> None:
        for id_, number in zip(ids, numbers.tolist(), strict=True):
            del self.waiting.index[id_]
            self.change.taken[id_] = number
        self.waiting.rows_taken(numbers)
        self.part.gone += ids

    def _let_go_elsewhere(self, ids: list[str]) -> None:
        self.change.gone |= self.waiting.elsewhere.discard(ids)
        self.part.gone += ids

    def _let_go_here(self, positions: Int64) -> None:
        self._waits[positions] = False
        self.part.gone += _of(self.samples.ids, positions)

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
        steps, n = self._arranged, len(self.samples.ids)
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *self._taken])
        taken, given = self.waiting.rows.of(numbers)
        rows = Rows.concatenate([self.samples.rows, taken]).take(steps.source)
        rows.labels = steps.label
        rows.weights = rows.weights * steps.factor
        served = np.zeros((len(steps.source), given.shape[1]))
        waited = steps.source >= n
        served[waited] = given[steps.source[waited] - n]
        return rows, served, steps.origin

    def predicted(self) -> tuple[Ingested, Int64]:
        """The samples that were predicted, with all their dead letters, and the rows that they are."""
        keep, s = self._kept, self.samples
        ids, keys, rows = s.ids, s.keys, s.rows
        if not keep.all():
            where = np.flatnonzero(keep)
            ids, keys, rows = _of(ids, where), [keys[i] for i in where.tolist()], rows.select(keep)
        ingested = Ingested(s.topic, s.partition, ids, keys, rows, self.dead_samples)
        return ingested, self._arranged.row_of[keep]

    def facts(self) -> Facts:
        """What the record says beside its rows; after `late_rows`."""
        waiting = self.waiting
        return Facts(
            *self.change.clocks, waiting.count, len(waiting.early),
            self.repeated, self.unmatched, self.corrections, self.dropped,
        )  # fmt: skip

    def late_rows(self, rows: Rows, served: Float64) -> LateRows:
        """The rows for the log: samples that wait from now on, then all that is learned, in order."""
        steps = self._arranged
        waits = np.sort(steps.row_of[self._waits])
        order = np.concatenate([waits, np.flatnonzero(steps.event != WAITS)])
        self.part.rows = len(order)
        self.part.early = list(self.change.early.values())
        self.part.given_up = self.change.early_gone
        ids = _of(steps.ids, order)
        late = LateRows(
            rows.take(order), served[order], ids, steps.event[order], steps.time[order], [self.part]
        )
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


def _of(texts: Sequence[str], positions: Int64) -> list[str]:
    return [texts[at] for at in positions.tolist()]
