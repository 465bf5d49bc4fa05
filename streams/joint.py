"""Several models on one topic: each record is parsed once, for all of them.

A joint struct has the fields of all models' features. A model that takes a field as something else than
another does, or whatever is undeclared, parses for itself; so does every model what the joint struct cannot
take, since a record that one model refuses may be a sample to another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from models.encoding_fields import Field
from models.encoding_types import struct_type
from streams.ingest import Ingest
from streams.records import Record, Sample


class JointDecoder:
    """Parses records for the models that can share it: `members`."""

    def __init__(self, ingests: Sequence[Ingest]) -> None:
        fields: dict[str, Field] = {}
        self.members: list[Ingest] = []
        for ingest in ingests:
            if self._fits(ingest, fields):
                self.members.append(ingest)
                fields |= {field.name: field for field in ingest.encoder.fields if field.name not in fields}
        self._place = {name: f"f{i}" for i, name in enumerate(fields)}
        self._decode: Callable[[Any], Any] | None = None
        if len(self.members) > 1:
            sample_type: Any = Sample
            of_labels = self.members[0].label_type
            self._decode = msgspec.json.Decoder(
                sample_type[struct_type(list(fields.values())), of_labels]
            ).decode
            for ingest in self.members:
                ingest.joint = self

    def _fits(self, ingest: Ingest, fields: dict[str, Field]) -> bool:
        if not ingest.encoder.is_struct:
            return False
        if self.members and ingest.label_type != self.members[0].label_type:
            return False
        own = {field.name: field for field in ingest.encoder.fields}
        return all(_same(own[name], fields[name]) for name in own.keys() & fields.keys())

    def decode(self, records: Sequence[Record]) -> list[Any]:
        """A sample with joint features for each record, None where a model has to look for itself."""
        if self._decode is None:
            return []
        decode = self._decode
        found: list[Any] = []
        for record in records:
            try:
                found.append(decode(record.value))
            except Exception:  # each model says in its own words what is wrong, if anything is
                found.append(None)
        return found

    def narrow(self, ingest: Ingest) -> Callable[[Any], Any]:
        """Joint features → a model's own."""
        names = [self._place[name] for name in ingest.encoder.names]
        own = ingest.encoder.features_type
        if names == [f"f{i}" for i in range(len(self._place))]:
            # All of them, in this order: only the type differs, and nobody looks at that.
            return lambda features: features
        if len(names) == 1:
            one = attrgetter(names[0])
            return lambda features: own(one(features))
        if not names:
            return lambda _: own()
        several = attrgetter(*names)
        return lambda features: own(*several(features))


def _same(one: Field, other: Field) -> bool:
    return (one.kind, one.size) == (other.kind, other.size)


class JointBatch:
    """The records of one fetched batch, parsed when the first model asks (streams.processor.Parsed)."""

    def __init__(self, decoder: JointDecoder, records: Sequence[Record]) -> None:
        self._decoder = decoder
        self._records = records
        self._found: list[Any] | None = None

    def part(self, start: int, stop: int) -> list[Any]:
        """See Parsed."""
        if self._found is None:
            self._found = self._decoder.decode(self._records)
        return self._found[start:stop]

    def since(self, skipped: int) -> Later:
        """See Parsed."""
        return Later(self, skipped)


class Later:
    """A batch without its first records."""

    def __init__(self, batch: JointBatch, skipped: int) -> None:
        self._batch = batch
        self._skipped = skipped

    def part(self, start: int, stop: int) -> list[Any]:
        """See Parsed."""
        return self._batch.part(self._skipped + start, self._skipped + stop)

    def since(self, skipped: int) -> Later:
        """See Parsed."""
        return Later(self._batch, self._skipped + skipped)
