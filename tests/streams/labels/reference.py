"""The rules of late labels in plain Python: twice, by event times alone, and event by event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streams.labels.plain import Rules
from tests.streams.labels.world import Cut, Label, Sample

LONG_AGO = -(10**15)


def joins(samples: Sequence[Sample], labels: Sequence[Label], rules: Rules) -> dict[str, Label]:
    """Sample id → its label: the first one in time. Of ids that come once, where nothing expires too soon."""
    times = {sample.id: sample.time for sample in samples if sample.own is None}
    found: dict[str, Label] = {}
    for label in labels:
        if label.id in times and label.id not in found:
            delay = label.time - times[label.id]
            if -rules.patience <= delay <= rules.horizon:
                found[label.id] = label
    return found


@dataclass
class Fates:
    """What became of every sample and label, by offset."""

    samples: Sequence[Sample]
    labels: Sequence[Label]
    rules: Rules
    remembered: int
    joined: list[tuple[int, int]] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    unmatched: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    corrections: list[int] = field(default_factory=list)
    """Those that changed nothing."""
    replaced: list[int] = field(default_factory=list)
    """Early labels in whose place a correction came."""
    waiting: dict[str, int] = field(default_factory=dict)
    early: dict[str, int] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    """Ids of samples that were joined."""
    clocks: list[int] = field(default_factory=lambda: [LONG_AGO, LONG_AGO])

    def play(self, cuts: Iterable[Cut]) -> Fates:
        """Take the batches, in order; what is due is let go behind each."""
        for cut in cuts:
            for kind, at in self._events(cut):
                (self._label if kind else self._sample)(at)
            self._let_go(cut.ended)
        return self

    def _events(self, cut: Cut) -> list[tuple[int, int]]:
        """In the order of their times; none is earlier than what stands before it in its topic."""
        events = []
        for kind, offsets, topic in ((0, cut.samples, self.samples), (1, cut.labels, self.labels)):
            for at in offsets:
                self.clocks[kind] = max(self.clocks[kind], topic[at].time)
                events.append((self.clocks[kind], kind, at))
        return [(kind, at) for _, kind, at in sorted(events)]

    def _in_time(self, sample: int, label: int) -> bool:
        delay = self.labels[label].time - self.samples[sample].time
        return -self.rules.patience <= delay <= self.rules.horizon

    def _sample(self, at: int) -> None:
        sample = self.samples[at]
        if sample.id in self.waiting:
            self.duplicates.append(at)
            return
        early = self.early.pop(sample.id, None)
        if sample.own is not None:
            self.own.append(at)
            self.known.append(sample.id)
            self.repeated += [] if early is None else [early]
        elif early is not None and self._in_time(at, early):
            self._join(at, early)
        else:
            self.waiting[sample.id] = at
            self.late += [] if early is None else [early]

    def _label(self, at: int) -> None:
        label = self.labels[at]
        sample = self.waiting.get(label.id)
        if sample is not None and self._in_time(sample, at):
            self._join(self.waiting.pop(label.id), at)
        elif sample is not None:
            self.late.append(at)
        elif label.id in self.early and label.correction:
            self.replaced.append(self.early[label.id])
            self.early[label.id] = at
        elif label.id in self.early or label.id in self.known[-self.remembered :]:
            (self.corrections if label.correction else self.repeated).append(at)
        elif self.rules.patience == 0:
            self.unmatched.append(at)
        else:
            self.early[label.id] = at

    def _join(self, sample: int, label: int) -> None:
        self.joined.append((sample, label))
        self.known.append(self.samples[sample].id)

    def _let_go(self, ended: bool) -> None:
        newest = max(self.clocks) if ended else self.clocks[1]
        for id_, at in list(self.waiting.items()):
            if newest - self.rules.patience > self.samples[at].time + self.rules.horizon:
                self.expired.append(self.waiting.pop(id_))
        for id_, at in list(self.early.items()):
            if self.clocks[0] - self.rules.patience > self.labels[at].time:
                self.unmatched.append(self.early.pop(id_))
        while len(self.waiting) > self.rules.limit:
            self.dropped.append(self.waiting.pop(next(iter(self.waiting))))

    @property
    def sample_fates(self) -> list[int]:
        """All samples that were read, each as often as it met with a fate."""
        joined = [sample for sample, _ in self.joined]
        ended = (self.own, self.expired, self.dropped, self.duplicates, self.waiting.values())
        return sorted([*joined, *(at for one in ended for at in one)])

    @property
    def label_fates(self) -> list[int]:
        """All labels that were read, each as often as it met with a fate."""
        joined = [label for _, label in self.joined]
        ended = (
            self.late,
            self.unmatched,
            self.repeated,
            self.corrections,
            self.replaced,
            self.early.values(),
        )
        return sorted([*joined, *(at for one in ended for at in one)])

    @property
    def letters(self) -> list[tuple[str, int, str]]:
        """Dead letters: topic, offset, why."""
        kinds = (("samples", self.duplicates, "DuplicateId"), ("labels", self.late, "LateLabel"),
                 ("labels", self.unmatched, "UnmatchedLabel"))  # fmt: skip
        return sorted((topic, at, f"gradstream.{name}") for topic, ones, name in kinds for at in ones)
