"""Kafka records to encoded samples or dead letters.

The fast path decodes each value straight into a struct of the model's declared features and turns columns of
structs into arrays. Whatever it cannot take, or cannot be sure of, gets a careful look of its own
(streams.ingest_validator), which finds it valid after all or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import numpy as np

from models.encoding_readable import MAX_SAMPLE_BYTES
from models.features import Encoder
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from streams.dead_letters import InvalidRecord
from streams.ingest_labels import Labels
from streams.ingest_validator import MAX_TIMESTAMP, MIN_TIMESTAMP, Validator, milliseconds
from streams.native.raw import RawRecords
from streams.native.raw_ids import RawIds, RawKeys
from streams.native.samples import SampleParser, offsets_of, parser_of, taken
from streams.records import DeadLetter, Record, Sample

CHUNK = 1_000
"""Records that are decoded together: their objects stay in the processor's cache."""

SURELY_SMALL = 16 * 1024
"""Bytes of JSON that cannot become a sample too large for the log: an entry takes at least two of them."""

_VALUE, _KEY = attrgetter("value"), attrgetter("key")
_OFFSET, _TIMESTAMP = attrgetter("offset"), attrgetter("timestamp")

_Columns = tuple[Float64, Float64, Int64]
"""Labels, weights, timestamps."""


@dataclass(slots=True)
class Ingested:
    """What came of the records of one fetched batch.

    ids, keys and rows are those of the valid samples, labelled or not, in the records' order; dead are the
    others. A sample's own offset is in rows.offsets.
    """

    topic: str
    partition: int
    ids: Sequence[str]
    keys: Sequence[bytes | None]
    rows: Rows
    dead: list[DeadLetter]


class _Doubtful(Exception):
    """Something that the fast path leaves to the validator."""


class Joint(Protocol):
    """Parses records for several models (streams.joint)."""

    def narrow(self, ingest: Ingest) -> Callable[[Any], Any]:
        """What turns the features that it parsed into those of one model."""


class Ingest:
    """Decodes and encodes the samples of one model."""

    def __init__(self, model_name: str, spec: ModelSpec) -> None:
        self.model = model_name
        self.spec = spec
        self.encoder = Encoder(spec.features)
        self._labels = Labels(spec)
        self._validator = Validator(self.encoder, self._labels)
        self.label_type = self._labels.type
        self.joint: Joint | None = None
        """Who parses for several models, this one among them."""
        sample_type: Any = Sample
        decoder = msgspec.json.Decoder(sample_type[self.encoder.features_type, self.label_type])
        self._decode = decoder.decode
        self._narrow: Callable[[Any], Any] | None = None
        self._sizes_vary = spec.features.others == "include"
        self._raw = parser_of(spec, self.encoder)

    def decode(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[Any] | None = None,
    ) -> Ingested:
        """Encode the valid samples among records of one partition, in order; the rest are dead letters.

        `parsed`: what `joint` made of each record, if it did.
        """
        if parsed is None and self._raw is not None and isinstance(records, RawRecords) and len(records):
            return self._of_raw(self._raw, topic, partition, records)
        chunks = [
            self._chunk(
                topic,
                partition,
                records[start : start + CHUNK],
                None if parsed is None else parsed[start : start + CHUNK],
            )
            for start in range(0, max(len(records), 1), CHUNK)
        ]
        if len(chunks) == 1:
            return chunks[0]
        return Ingested(
            topic,
            partition,
            ids=[one for chunk in chunks for one in chunk.ids],
            keys=[one for chunk in chunks for one in chunk.keys],
            rows=Rows.concatenate([chunk.rows for chunk in chunks]),
            dead=[one for chunk in chunks for one in chunk.dead],
        )

    def _of_raw(self, parser: SampleParser, topic: str, partition: int, records: RawRecords) -> Ingested:
        """As `decode`: what is plain by the compiled parser, the rest record by record."""
        parsed, sure = parser.parse(records)
        plain = int(np.count_nonzero(sure))
        if not plain:
            return self.decode(topic, partition, list(records))
        others = None if plain == len(sure) else self.decode(topic, partition, list(records.of(~sure)))
        if others is not None:
            parsed, records = taken(parsed, sure), records.of(sure)
        offsets = offsets_of(records)
        ids = RawIds(records.data, parsed.id_at, parsed.id_size, f"{topic}-{partition}-", offsets)
        rows = parser.rows(parsed, offsets)
        ingested = Ingested(topic, partition, ids, RawKeys(records), rows, [])
        return ingested if others is None else _merged(ingested, others)

    def sample(self, value: bytes | None) -> Sample[Any, Any]:
        """The sample in one record's value; raises InvalidRecord with what is wrong."""
        return self._validator.sample(value)

    def _chunk(
        self, topic: str, partition: int, records: Sequence[Record], parsed: Sequence[Any] | None
    ) -> Ingested:
        values = list(map(_VALUE, records))
        samples, decoded = self._parse(values) if parsed is None else self._narrowed(parsed)
        dead: list[DeadLetter] = []
        certain = decoded and self._certain(samples, values)
        columns = self._columns(samples, records) if certain else None
        if columns is None:
            samples, records, dead = self._sift(samples, records)
            columns = self._columns(samples, records)
            if columns is None:  # the validator has taken what the fast path would not
                raise AssertionError(f"{topic}-{partition}: a sample is both valid and not")
        labels, weights, timestamps = columns
        offsets = np.fromiter(map(_OFFSET, records), np.int64, len(records))
        ids = _ids([sample.id for sample in samples], f"{topic}-{partition}-", offsets)
        rows = self.encoder.encode(
            [sample.features for sample in samples], labels, weights, timestamps, offsets
        )
        return Ingested(topic, partition, ids, list(map(_KEY, records)), rows, dead)

    def _narrowed(self, parsed: Sequence[Any]) -> tuple[list[Any], bool]:
        """As `_parse`, of what was parsed for several models."""
        if self._narrow is None:
            assert self.joint is not None
            self._narrow = self.joint.narrow(self)
        narrow = self._narrow
        samples = [
            None
            if one is None
            else Sample(narrow(one.features), one.id, one.label, one.weight, one.timestamp)
            for one in parsed
        ]
        return samples, None not in samples

    def _parse(self, values: list[bytes | None]) -> tuple[list[Any], bool]:
        """Decoded samples, None where that failed; and whether none failed."""
        decode = self._decode
        try:
            return list(map(decode, values)), True  # type: ignore[arg-type]
        except Exception:
            pass  # one of them; each alone, then
        samples: list[Any] = []
        append = samples.append
        decoded = True
        for value in values:
            try:
                append(decode(value))  # type: ignore[arg-type]
            except Exception:  # whatever it is, the validator says it in its own words
                append(None)
                decoded = False
        return samples, decoded

    def _certain(self, samples: list[Any], values: list[bytes | None]) -> bool:
        """Whether decoding has told all that there is to be told about bytes and features."""
        return (
            (self.encoder.checked_by_decoding or all(self.encoder.fits(one.features) for one in samples))
            and not self._any_large(values)
            and all_utf8(values)
        )

    def _any_large(self, values: list[bytes | None]) -> bool:
        return self._sizes_vary and any(value is not None and len(value) > SURELY_SMALL for value in values)

    def _columns(self, samples: Sequence[Any], records: Sequence[Record]) -> _Columns | None:
        """Labels, weights and event times (n,), or None if any of them is not certain to be valid."""
        try:
            return (
                self._labels.encode([sample.label for sample in samples]),
                weights([sample.weight for sample in samples]),
                timestamps([sample.timestamp for sample in samples], records),
            )
        except (KeyError, OverflowError, _Doubtful):
            return None

    def _sift(
        self, samples: list[Any], records: Sequence[Record]
    ) -> tuple[list[Any], list[Record], list[DeadLetter]]:
        """Look at each record alone: the valid samples, their records, and letters for the rest."""
        valid: list[Any] = []
        kept: list[Record] = []
        dead: list[DeadLetter] = []
        for sample, record in zip(samples, records, strict=True):
            try:
                if sample is None or not self._surely_valid(sample, record.value):
                    sample = self._validator.sample(record.value)
            except InvalidRecord as error:
                dead.append(DeadLetter.of(record, error))
            else:
                valid.append(sample)
                kept.append(record)
        return valid, kept, dead

    def _surely_valid(self, sample: Sample[Any, Any], value: bytes | None) -> bool:
        """Whether a decoded sample needs no careful look."""
        weight, time = sample.weight, sample.timestamp
        if not self._labels.is_known(sample.label) or not (weight is None or weight >= 0):
            return False
        if time is not None and not MIN_TIMESTAMP <= _milliseconds(time) <= MAX_TIMESTAMP:
            return False
        if self._any_large([value]) and self.encoder.encoded_bytes(sample.features) > MAX_SAMPLE_BYTES:
            return False
        return self.encoder.fits(sample.features) and all_utf8([value])


def _merged(one: Ingested, other: Ingested) -> Ingested:
    """The samples of both in the order of their offsets, and the letters of both."""
    rows = Rows.concatenate([one.rows, other.rows])
    order = np.argsort(rows.offsets, kind="stable")
    ids, keys = [*one.ids, *other.ids], [*one.keys, *other.keys]
    places = order.tolist()
    return Ingested(
        one.topic,
        one.partition,
        [ids[at] for at in places],
        [keys[at] for at in places],
        rows.take(order),
        [*one.dead, *other.dead],
    )


def _ids(given: list[str | None], prefix: str, offsets: Int64) -> list[str]:
    """The samples' ids; TOPIC-PARTITION-OFFSET for those without one."""
    if None not in given:
        return given  # type: ignore[return-value] # looked at just now
    defaults = map(prefix.__add__, map(str, offsets.tolist()))
    if given.count(None) == len(given):
        return list(defaults)
    return [default if one is None else one for one, default in zip(given, defaults, strict=True)]


def all_utf8(values: list[bytes | None]) -> bool:
    """msgspec does not look into texts that it skips, but a value that is not UTF-8 is not JSON."""
    try:
        together = b"\n".join(values)  # type: ignore[arg-type]
        return together.isascii() or bool(together.decode())
    except (TypeError, UnicodeDecodeError):
        return False


def _milliseconds(time: datetime | int) -> int:
    return time if isinstance(time, int) else milliseconds(time)


def weights(given: Sequence[float | None]) -> Float64:
    """(n,) null counts as 1; raises _Doubtful for a negative one."""
    found = np.fromiter(given, np.float64, len(given))
    found[np.isnan(found)] = 1.0  # numpy reads None as NaN, and JSON has no other NaN
    if len(found) and found.min() < 0:
        raise _Doubtful
    return found


def timestamps(given: Sequence[datetime | int | None], records: Sequence[Record]) -> Int64:
    """(n,) ms since 1970: the sample's own, else the record's; raises _Doubtful for one out of range."""
    n = len(given)
    if given.count(None) == n:
        return np.fromiter(map(_TIMESTAMP, records), np.int64, n)
    if set(map(type, given)) == {int}:
        found = np.fromiter(given, np.int64, n)
        if found.min() < MIN_TIMESTAMP or found.max() > MAX_TIMESTAMP:
            raise _Doubtful
        return found
    times = np.empty(n, dtype=np.int64)
    for i, (time, record) in enumerate(zip(given, records, strict=True)):
        if time is None:
            times[i] = record.timestamp
            continue
        own = _milliseconds(time)
        if not MIN_TIMESTAMP <= own <= MAX_TIMESTAMP:
            raise _Doubtful
        times[i] = own
    return times
