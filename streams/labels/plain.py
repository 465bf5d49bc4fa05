"""Which samples and labels of a batch can be joined all at a time, without a look at each.

An id is plain if at most one sample and one label of it are in the batch, nothing else is known of it that
matters, and the label, if there is one, is in time and finds its sample. What becomes of one id does not
depend on any other, so the rest can be looked at afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from models.rows import Int64
from streams.ingest import Ingested
from streams.labels.messages import LabelBatch
from streams.labels.waiting import Waiting

Mask = npt.NDArray[np.bool_]


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
class Plain:
    """Of n samples and m labels. An odd one is to be looked at alone.

    waiting (m,): plain labels whose sample waits, under `numbers`; here (m,): those whose sample is in this
    batch, at `positions`.
    """

    odd_samples: Mask
    odd_labels: Mask
    waiting: Mask
    here: Mask
    numbers: Int64
    positions: Int64

    @classmethod
    def of(cls, waiting: Waiting, rules: Rules, samples: Ingested, labels: LabelBatch, ranks: Int64) -> Plain:
        """`ranks` (n + m,): place of each sample, then of each label, in the order of all."""
        n, m = len(samples.ids), len(labels)
        odd = _known(waiting, samples, labels)
        at = dict(zip(samples.ids, range(n), strict=True))
        numbers = np.fromiter(map(waiting.index.get, labels.ids, repeat(-1)), np.int64, m)
        positions = np.fromiter(map(at.get, labels.ids, repeat(-1)), np.int64, m)
        waits, here = numbers >= 0, positions >= 0
        here &= ranks[n:] > ranks[:n][positions] if n else False
        times = np.zeros(m, dtype=np.int64)
        times[waits] = waiting.rows.times(numbers[waits])
        times[here] = samples.rows.timestamps[positions[here]]
        delays = labels.times - times
        in_time = (waits ^ here) & (delays >= -rules.patience) & (delays <= rules.horizon)
        odd |= {labels.ids[j] for j in np.flatnonzero(~in_time).tolist()}
        odd_labels, odd_samples = _among(odd, labels.ids), _among(odd, samples.ids)
        return cls(odd_samples, odd_labels, waits & ~odd_labels, here & ~odd_labels, numbers, positions)


def _known(waiting: Waiting, samples: Ingested, labels: LabelBatch) -> set[str]:
    """Ids of which more is known, or that come more than once."""
    ids = set(samples.ids)
    odd = set(waiting.elsewhere.find(samples.ids)) | (ids & waiting.index.keys())
    if waiting.early:
        odd |= (ids & waiting.early.keys()) | (waiting.early.keys() & set(labels.ids))
    if len(ids) < len(samples.ids):
        odd |= _repeated(samples.ids)
    if len(set(labels.ids)) < len(labels):
        odd |= _repeated(labels.ids)
    own = np.flatnonzero(~np.isnan(samples.rows.labels)).tolist()
    odd.update(samples.ids[i] for i in own)
    if any(labels.corrections):
        odd.update(one for one, correct in zip(labels.ids, labels.corrections, strict=True) if correct)
    return odd


def _repeated(ids: Sequence[str]) -> set[str]:
    return {one for one, count in Counter(ids).items() if count > 1}


def _among(odd: set[str], ids: Sequence[str]) -> Mask:
    if not odd:
        return np.zeros(len(ids), dtype=np.bool_)
    return np.fromiter((one in odd for one in ids), np.bool_, len(ids))
