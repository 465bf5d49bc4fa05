"""What a model makes of the last records of its topic: for `gradstream check` and `inspect`.

It looks for mistakes that are no errors: a declared feature that never comes, a `lable` that nobody reads, a
stream without labels, samples without the id by which late labels find them.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from streams.dead_letters import InvalidRecord
from streams.ingest import Ingest
from streams.ingest_json import read_object
from streams.ingest_text import shown_name
from streams.records import Sample

FIELDS = tuple(Sample.__struct_fields__)
"""What is read at the top level of a sample."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A name that stands in `count` records and that nobody reads; `nearest` is what may have been meant."""

    name: str
    count: int
    nearest: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """See `describe`."""

    records: int
    valid: int
    labelled: int
    refused: list[tuple[str, int]]
    """Why records were refused, and how many: the most frequent first."""
    never_seen: list[str]
    unread_fields: list[Unread]
    unread_features: list[Unread]
    samples: list[list[tuple[str, float]]]
    """The encoded form of the last valid samples: column or hashed name → value, NaN = missing."""
    late: bool = False
    """Whether labels come on a topic of their own."""
    without_id: int = 0
    """Valid samples that have no id of their own."""

    @property
    def labelled_share(self) -> float:
        """Share of valid samples with a label; 0 without any."""
        return self.labelled / self.valid if self.valid else 0.0

    def lines(self) -> list[str]:
        """Everything that may be wrong, a line each; no line where all is well."""
        found = [f"{count} of {self.records} records refused: {reason}" for reason, count in self.refused]
        if self.late and self.without_id:
            found.append(f"{self.without_id} of {self.valid} samples have no id that a label could name")
        if self.valid and not self.labelled and not self.late:
            found.append(f"none of {self.valid} samples has a label: nothing is learned")
        found += [f"features.{shown_name(name)}: declared, and in no sample" for name in self.never_seen]
        found += [_line("", one) for one in self.unread_fields]
        return found + [_line("features.", one) for one in self.unread_features]


def describe(
    ingest: Ingest, values: Sequence[bytes | None], last: int = 3, times: Sequence[int] = ()
) -> Report:
    """Report on the values of some records, oldest first.

    last: how many samples are shown encoded; times: the records' timestamps, of samples without their own.
    """
    refused: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    features: Counter[str] = Counter()
    samples: list[Sample[Any, Any]] = []
    shown: list[tuple[Any, int | None]] = []
    for value, time in zip_longest(values, times):
        try:
            found = read_object(value)
            fields.update(list(found))
            if isinstance(found.get("features"), dict):
                features.update(list(found["features"]))
            samples.append(ingest.sample(value))
            own = samples[-1].timestamp  # the validator has made milliseconds of a text
            shown.append((samples[-1].features, own if isinstance(own, int) else time))
        except InvalidRecord as error:
            refused[str(error)] += 1
    names = ingest.encoder.names
    never = [name for name in names if not features[name]] if features else []
    unread = _unread(features, names, never) if ingest.spec.features.others == "ignore" else []
    elsewhere = {name: f"features.{name}" for name in names}
    return Report(
        records=len(values),
        valid=len(samples),
        labelled=sum(sample.label is not None for sample in samples),
        refused=refused.most_common(),
        never_seen=never,
        unread_fields=[
            Unread(one.name, one.count, elsewhere.get(one.name, one.nearest))
            for one in _unread(fields, FIELDS, [name for name in FIELDS if not fields[name]])
        ],
        unread_features=unread,
        samples=[ingest.encoder.pairs(*one) for one in shown[-last:]] if last else [],
        late=ingest.spec.late_labels,
        without_id=sum(sample.id is None for sample in samples),
    )


def _unread(seen: Counter[str], read: Sequence[str], never: Iterable[str]) -> list[Unread]:
    """Names that are not read, the most frequent first; likeliest meant is one that was never seen."""
    never = list(never)
    return [
        Unread(name, count, _nearest(name, never) or _nearest(name, read))
        for name, count in seen.most_common()
        if name not in read
    ]


def _nearest(name: str, candidates: Iterable[str]) -> str | None:
    by_lower = {one.lower(): one for one in candidates}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else None


def _line(prefix: str, unread: Unread) -> str:
    hint = f"; did you mean {shown_name(unread.nearest)}?" if unread.nearest else ""
    return f"{prefix}{shown_name(unread.name)}: in {unread.count} records, and nobody reads it{hint}"
