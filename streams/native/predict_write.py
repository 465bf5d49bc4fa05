"""Predictions as Kafka's record batches, from arrays: the bytes of streams.records.PredictionEncoder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.kernels.jit import entry_point, helper, unsigned
from models.kernels.plan import UInt8
from models.rows import Float64, Int64
from streams.native.batches import HEADER
from streams.native.float_write import write_float, write_int
from streams.native.powers import load_word, signed, store_word
from streams.native.sample_plan import Texts

NUMBER, CHOICE, DISTRIBUTION = range(3)
"""What is said: a number; one of two classes and the probability of the second; all probabilities."""
(
    HEAD, NAMED, PROBABILITY, PROBABILITIES, LEARNED, PLACED, END, NOTHING, CLOSED, PREFIX,
) = range(10)  # fmt: skip
"""Fixed texts of a prediction, in the order in which they stand in it, and the beginning of a default id."""
_ABSENT = -1


class Answers(NamedTuple):
    """n predictions.

    ids_at, ids_size: where in data the ids stand, -1: the default one; keys likewise, -1: none. served: the
    outputs, (n K,); classes: as they are written; columns: what stands before the probability of each.
    """

    data: UInt8
    ids_at: Int64
    ids_size: Int64
    keys_at: Int64
    keys_size: Int64
    served: Float64
    learned_before: Int64
    offsets: Int64
    kind: int
    texts: Texts
    classes: Texts
    columns: Texts


@helper
def _value(answers: Answers, i: int, out: UInt8) -> int:
    """Write the JSON of one prediction to out; returns its size."""
    outputs = answers.served.size // answers.offsets.size
    texts = answers.texts
    at = _text(texts, HEAD, out, 0)
    if answers.ids_size[i] == _ABSENT:
        at = write_int(out, _text(texts, PREFIX, out, at), answers.offsets[i])
    else:
        at = copied(answers.data, answers.ids_at[i], answers.ids_size[i], out, at)
    at = _text(texts, NAMED, out, at)
    finite, best = True, 0
    for k in range(outputs):
        value = answers.served[i * outputs + k]
        finite = finite and np.isfinite(value)
        best = k if value > answers.served[i * outputs + best] else best
    first = answers.served[i * outputs]
    if answers.kind == NUMBER:
        at = write_float(out, at, first) if finite else _text(texts, NOTHING, out, at)
    else:
        chosen = best if answers.kind == DISTRIBUTION else signed(first >= 0.5)
        at = _text(answers.classes, chosen, out, at) if finite else _text(texts, NOTHING, out, at)
        at = _text(texts, PROBABILITY if answers.kind == CHOICE else PROBABILITIES, out, at)
        at = _probabilities(answers, i, outputs, finite, out, at)
    at = write_int(out, _text(texts, LEARNED, out, at), answers.learned_before[i])
    at = write_int(out, _text(texts, PLACED, out, at), answers.offsets[i])
    return _text(texts, END, out, at)


@helper
def _probabilities(answers: Answers, i: int, outputs: int, finite: bool, out: UInt8, at: int) -> int:
    if not finite:
        return _text(answers.texts, NOTHING, out, at)
    if answers.kind == CHOICE:
        return write_float(out, at, answers.served[i])
    for k in range(outputs):
        at = write_float(out, _text(answers.columns, k, out, at), answers.served[i * outputs + k])
    return _text(answers.texts, CLOSED, out, at)


@helper
def _text(texts: Texts, which: int, out: UInt8, at: int) -> int:
    start = texts.starts[unsigned(which)]
    return copied(texts.data, start, texts.starts[unsigned(which + 1)] - start, out, at)


@helper
def copied(data: UInt8, start: int, size: int, out: UInt8, at: int) -> int:
    """Copy size ≥ 0 bytes; returns where the next one goes."""
    i = 0
    while i + 8 <= size:
        store_word(out, unsigned(at + i), load_word(data, unsigned(start + i)))
        i += 8
    while i < size:
        out[unsigned(at + i)] = data[unsigned(start + i)]
        i += 1
    return at + max(size, 0)


@helper
def varint_size(value: int) -> int:
    """Bytes of a zigzag-encoded integer of variable length."""
    left = (value << signed(1)) ^ (value >> signed(63))
    size = 1
    while left >= 128:
        left >>= signed(7)
        size += 1
    return size


@helper
def write_varint(out: UInt8, at: int, value: int) -> int:
    """Write a zigzag-encoded integer of variable length; returns where the next byte goes."""
    left = (value << signed(1)) ^ (value >> signed(63))
    while left >= 128:
        out[unsigned(at)] = (left & signed(127)) | signed(128)
        left >>= signed(7)
        at += 1
    out[unsigned(at)] = left
    return at + 1


@entry_point(Texts, Answers)
def write_predictions(answers: Answers, start: int, most: int, out: UInt8, scratch: UInt8) -> tuple[int, int]:
    """Write records behind the header of a batch to out until that has `most` bytes, one at least.

    Returns the row after the last one written, and the size of the batch.
    """
    at, i = HEADER, start
    while i < answers.offsets.size:
        size = _value(answers, i, scratch)
        key = answers.keys_size[i]
        length = 2 + varint_size(i - start) + varint_size(key) + max(key, 0) + varint_size(size) + size + 1
        if i > start and at + varint_size(length) + length > most:
            break
        at = write_varint(out, at, length)
        out[at], out[at + 1] = 0, 0  # attributes, and the time since the batch's
        at = write_varint(out, at + 2, i - start)
        at = write_varint(out, at, key)
        at = copied(answers.data, answers.keys_at[i], key, out, at)
        at = write_varint(out, at, size)
        at = copied(scratch, 0, size, out, at)
        out[at] = 0  # headers
        at, i = at + 1, i + 1
    return i, at
