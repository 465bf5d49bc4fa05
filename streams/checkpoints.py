"""Checkpoints of one model: the fold's state, to the store and back.

A save takes the blocks of the state that changed since the last one, as they are without what is pending.
Tensors that lie in one block are stored whole under their name; longer ones in pieces NAME/0, NAME/1 …, cut
where the state's blocks end, so that a save writes what changed and nothing else.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib import metadata
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from infra.store import Checkpoint, CheckpointStore, StoreCorrupt
from models.errors import SpecError
from models.spec import ModelSpec
from streams.fold import Refused, check_genesis
from streams.labels.fold import LateFold, Standing
from streams.labels.tally import Tally
from streams.log_format import PartitionId, parse_names
from streams.pieces import Pieces
from streams.view import View

READABLE_WEIGHTS = 1_000
"""All weights of a model with no more names than this are readable, the heaviest of a larger one."""

MANY_BLOCKS = 8_000
"""Encoded in a thread: learning goes on meanwhile."""

_COUNTS = ("samples_learned", "dead_letters", "refused", "skipped", "ignored", "undecodable")
_DECISIVE = ("log_offset", "log_topic_id", "last_worker", "last_seq", "genesis", "digest", *_COUNTS)
_DAMAGED = (
    ArithmeticError,
    LookupError,
    MemoryError,
    SafetensorError,
    SpecError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What reading a stored state may raise that no save has written."""


class Checkpoints:
    """Saves and loads one model's view through a store."""

    def __init__(
        self, model: str, spec: ModelSpec, view: View, store: CheckpointStore, log_topic_id: str
    ) -> None:
        self._name = model
        self._spec = spec
        self._view = view
        self._store = store
        self._log_topic_id = log_topic_id
        self._pieces = Pieces(view.model.layout, buffered=spec.update.name != "sample")
        self._since: int | None = None
        self._wrong: set[str] = set()  # workers that may have saved a wrong state
        self._doubted = False  # until all has been saved once
        self._lock = asyncio.Lock()

    async def save(self) -> None:
        """Save the state at the fold's log offset; nothing if the last save was there. Raises StoreError."""
        async with self._lock:
            if self._wrong and not await self._worth_saving():
                return
            if self._view.fold.log_offset == self._since:
                return
            if await self._save(self._since) == "full":
                await self._save(None)

    async def look(self) -> None:
        """Notice a store that was emptied or fell back (rule 18), also while the log stands still.

        Raises StoreUnavailable.
        """
        async with self._lock:
            stored = (await self._store.load_text(self._name)).get("log_offset", "-1")
            if self._since is not None and stored.lstrip("-").isdigit() and int(stored) < self._since:
                self._since = None

    async def _worth_saving(self) -> bool:
        """Whether a save can go through; it is a whole one where what is stored is in doubt."""
        stored = await self._store.load_text(self._name)
        if stored.get("saved_by") in self._wrong:
            self._doubted = True
        if self._doubted:
            self._since = None
        return int(stored.get("log_offset", -1)) < self._view.fold.log_offset

    async def load(self, self_test: str, wrong: Iterable[str] = ()) -> bool:
        """Take the stored state over; False if there is none, or if one of the workers `wrong` saved it.

        Raises StoreCorrupt, and GenesisError where it is the state of another specification or kernel.
        """
        found = await self._store.load(self._name)
        if found is None:
            return False
        if found.text.get("saved_by") in (wrong := set(wrong)):
            self.distrust(wrong)
            return False
        if found.text.get("log_topic_id") != self._log_topic_id:
            raise StoreCorrupt(
                f"model {self._name}: its checkpoint belongs to a learning log since deleted and made again; "
                f"forget the model: gradstream reset {self._name}"
            )
        check_genesis(found.text.get("genesis", "").encode(), self._spec, self_test, self._name)
        try:
            same_text = text_digest(found.text) == found.text["text_digest"]
            if same_text:
                self._take_over(found)
            same_tensors = same_text and self.digest() == found.text["digest"]
        except _DAMAGED as error:
            raise self._corrupt(f"{type(error).__name__}: {error}") from error
        if not same_tensors:
            what = "tensors" if same_text else "readable fields"
            raise self._corrupt(f"the {what} do not have the digest that was saved with them")
        self._view.model.take_dirty()
        self._since = found.log_offset
        return True

    def distrust(self, workers: Iterable[str]) -> None:
        """What these workers saved, or still save, is to be written again as a whole."""
        self._wrong.update(workers)
        self._doubted = True

    def whole(self) -> Checkpoint:
        """The whole state as a save would write it."""
        folded = self._view.model.folded()
        tensors = {**self._pieces.encode(folded), "names": self._names()}
        weights, scaling = self._readable()
        return Checkpoint(self._text(self._view.model.digest(folded), scaling), tensors, weights)

    def digest(self) -> str:
        """Digest of the whole state without what is pending."""
        return self._view.model.digest()

    def _corrupt(self, what: str) -> StoreCorrupt:
        return StoreCorrupt(
            f"model {self._name}: its checkpoint in Redis is damaged ({what}); delete the keys "
            f"gradstream:{{{self._name}}}* to have it written again from the learning log"
        )

    async def _save(self, since: int | None) -> str:
        model, fold = self._view.model, self._view.fold
        dirty = model.take_dirty()
        folded = model.folded(blocks=None if since is None else self._pieces.wanted(dirty))
        named, fold.names_changed = fold.names_changed, False
        offset = fold.log_offset
        names = {"names": self._names()} if named or since is None else {}
        weights, scaling = self._readable()
        text_fields = self._text(model.digest(folded), scaling)
        try:
            # From here on the fold goes on: `folded` is a copy.
            if len(folded.blocks) > MANY_BLOCKS:
                tensors = await asyncio.to_thread(self._pieces.encode, folded)
            else:
                tensors = self._pieces.encode(folded)
            tensors |= names
            answer = await self._store.save(self._name, Checkpoint(text_fields, tensors, weights, since))
        except BaseException:
            model.restore_dirty(dirty)
            fold.names_changed |= named
            raise
        if answer == "full":
            model.restore_dirty(dirty)
            fold.names_changed |= named
        elif since is None and answer == "saved":
            self._since = offset
            self._doubted = False
        elif not self._doubted:
            self._since = offset
        return answer

    def _names(self) -> bytes:
        """Names of hashed features, as a tensor of bytes."""
        text = msgspec.json.encode({str(hash_): name for hash_, name in self._view.fold.names.items()})
        return safetensors.numpy.save({"names": np.frombuffer(text, dtype=np.uint8)})

    def _text(self, digest: str, scaling: dict[str, Any]) -> dict[str, str]:
        fold, model = self._view.fold, self._view.model
        json = msgspec.json.encode
        opened = [[*_fields(partition), offset] for partition, offset in fold.next.items()]
        fields: dict[str, Any] = {
            "log_offset": fold.log_offset,
            "log_topic_id": self._log_topic_id,
            "last_worker": fold.last_worker,
            "last_seq": fold.last_seq,
            "spec": self._spec.to_json(),
            "genesis": fold.genesis or b"",
            "samples_learned": fold.samples_learned,
            "dead_letters": fold.dead_letters,
            "refused": fold.refused,
            "skipped": fold.skipped,
            "halted": int(model.halted()),
            "ignored": fold.ignored,
            "undecodable": fold.undecodable,
            "offsets": json({str(partition): offset for partition, offset in fold.next.items()}),
            "partitions": json(opened),
            "holes": json(fold.holes),
            "metrics": json(model.metrics()),
            "scaling": json(scaling),
            "memory": json(model.memory()),
            "last_refused": json([[r.topic, r.partition, r.offset, r.reason] for r in fold.last_refused]),
            "digest": digest,
            "release": _release(),
            "saved_by": self._view.worker,
            "saved_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        }
        if isinstance(fold, LateFold):
            fields["labels"] = json(fold.document())
            fields["standings"] = json([[*_fields(p), at] for p, at in fold.standings.items()])
            fields["tally"] = json(fold.tally, order="sorted")
        text = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in fields.items()}
        return {**text, "text_digest": text_digest(text)}

    def _readable(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Weights by name as text, and how the scaled ones are scaled."""
        table = self._view.model.weights(self._view.fold.names, READABLE_WEIGHTS)
        weights = {name: repr(float(weight)) for name, weight, _ in table}
        scaling = {name: scaling for name, _, scaling in table if scaling}
        return weights, scaling

    def _take_over(self, found: Checkpoint) -> None:
        fold, text = self._view.fold, found.text
        decode = msgspec.json.decode
        fields = dict(found.tensors)
        names = bytes(safetensors.numpy.load(fields.pop("names"))["names"])
        self._view.model.load(self._pieces.decode(fields))
        fold.log_offset = found.log_offset
        fold.last_worker, fold.last_seq = text["last_worker"], int(text["last_seq"])
        fold.genesis = text["genesis"].encode()
        for name in _COUNTS:
            setattr(fold, name, int(text[name]))
        opened = decode(text["partitions"], type=list[tuple[str, str, int, int]])
        fold.next = {PartitionId(topic, id_, number): offset for topic, id_, number, offset in opened}
        fold.holes = decode(text["holes"], type=list[dict[str, Any]])
        refused = decode(text["last_refused"], type=list[tuple[str, int, int, str]])
        fold.last_refused.extend(Refused(*one) for one in refused)
        if isinstance(fold, LateFold):
            stood = decode(text["standings"], type=list[tuple[str, str, int, Standing]])
            fold.standings = {PartitionId(topic, id_, number): at for topic, id_, number, at in stood}
            fold.tally = decode(text["tally"], type=Tally)
        fold.names = parse_names(names)
        fold.names_changed = False


@functools.cache
def _release() -> str:
    """Which release this is; found out once, since that parses a file."""
    return metadata.version("gradstream")


def text_digest(text: Mapping[str, str]) -> str:
    """Digest of the readable fields that decide how a fold goes on; raises KeyError where one is missing."""
    late = ("standings", "tally") if "standings" in text else ()
    decisive = [text[name] for name in (*_DECISIVE, "partitions", "holes", "last_refused", *late)]
    return blake2b(msgspec.json.encode(decisive), digest_size=16).hexdigest()


def _fields(partition: PartitionId) -> tuple[str, str, int]:
    return partition.topic, partition.topic_id, partition.partition
