"""Late labels, once more and on their own: what the records of one partition of a late-label model mean.

The input is small: sample `n` is the one at offset `n` of the samples topic, and a label is its offset in the
labels topic. A `Desk` is what lies there after some reading: what waits, and what became of all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Numbers = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Given:
    """The input, and the rule by which samples and early labels are let go."""

    samples: Numbers = (0, 0)  # their event times
    labels: tuple[Pair, ...] = ((0, 0), (1, 0))  # the sample that each is for, and its event time
    horizon: int = 0
    patience: int = 0
    let_go: str = "at any time"  # or "by the clocks", or "never"

    def in_time(self, sample: int, label: int) -> bool:
        """Whether a label may join a sample: by event times alone."""
        delay = self.labels[label][1] - self.samples[sample]
        return -self.patience <= delay <= self.horizon


@dataclass(frozen=True)
class Rules:
    """When a record counts. The contract has `after`, and wants a range that is not empty."""

    after: bool = True
    empty: bool = False


CONTRACT = Rules()


class Record(NamedTuple):
    """A data record. `name` stands for worker and seq; `after` names the record that it was computed on."""

    name: int
    after: int
    samples: Pair  # from, to
    labels: Pair  # label_from, label_to
    waits: Numbers  # samples that wait from now on
    joined: tuple[Pair, ...]  # sample and label
    expired: Numbers
    early: Numbers  # labels kept from now on
    given_up: Numbers

    def __str__(self) -> str:
        said = [f"sample {s} waits" for s in self.waits]
        said += [f"sample {s} learned with label {label}" for s, label in self.joined]
        said += [f"sample {s} expired" for s in self.expired]
        said += [f"label {label} early" for label in self.early]
        said += [f"label {label} given up" for label in self.given_up]
        ranges = "samples [{},{}) labels [{},{})".format(*self.samples, *self.labels)
        return f"{ranges}: {', '.join(said) or 'nothing'}"


class Desk(NamedTuple):
    """What lies there after record `last`, up to offsets `samples` and `labels`; all else in order."""

    last: int = 0
    samples: int = 0
    labels: int = 0
    waiting: Numbers = ()
    early: Numbers = ()
    joined: tuple[Pair, ...] = ()
    expired: Numbers = ()
    given_up: Numbers = ()


def written(name: int, before: Desk, after: Desk) -> Record:
    """The record that says how `before` became `after`. What came and went between is not in it."""
    return Record(
        name,
        before.last,
        (before.samples, after.samples),
        (before.labels, after.labels),
        tuple(s for s in after.waiting if s not in before.waiting),
        tuple(pair for pair in after.joined if pair not in before.joined),
        tuple(s for s in after.expired if s not in before.expired),
        tuple(label for label in after.early if label not in before.early),
        tuple(label for label in after.given_up if label not in before.given_up),
    )


def counts(desk: Desk, record: Record, rules: Rules) -> bool:
    """The rule under test: from both offsets, not empty, and computed on what counted last."""
    stands = (record.samples[0], record.labels[0]) == (desk.samples, desk.labels)
    empty = record.samples[0] == record.samples[1] and record.labels[0] == record.labels[1]
    return stands and (rules.empty or not empty) and (record.after == desk.last or not rules.after)


def fold(desk: Desk, record: Record) -> Desk:
    """The desk after a record that counts. It takes the record's word for everything."""
    left = {*record.expired, *(s for s, _ in record.joined)}
    used = {*record.given_up, *(label for _, label in record.joined)}
    return Desk(
        record.name,
        record.samples[1],
        record.labels[1],
        tuple(sorted(s for s in desk.waiting + record.waits if s not in left)),
        tuple(sorted(label for label in desk.early + record.early if label not in used)),
        tuple(sorted(desk.joined + record.joined)),
        tuple(sorted(desk.expired + record.expired)),
        tuple(sorted(desk.given_up + record.given_up)),
    )


def false_word(desk: Desk, record: Record) -> str:
    """What a record that counts says of something that is not there; empty if all is true."""
    learned = {*desk.expired, *(s for s, _ in desk.joined)}
    for s in (*(s for s, _ in record.joined), *record.expired):
        if s in learned:
            return f"sample {s} is learned twice"
        if s not in desk.waiting and s not in range(*record.samples):
            return f"sample {s} is learned, and does not wait"
    used = {*desk.given_up, *(label for _, label in desk.joined)}
    for label in (*(label for _, label in record.joined), *record.given_up):
        if label in used:
            return f"label {label} is used twice"
        if label not in desk.early and label not in range(*record.labels):
            return f"label {label} is used, and is not there"
    return ""


def not_exact(desk: Desk, given: Given) -> str:
    """A sample or a label of which a desk has lost sight, in words; empty if there is none.

    A label that is in time, and whose sample is there, has joined it, unless one of the two was let go. (A
    second label shares the fate of the first.)
    """
    joined = [s for s, _ in desk.joined]
    if sorted([*desk.waiting, *joined, *desk.expired]) != list(range(desk.samples)):
        return "not each sample waits, or is learned once"
    let_go = {*desk.expired, *(given.labels[label][0] for label in desk.given_up)}
    for label in range(desk.labels):
        sample = given.labels[label][0]
        there = sample < desk.samples and given.in_time(sample, label)
        if there and sample not in joined and sample not in let_go:
            return f"label {label} is lost: sample {sample} waits for it"
    return ""
