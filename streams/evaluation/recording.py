"""What is evaluated: recorded samples in one order, from wherever they were recorded; and their decoding."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from models.errors import GradstreamError
from models.rows import Rows
from streams.ingest import Ingest, Ingested
from streams.records import Record

CHUNK = 4_000
"""Records that are decoded together."""
TOLD = 5
"""Dead letters whose reasons are told."""


class NothingRecorded(GradstreamError):
    """A recording that has nothing to evaluate."""


class Recording(Protocol):
    """Recorded samples, read once, in the order in which they are predicted and learned."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def records(self) -> Generator[Record, None, None]:
        """All records; raises GradstreamError where it cannot be read on."""

    def place(self, record: Record) -> str:
        """Where a record of it stands."""

    def share(self) -> float | None:
        """How much of it is read, from 0 to 1; None if not known."""


@dataclass(slots=True)
class Counts:
    """What came out of a recording so far.

    records = samples + dead_letters; labelled: samples with a label; untimed: samples with the time 0,
    as those of a file that has none. first_letters: (place, reason) of the first dead letters.
    """

    records: int = 0
    samples: int = 0
    labelled: int = 0
    dead_letters: int = 0
    untimed: int = 0
    first_letters: list[tuple[str, str]] = field(default_factory=list)

    def add(self, recording: Recording, ingested: Ingested, records: int) -> None:
        """Count what came of so many records."""
        self.records += records
        self.samples += len(ingested.rows)
        self.labelled += int((~np.isnan(ingested.rows.labels)).sum())
        self.untimed += int((ingested.rows.timestamps == 0).sum())
        self.dead_letters += len(ingested.dead)
        for letter in ingested.dead[: TOLD - len(self.first_letters)]:
            self.first_letters.append((recording.place(letter.record), letter.message))


def decode(
    recording: Recording, ingest: Ingest, counts: Counts, limit: int | None = None
) -> Generator[Rows, None, None]:
    """The valid samples among the first `limit` records, encoded as a worker does; counts grow meanwhile.

    Raises NothingRecorded at the end where there was no record at all.
    """
    with closing(recording.records()) as records:
        limited = islice(records, limit)
        while chunk := list(islice(limited, CHUNK)):
            ingested = ingest.decode(recording.name, 0, chunk)
            counts.add(recording, ingested, len(chunk))
            yield ingested.rows
    if not counts.records:
        raise NothingRecorded(f"{recording.name}: there is no record in it; expected recorded samples")
