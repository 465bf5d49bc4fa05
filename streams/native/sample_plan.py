"""What the compiled parser of samples knows of a model, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.encoding_fields import source
from models.encoding_names import MAX_NAME_BYTES
from models.features import Encoder
from models.kernels.plan import UInt8
from models.rows import Float64, Int64
from models.spec import FeatureSpec, ModelSpec

NUMBER, COUNT, INTEGERS, BITS, TEXTS, BOOLEANS = range(6)
"""Kinds of labels: a number, one of 0 or more; classes: integers, 0 and 1 (or booleans), texts, booleans."""
MOST_CLASSES = 64
NO_FIELD = -1


class Texts(NamedTuple):
    """Several texts in UTF-8, one after the other; text i is data[starts[i] : starts[i + 1]]."""

    data: UInt8
    starts: Int64


class Words(NamedTuple):
    """Texts to be compared eight bytes at a time: of text i words[starts[i]] to words[starts[i + 1]], where a
    mask has the bits that count.
    """

    words: npt.NDArray[np.uint64]
    masks: npt.NDArray[np.uint64]
    starts: Int64


class SamplePlan(NamedTuple):
    """Of one model. f fields, h hashes a sample.

    keys: names with what stands behind them in plain JSON, a quote and a colon. table: slots, a power of two,
    of fields by the hash of their names; numeric: column of each field, or NO_FIELD; category: whether its
    text is needed. Hash j is of the pieces from pieces[j] to pieces[j + 1]: a text, and behind it the value
    of a field unless that is NO_FIELD. named: whether its name is to be told.
    """

    names: Texts
    keys: Words
    table: Int64
    numeric: Int64
    category: Int64
    pieces: Int64
    piece_texts: Texts
    piece_fields: Int64
    named: Int64
    label: int
    classes: Float64
    class_texts: Texts


@dataclass(frozen=True)
class Planned:
    """A plan, and how wide its outputs are: hashes of entries, and behind these hashes of codes."""

    plan: SamplePlan
    entries: int
    codes: int
    scaled_by: tuple[int, ...]


def plan_of(spec: ModelSpec, encoder: Encoder) -> Planned | None:
    """The plan of a model, None where the compiled parser does not know all that it takes."""
    features = spec.features
    label = _label(spec)
    beyond = features.others == "include" or features.text or features.bins or not encoder.is_struct
    if beyond or label is None or any(field.kind not in ("number", "category") for field in encoder.fields):
        return None
    place = {field.name: at for at, field in enumerate(encoder.fields)}
    numeric = [NO_FIELD] * len(place)
    for column, one in enumerate(features.numeric):
        if numeric[place[source(one)]] != NO_FIELD:
            return None  # two columns of one field
        numeric[place[source(one)]] = column
    pieces = _pieces(features, place)
    if any(sum(len(text.encode()) for text, _ in hashed) >= MAX_NAME_BYTES for hashed in pieces):
        return None
    flat = [piece for hashed in pieces for piece in hashed]
    used = {field for _, field in flat}
    kind, classes, class_texts = label
    plan = SamplePlan(
        names=texts_of(encoder.names),
        keys=_words([f'{name}":'.encode() for name in encoder.names]),
        table=_table(encoder.names),
        numeric=np.array(numeric, np.int64),
        category=np.array([at in used for at in range(len(place))], np.int64),
        pieces=np.cumsum([0, *map(len, pieces)]).astype(np.int64),
        piece_texts=texts_of([text for text, _ in flat]),
        piece_fields=np.array([field for _, field in flat], np.int64),
        named=np.array([1] * (len(pieces) - len(features.encode)) + [0] * len(features.encode), np.int64),
        label=kind,
        classes=np.array(classes, np.float64),
        class_texts=texts_of(class_texts),
    )
    codes = len(features.encode)
    return Planned(plan, len(pieces) - codes, codes, encoder.scaled_by)


def _pieces(features: FeatureSpec, place: dict[str, int]) -> list[list[tuple[str, int]]]:
    """What the name of each hash is made of: categorical features, crosses, encoded categories."""
    made = [[(f"{name}=", place[name])] for name in features.categorical]
    for cross in features.hashed_interactions():
        parts = list[tuple[str, int]]()
        for at, name in enumerate(cross):
            star = "*" if at else ""
            is_category = name in features.categorical
            parts.append((f"{star}{name}=", place[name]) if is_category else (f"{star}{name}", NO_FIELD))
        made.append(parts)
    return made + [[(f"{one.name}=", place[source(one)])] for one in features.encode]


def _label(spec: ModelSpec) -> tuple[int, Sequence[float], Sequence[str]] | None:
    classes = spec.classes
    if spec.task == "regression":
        poisson = spec.loss is not None and spec.loss.name == "poisson"
        return COUNT if poisson else NUMBER, (), ()
    if len(classes) > MOST_CLASSES:
        return None
    if isinstance(classes[0], bool):
        return BOOLEANS, [float(label) for label in classes], ()
    if isinstance(classes[0], str):
        return TEXTS, (), [str(label) for label in classes]
    if any(abs(int(label)) > 2**53 for label in classes):
        return None
    return BITS if list(classes) == [0, 1] else INTEGERS, [float(label) for label in classes], ()


def texts_of(texts: Sequence[str]) -> Texts:
    """Of several texts."""
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    return Texts(np.frombuffer(b"".join(encoded) or b"\0", np.uint8).copy(), starts)


def _words(texts: Sequence[bytes]) -> Words:
    padded = [text + bytes(-len(text) % 8) for text in texts]
    masks = [b"\xff" * len(text) + bytes(-len(text) % 8) for text in texts]
    words, bits = (np.frombuffer(b"".join(all_), "<u8").astype(np.uint64) for all_ in (padded, masks))
    return Words(words, bits, np.cumsum([0, *(len(text) // 8 for text in padded)]).astype(np.int64))


def name_hash(name: bytes) -> int:
    """FNV-1a of 32 bits, as the parser finds fields by."""
    value = 2166136261
    for byte in name:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def _table(names: Sequence[str]) -> Int64:
    size = 4
    while size < 3 * len(names):
        size *= 2
    table = np.full(size, NO_FIELD, np.int64)
    for at, name in enumerate(names):
        slot = name_hash(name.encode()) & (size - 1)
        while table[slot] != NO_FIELD:
            slot = (slot + 1) & (size - 1)
        table[slot] = at
    return table
