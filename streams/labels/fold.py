"""The fold of a late-label model: where each partition stands on both of its topics, and what was counted.

What waits in a partition follows from the records of it that counted, in their order: two ways to the same
pair of offsets may leave other samples waiting. So a record also names the one of its partition that counted
before it (`after`), and counts only behind that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from streams.fold import Fold
from streams.labels.codec import AT_ONCE, EXPIRED, JOINED, NEVER, LateCodec, LateRows
from streams.labels.tally import Tally
from streams.log_format import LogRecord, PartitionId, Undecodable


class Standing(msgspec.Struct):
    """Where a partition stands beside its samples' next offset. Clocks in ms, NEVER before the first."""

    label_topic: str
    label_topic_id: str
    label_next: int
    after: str = ""
    sample_time: int = NEVER
    label_time: int = NEVER
    waiting: int = 0
    early: int = 0

    @property
    def clocks(self) -> tuple[int, int]:
        """Of samples and labels."""
        return self.sample_time, self.label_time


@dataclass(slots=True)
class Facts:
    """What a record says beside its rows; the header's names.

    waiting and early are how many there are behind the record, the others how many there were in it.
    """

    sample_time: int = NEVER
    label_time: int = NEVER
    waiting: int = 0
    early: int = 0
    repeated: int = 0
    unmatched: int = 0
    corrections: int = 0
    dropped: int = 0

    @classmethod
    def of(cls, record: LogRecord) -> Facts:
        """Those of a data record; raises Undecodable."""
        times = [_time(record, name) for name in ("sample_time", "label_time")]
        names = ("waiting", "early", "repeated", "unmatched", "corrections", "dropped")
        return cls(*times, *(record.number(name) for name in names))

    def headers(self) -> dict[str, object]:
        """As headers of a record."""
        return {name: getattr(self, name) for name in self.__slots__}

    def then(self, later: Facts) -> Facts:
        """Of this batch and the next one together."""
        return Facts(
            later.sample_time,
            later.label_time,
            later.waiting,
            later.early,
            self.repeated + later.repeated,
            self.unmatched + later.unmatched,
            self.corrections + later.corrections,
            self.dropped + later.dropped,
        )


def _time(record: LogRecord, name: str) -> int:
    text = record.headers.get(name, "")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise Undecodable(f"header {name!r}: expected a time, got {text!r}")
    return int(text)


def named(record: LogRecord) -> str:
    """How the next record of a partition names this one."""
    return f"{record.worker}:{record.seq}"


@dataclass(slots=True)
class LateFold(Fold):
    """A Fold whose partitions have two topics."""

    standings: dict[PartitionId, Standing] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def late_codec(self) -> LateCodec:
        """The codec of its records."""
        assert isinstance(self.codec, LateCodec)
        return self.codec

    def counts(self, record: LogRecord) -> bool:
        """Whether a record goes on where its partition stands on both topics, behind the last one."""
        partition = record.partition()
        standing = self.standings.get(partition)
        if standing is None:
            return False
        start, stop = record.number("from"), record.number("to")
        label_start, label_stop = record.number("label_from"), record.number("label_to")
        topic = (record.headers.get("label_topic"), record.headers.get("label_topic_id"))
        return (
            (self.next[partition], standing.label_next) == (start, label_start)
            and topic == (standing.label_topic, standing.label_topic_id)
            and stop >= start
            and label_stop >= label_start
            and stop + label_stop > start + label_start
            and record.headers.get("after") == standing.after
        )

    def open(self, record: LogRecord) -> None:
        """The first `open` of a partition sets its next offsets."""
        partition, label_next = record.partition(), record.number("label_next")
        known = partition in self.next
        Fold.open(self, record)
        if not known:
            try:
                topic, topic_id = record.headers["label_topic"], record.headers["label_topic_id"]
            except KeyError as missing:
                del self.next[partition]
                raise Undecodable(f"no header {missing}") from None
            self.standings[partition] = Standing(topic, topic_id, label_next)

    def advance(self, record: LogRecord, names: dict[int, str]) -> PartitionId:
        """Move past a record that counts."""
        partition = record.partition()
        facts = Facts.of(record) if record.kind == "data" else None
        standing = self.standings[partition]
        Fold.advance(self, record, names)
        standing.label_next = record.number("label_to")
        standing.after = named(record)
        if record.kind == "hole":
            self.holes[-1] |= {"label_from": record.number("label_from"), "label_to": standing.label_next}
        if facts is not None:
            standing.sample_time, standing.label_time = facts.sample_time, facts.label_time
            standing.waiting, standing.early = facts.waiting, facts.early
            self.tally.repeated += facts.repeated
            self.tally.unmatched += facts.unmatched
            self.tally.corrections += facts.corrections
            self.tally.dropped += facts.dropped
            self.tally.expired -= facts.dropped
        return partition

    def decode_late(self, record: LogRecord) -> LateRows:
        """The rows of a data record; raises Undecodable."""
        length = record.number("to") - record.number("from")
        length += record.number("label_to") - record.number("label_from")
        # An early label that is given up was a record of an earlier range.
        if record.number("dead_letters") > length + record.number("unmatched"):
            raise Undecodable(f"{record.number('dead_letters')} dead letters in a range that is shorter")
        Facts.of(record)
        late = self.late_codec.decode_late(record.value)
        if record.number("samples") != len(late.rows):
            raise Undecodable(f"{len(late.rows)} rows, header 'samples' says {record.number('samples')}")
        return late

    def count(self, late: LateRows) -> None:
        """Take the rows and parts of a record that counts into the tally."""
        joined = (late.events == JOINED) | (late.events == AT_ONCE)
        self.tally.joined += int(joined.sum())
        self.tally.expired += int((late.events == EXPIRED).sum()) + sum(len(p.gone) for p in late.parts)
        self.tally.early += sum(len(part.early) for part in late.parts)
        self.tally.take_delays((late.label_times - late.rows.timestamps)[joined])

    def digest(self) -> str:
        """As Fold.digest, with all that is kept here."""
        standings = sorted(
            (p.topic, p.topic_id, p.partition, *msgspec.structs.astuple(at))
            for p, at in self.standings.items()
        )
        tally = msgspec.json.encode(self.tally, order="sorted").decode()
        text = msgspec.json.encode((Fold.digest(self), standings, tally))
        return blake2b(text, digest_size=16).hexdigest()

    def document(self) -> dict[str, Any]:
        """The counts for people (`labels` in `inspect --json`), with all that a checkpoint has to restore."""
        tally, standings = self.tally, self.standings
        counts = ("joined", "expired", "dropped", "early", "repeated", "unmatched", "corrections")
        return {
            **{name: getattr(tally, name) for name in counts},
            "waiting": sum(at.waiting for at in standings.values()),
            "delays": tally.summary(),
            "partitions": {
                str(p): {
                    "waiting": at.waiting,
                    "early_waiting": at.early,
                    "sample_time": None if at.sample_time == NEVER else at.sample_time,
                    "label_time": None if at.label_time == NEVER else at.label_time,
                }
                for p, at in standings.items()
            },
            "offsets": {f"{at.label_topic}-{p.partition}": at.label_next for p, at in standings.items()},
        }
