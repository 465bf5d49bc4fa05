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
from streams.labels.sizes import id_sizes
from streams.labels.steps import Steps
from streams.labels.waiting import Change, Waiting
from streams.log_format import MAX_DATA_BYTES
from streams.records import DeadLetter, Record

MOST_EARLY = 100_000
"""Early labels that a partition keeps; and so many bytes of them, about."""
MOST_EARLY_BYTES = 32 * 1024 * 1024
MOST_EXPIRED = 6_000
"""Samples that count as negative in one batch; the others in the next ones."""
MOST_LET_GO = 50_000
"""Samples that are let go in one batch."""


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
        largest: int = MAX_DATA_BYTES,
    ) -> None:
        """`record`: finds the record of a sample by its offset, for a dead letter; `largest`: bytes that the
        samples and labels were chosen to fit in. What is let go besides takes half of that at most.
        """
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
        self._spare = largest // 2
        self._let_go_any = False
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
        ranks = np.concatenate(merged(waiting.clocks, samples.rows.timestamps, labels.times))
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
            fit = self._fit(self.waiting.rows.sizes(numbers) + id_sizes(ids))
            ids, numbers = ids[:fit], numbers[:fit]
            self._count_negative(ids, self._take(ids, numbers))
            self.waiting.rows_taken(numbers)
            return
        self._let_go_elsewhere(self.waiting.elsewhere.older(bound, MOST_LET_GO))
        self._let_go(numbers[:MOST_LET_GO])
        self._let_go_here(here)

    def _fit(self, sizes: Int64) -> int:
        """So many of these fit into what there is to spare; one always, if it is the first."""
        fit = int(np.searchsorted(np.cumsum(sizes), self._spare, side="right"))
        fit = max(fit, min(1, len(sizes))) if not self._let_go_any else fit
        self._let_go_any |= fit > 0
        self._spare -= int(sizes[:fit].sum())
        return fit

    def _count_negative(self, ids: list[str], source: Int64) -> None:
        places = np.arange(self._last, self._last + len(ids))
        self._last += len(ids)
        self._steps.add_all(ids, places, source, EXPIRED, 0.0)

    def _give_up(self) -> None:
        bound = self.change.clocks[0] - self.rules.patience
        early = list(self.waiting.early.values())
        old = [one for one in early if one.time < bound]
        over = max(len(early) - MOST_EARLY, _over(early) if self.change.early else 0)
        if over > len(old):
            old = early[:over]
        for one in old:
            del self.waiting.early[one.id]
            self._let_early_go(one.id)
            self._refuse_early(one, UnmatchedLabel(self._unmatched(one.id)))

    def _hold_limit(self) -> None:
        """Above the limit the oldest go, so that memory and store stay bounded."""
        over = self.waiting.count + int(self._waits.sum()) - self.rules.limit
        if over <= 0:
            return
        let_go = self._let_go_elsewhere(self.waiting.elsewhere.first(min(over, MOST_LET_GO)))
        if let_go < over and not len(self.waiting.elsewhere):
            let_go += self._let_go(self.waiting.rows.first(min(over - let_go, MOST_LET_GO)))
        if let_go < over and not self.waiting.count:
            let_go += self._let_go_here(np.flatnonzero(self._waits)[: over - let_go])
        self.dropped = let_go

    def _let_go(self, numbers: Int64) -> int:
        """Rows in memory, the first that fit; returns how many."""
        ids = self.waiting.rows.ids_of(numbers)
        fit = self._fit(id_sizes(ids))
        ids, numbers = ids[:fit], numbers[:fit]
        for id_, number in zip(ids, numbers.tolist(), strict=True):
            del self.waiting.index[id_]
            self.change.taken[id_] = number
        self.waiting.rows_taken(numbers)
        self.part.gone += ids
        return fit

    def _let_go_elsewhere(self, ids: list[str]) -> int:
        fit = self._fit(id_sizes(ids))
        self.change.gone |= self.waiting.elsewhere.discard(ids[:fit])
        self.part.gone += ids[:fit]
        return fit

    def _let_go_here(self, positions: Int64) -> int:
        ids = _of(self.samples.ids, positions)
        fit = self._fit(id_sizes(ids))
        self._waits[positions[:fit]] = False
        self.part.gone += ids[:fit]
        return fit

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


def merged(clocks: tuple[int, int], samples: Int64, labels: Int64) -> tuple[Int64, Int64]:
    """Ranks of n samples and of m labels in the order of their event times.

    Each topic keeps its own order: a record counts as not earlier than what stands before it. At the same
    time, samples come first.
    """
    first, second = in_order(clocks[0], samples), in_order(clocks[1], labels)
    return (
        np.arange(len(first)) + np.searchsorted(second, first),
        np.arange(len(second)) + np.searchsorted(first, second, side="right"),
    )


def in_order(clock: int, times: Int64) -> Int64:
    """Event times (n,), each at least that of what stands before it, and the clock."""
    return np.maximum(np.maximum.accumulate(times), clock) if len(times) else times


def _of(texts: Sequence[str], positions: Int64) -> list[str]:
    return [texts[at] for at in positions.tolist()]


def _over(early: Sequence[EarlyLabel]) -> int:
    """How many of the first are to go so that the others are not more than MOST_EARLY_BYTES."""
    sizes = np.fromiter((one.nbytes for one in early), np.int64, len(early))
    return int(np.searchsorted(np.cumsum(sizes), int(sizes.sum()) - MOST_EARLY_BYTES))
