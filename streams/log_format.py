"""Format 1 of the learning log: kinds and headers of its records. Bodies of data: streams.data_codec.

A record's key is its kind. Headers are UTF-8 text. `format`, `worker` and `seq` stand in every record; the
others depend on the kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from models.errors import GradstreamError

FORMAT = 1
Kind = Literal["genesis", "open", "data", "hole", "resume"]
KINDS: frozenset[str] = frozenset(("genesis", "open", "data", "hole", "resume"))
Body = bytes | bytearray
"""Of a record that is written; nobody changes it."""
LARGEST = 2**63 - 1
"""Of an offset, as Kafka counts."""
MAX_DATA_BYTES = 4 * 1024 * 1024
"""A batch is split so that its encoded samples stay below this."""


class UnknownFormat(GradstreamError):
    """A record of a format or kind that this release does not know: folding on would be wrong."""


class Undecodable(ValueError):
    """A record of a known format that cannot be read: everybody ignores it alike."""


@dataclass(frozen=True, slots=True)
class PartitionId:
    """An input partition. The topic's id tells a topic from a later one of the same name."""

    topic: str
    topic_id: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"

    def headers(self) -> dict[str, object]:
        """The headers by which a record names it."""
        return {"topic": self.topic, "topic_id": self.topic_id, "partition": self.partition}


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the learning log as it was read: headers parsed, body not yet."""

    offset: int
    kind: Kind
    worker: str
    seq: int
    headers: Mapping[str, str]
    value: bytes | None

    def partition(self) -> PartitionId:
        """The input partition that the record is about; raises Undecodable."""
        try:
            return PartitionId(
                self.headers["topic"], self.headers["topic_id"], _natural(self.headers["partition"])
            )
        except KeyError as missing:
            raise Undecodable(f"no header {missing}") from None

    def number(self, name: str) -> int:
        """A header that is a natural number; raises Undecodable."""
        try:
            return _natural(self.headers[name])
        except KeyError:
            raise Undecodable(f"no header {name!r}") from None


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST):
        raise Undecodable(f"expected a number, got {text!r}")
    return int(text)


def parse_names(text: bytes) -> dict[int, str]:
    """Full hash → name of hashed features, from JSON; raises Undecodable or MsgspecError."""
    names = {_natural(hash_): name for hash_, name in msgspec.json.decode(text, type=dict[str, str]).items()}
    if max(names, default=0) >= 2**32:
        raise Undecodable("a name of what is no 32-bit hash")
    return names


def parse_record(
    offset: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
) -> LogRecord:
    """Read a record's envelope.

    Raises UnknownFormat for a format or kind of another release. An envelope that is broken otherwise gives
    a record without headers, which nobody can decode: all ignore it alike.
    """
    kind = (key or b"").decode("utf-8", "replace")
    texts = {name: (text or b"").decode("utf-8", "replace") for name, text in headers}
    if texts.get("format") != str(FORMAT) or kind not in KINDS:
        found = f"kind {kind!r}, format {texts.get('format')!r}"
        raise UnknownFormat(
            f"learning log, offset {offset}: {found}; this release reads format {FORMAT} "
            f"({', '.join(sorted(KINDS))}): upgrade gradstream on this worker"
        )
    worker = texts.get("worker", "")
    try:
        seq = _natural(texts.get("seq", ""))
    except Undecodable:
        seq, texts = -1, {}
    return LogRecord(offset, kind, worker, seq, texts, value)  # type: ignore[arg-type]


def envelope(worker: str, seq: int, **headers: object) -> list[tuple[str, bytes]]:
    """Headers of a record to append; a trailing underscore of a name is dropped (`from_`)."""
    texts = {"format": FORMAT, "worker": worker, "seq": seq, **headers}
    return [(name.rstrip("_"), str(text).encode()) for name, text in texts.items()]
