"""Samples as JSON to the arrays of Rows, without an object a sample.

It takes what streams.records.Sample takes, in its plainest form, and is never wrong about that. Whatever else
it meets (an escape, a key twice, a number that is hard to round, a type that does not belong there) leaves
the record to streams.ingest's other way, which has the last word.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.encoding_names import MAX_NAME_BYTES
from models.kernels.jit import entry_point, helper, part, prefetch, unsigned
from models.kernels.plan import UInt8
from models.rows import Float64, Int64
from streams.ingest_validator import MAX_TIMESTAMP, MIN_TIMESTAMP
from streams.native.batches import TIMESTAMP, VALUE, VALUE_SIZE
from streams.native.float_read import FLOAT, INTEGER, LONG_INTEGER, read_number
from streams.native.json_scan import (
    CLOSE,
    COLON,
    COMMA,
    NO_LITERAL,
    NULL,
    OPEN,
    QUOTE,
    TRUE,
    byte_at,
    is_number,
    literal,
    past,
    past_space,
    same,
    text_end,
)
from streams.native.json_time import moment
from streams.native.powers import load_word, signed, store_word
from streams.native.sample_plan import BITS, BOOLEANS, COUNT, INTEGERS, NO_FIELD, NUMBER, TEXTS, SamplePlan
from streams.native.xxh32 import feature_hash_of, small
from streams.records import MAX_ID_LENGTH

FEATURES, ID, LABEL, WEIGHT, TIME = 1, 2, 4, 8, 16
_KEYS = np.frombuffer(b"featuresidlabelweighttimestamp", np.uint8)
ABSENT = -1
FRESH_COLUMNS = 2
"""Of a name that is to be told: where it stands in `told`, and its size."""


class Parsed(NamedTuple):
    """What is written of n samples, and what is needed to do so.

    sure: 1 where a sample was taken, else nothing else of its row counts. id_at, id_size: where the id stands
    in data, ABSENT where there is none. spans: where the values of the fields stand, of one sample, (f, 2) in
    one row. known: full hashes (plus 1) of names that were told, each in the slot of its lowest bits.
    """

    numeric: Float64  # (n, ≥ columns)
    hashes: Int64  # (n, h)
    labels: Float64
    weights: Float64
    timestamps: Int64
    id_at: Int64
    id_size: Int64
    sure: UInt8
    fresh: Int64  # (m, FRESH_COLUMNS)
    told: UInt8
    known: Int64
    seen: Int64  # (f,)
    spans: Int64  # (2 f,)
    scratch: UInt8


@helper
def _sample(data: UInt8, at: int, end: int, plan: SamplePlan, out: Parsed, i: int) -> bool:
    """One object of the known keys, and others whose values are plain."""
    at = past(data, at, end, OPEN)
    seen = 0
    while at >= 0:
        if byte_at(data, at, end) != QUOTE:
            return False
        start = at + 1
        stop = text_end(data, start, end)
        at = past(data, stop + 1, end, COLON) if stop >= 0 else -1
        if at < 0:
            return False
        key = _key(data, start, stop - start)
        if seen & key:
            return False
        seen |= key
        at = _value(data, at, end, plan, out, i, key)
        if at < 0:
            return False
        at = past_space(data, at, end)
        if byte_at(data, at, end) == CLOSE:
            return past_space(data, at + 1, end) == end and seen & FEATURES != 0
        at = past(data, at, end, COMMA)
    return False


@helper
def _key(data: UInt8, start: int, size: int) -> int:
    """Which key of a sample; 0: one that means nothing."""
    if size == 8 and same(data, start, _KEYS, 0, 8):
        return FEATURES
    if size == 2 and same(data, start, _KEYS, 8, 2):
        return ID
    if size == 5 and same(data, start, _KEYS, 10, 5):
        return LABEL
    if size == 6 and same(data, start, _KEYS, 15, 6):
        return WEIGHT
    if size == 9 and same(data, start, _KEYS, 21, 9):
        return TIME
    return 0


@helper
def _value(data: UInt8, at: int, end: int, plan: SamplePlan, out: Parsed, i: int, key: int) -> int:
    if key == FEATURES:
        return _features(data, at, end, plan, out, i)
    if key == LABEL:
        return _label(data, at, end, plan, out, i)
    if key == WEIGHT:
        return _weight(data, at, end, out, i)
    if key == TIME:
        return _time(data, at, end, out, i)
    if key == ID:
        return _id(data, at, end, out, i)
    return _skipped(data, at, end)


# Features


@helper
def _features(data: UInt8, at: int, end: int, plan: SamplePlan, out: Parsed, i: int) -> int:
    """The object of features; names come in the order of the fields, mostly."""
    fields, guess = plan.numeric.size, 0
    at = past(data, at, end, OPEN)
    if byte_at(data, at, end) == CLOSE:
        return at + 1
    while at >= 0:
        if byte_at(data, at, end) != QUOTE:
            return -1
        start = at + 1
        field = guess
        if guess < fields and _next_is(data, start, plan, guess):
            at = start + plan.names.starts[guess + 1] - plan.names.starts[guess] + 2
            at = past_space(data, at, end)
        else:
            stop = text_end(data, start, end)
            if stop < 0:
                return -1
            field = _field(data, start, stop - start, plan.table, plan.names.data, plan.names.starts)
            at = past(data, stop + 1, end, COLON)
            if at < 0:
                return -1
        if field == NO_FIELD:
            at = _skipped(data, at, end)
        elif out.seen[unsigned(field)] == i:
            return -1
        else:
            out.seen[unsigned(field)] = i
            guess = field + 1
            at = _feature(data, at, end, plan, out, i, field)
        if at < 0:
            return -1
        if byte_at(data, at, end) == COMMA and byte_at(data, at + 1, end) == QUOTE:
            at += 1
            continue
        at = past_space(data, at, end)
        if byte_at(data, at, end) == CLOSE:
            return at + 1
        at = past(data, at, end, COMMA)
    return -1


@helper
def _next_is(data: UInt8, at: int, plan: SamplePlan, field: int) -> bool:
    """Whether the name of a field, a quote and a colon stand here."""
    keys = plan.keys
    first, last = keys.starts[unsigned(field)], keys.starts[unsigned(field + 1)]
    if at + 8 * (last - first) > data.size:
        return False
    for w in range(first, last):
        word = load_word(data, unsigned(at)) & keys.masks[unsigned(w)]
        if word != keys.words[unsigned(w)]:
            return False
        at += 8
    return True


@part
def _field(data: UInt8, start: int, size: int, table: Int64, names: UInt8, starts: Int64) -> int:
    """The field of a name, NO_FIELD if the model has none (streams.native.sample_plan.name_hash)."""
    value = small(2166136261)
    for i in range(size):
        value = small((value ^ small(data[unsigned(start + i)])) * small(16777619))
    mask = table.size - 1
    slot = signed(value) & mask
    while table[slot] != NO_FIELD:
        field = table[slot]
        first = starts[field]
        if starts[field + 1] - first == size and same(data, start, names, first, size):
            return signed(field)
        slot = (slot + 1) & mask
    return NO_FIELD


@helper
def _feature(data: UInt8, at: int, end: int, plan: SamplePlan, out: Parsed, i: int, field: int) -> int:
    """The value of a field: a number, or where the text of a category stands."""
    start, byte = at, byte_at(data, at, end)
    column = plan.numeric[unsigned(field)]
    stop = -1
    if is_number(byte):
        value, whole, stop, kind = read_number(data, at, data.size)
        if stop > end:
            return -1
        if column != NO_FIELD:
            if kind != INTEGER and kind != FLOAT and kind != LONG_INTEGER:
                return -1
            # An integer is never -0.
            out.numeric[unsigned(i), unsigned(column)] = value + 0.0 if kind == INTEGER else value
        elif kind != INTEGER or (whole == 0 and byte != 48):
            return -1
    elif byte == QUOTE:
        start += 1
        end_of_text = text_end(data, start, end)
        if column != NO_FIELD or end_of_text < 0:
            return -1
        out.spans[2 * field], out.spans[2 * field + 1] = start, end_of_text - start
        return end_of_text + 1
    else:
        kind, stop = literal(data, at, end)
        if kind == NO_LITERAL:
            return -1
        if kind == NULL:
            out.spans[2 * field], out.spans[2 * field + 1] = at, ABSENT
            return stop
        if column != NO_FIELD:
            out.numeric[unsigned(i), unsigned(column)] = 1.0 if kind == TRUE else 0.0
    if plan.category[unsigned(field)]:
        out.spans[2 * field], out.spans[2 * field + 1] = start, stop - start
    return stop


@helper
def _append(data: UInt8, plan: SamplePlan, out: Parsed, i: int, p: int, size: int) -> int:
    """Write piece p of a name behind `size` bytes; returns the new size, -1 where a value is missing.

    What makes it longer than MAX_NAME_BYTES is left out, but counted.
    """
    texts = plan.piece_texts
    first, field = texts.starts[unsigned(p)], plan.piece_fields[unsigned(p)]
    size = _copied(texts.data, first, texts.starts[unsigned(p + 1)] - first, out.scratch, size)
    if field == NO_FIELD or size > MAX_NAME_BYTES:
        return size
    if out.seen[unsigned(field)] != i or out.spans[unsigned(2 * field + 1)] == ABSENT:
        return -1
    span = unsigned(2 * field)
    return _copied(data, out.spans[span], out.spans[span + unsigned(1)], out.scratch, size)


@helper
def _copied(data: UInt8, start: int, size: int, out: UInt8, at: int) -> int:
    """Copy bytes; returns where the next one goes. Mostly few: sixteen at once, whatever is behind."""
    if at + size > MAX_NAME_BYTES:
        return at + size
    if size <= 16 and start + 16 <= data.size:
        store_word(out, unsigned(at), load_word(data, unsigned(start)))
        store_word(out, unsigned(at + 8), load_word(data, unsigned(start + 8)))
    else:
        for i in range(size):
            out[unsigned(at + i)] = data[unsigned(start + i)]
    return at + size


@helper
def _hash_names(data: UInt8, plan: SamplePlan, out: Parsed, i: int, count: int) -> int:
    """Hash the names that the values of row i make; returns the new number of names to be told.

    Each look at `known` is a wait for the memory, so all are begun before the first is needed.
    """
    mask = out.known.size - 1
    for j in range(plan.pieces.size - 1):
        size = _name(data, plan, out, i, j)
        if size > MAX_NAME_BYTES:
            out.sure[i] = 0
            return count
        hashed = feature_hash_of(out.scratch, size) if size >= 0 else ABSENT
        out.hashes[unsigned(i), unsigned(j)] = hashed
        if size >= 0 and plan.named[j]:
            prefetch(out.known, hashed & mask)
    for j in range(plan.pieces.size - 1):
        hashed = out.hashes[unsigned(i), unsigned(j)]
        if plan.named[j] and hashed != ABSENT and out.known[unsigned(hashed & mask)] != hashed + 1:
            count = _tell(data, plan, out, i, j, count)
    return count


@helper
def _name(data: UInt8, plan: SamplePlan, out: Parsed, i: int, j: int) -> int:
    """Write the j-th name of row i to `scratch`; returns its size, -1 where a value is missing."""
    size = 0
    for p in range(plan.pieces[j], plan.pieces[j + 1]):
        size = _append(data, plan, out, i, p, size)
        if size < 0:
            break
    return size


@part
def _tell(data: UInt8, plan: SamplePlan, out: Parsed, i: int, j: int, count: int) -> int:
    """Tell the j-th name of row i, if there is room; else it is told when it comes again."""
    size = _name(data, plan, out, i, j)
    start = out.fresh[count - 1, 0] + out.fresh[count - 1, 1] if count else 0
    if count == len(out.fresh) or start + size > out.told.size:
        return count
    hashed = out.hashes[i, j]
    out.known[hashed & (out.known.size - 1)] = hashed + 1
    out.fresh[count, 0], out.fresh[count, 1] = start, size
    for at in range(size):
        out.told[start + at] = out.scratch[at]
    return count + 1


# What else a sample has


@helper
def _skipped(data: UInt8, at: int, end: int) -> int:
    """Behind a plain value that nobody reads."""
    byte = byte_at(data, at, end)
    if byte == QUOTE:
        stop = text_end(data, at + 1, end)
        return stop + 1 if stop >= 0 else -1
    if is_number(byte):
        _, _, stop, kind = read_number(data, at, end)
        return stop if kind in (INTEGER, FLOAT, LONG_INTEGER) else -1
    _, stop = literal(data, at, end)
    return stop


@helper
def _label(data: UInt8, at: int, end: int, plan: SamplePlan, out: Parsed, i: int) -> int:
    """A label as a number, or the position of its class."""
    byte, kind = byte_at(data, at, end), plan.label
    if byte == QUOTE:
        stop = text_end(data, at + 1, end)
        if kind != TEXTS or stop < 0:
            return -1
        texts, size = plan.class_texts, stop - at - 1
        for k in range(texts.starts.size - 1):
            first = texts.starts[k]
            if texts.starts[k + 1] - first == size and same(data, at + 1, texts.data, first, size):
                out.labels[i] = k
                return stop + 1
        return -1
    if is_number(byte):
        value, _, stop, found = read_number(data, at, end)
        if found != INTEGER and found != FLOAT:
            return -1
        if kind == NUMBER or (kind == COUNT and value >= 0.0):
            out.labels[i] = value + 0.0 if found == INTEGER else value
            return stop
        return _class(plan, out, i, value, stop) if kind in (INTEGERS, BITS) else -1
    found, stop = literal(data, at, end)
    if found == NULL:
        return stop
    if found != NO_LITERAL and kind in (BITS, BOOLEANS):
        return _class(plan, out, i, 1.0 if found == TRUE else 0.0, stop)
    return -1


@helper
def _class(plan: SamplePlan, out: Parsed, i: int, value: float, stop: int) -> int:
    for k in range(plan.classes.size):
        if plan.classes[k] == value:
            out.labels[i] = k
            return stop
    return -1


@helper
def _weight(data: UInt8, at: int, end: int, out: Parsed, i: int) -> int:
    if is_number(byte_at(data, at, end)):
        value, _, stop, kind = read_number(data, at, end)
        if (kind != INTEGER and kind != FLOAT) or not value >= 0.0:
            return -1
        out.weights[i] = value + 0.0 if kind == INTEGER else value
        return stop
    kind, stop = literal(data, at, end)
    return stop if kind == NULL else -1


@helper
def _time(data: UInt8, at: int, end: int, out: Parsed, i: int) -> int:
    byte = byte_at(data, at, end)
    if byte == QUOTE:
        stop = text_end(data, at + 1, end)
        found, sure = moment(data, at + 1, stop)
        if stop < 0 or not sure:
            return -1
        out.timestamps[i] = found
        return stop + 1
    if is_number(byte):
        _, whole, stop, kind = read_number(data, at, end)
        if kind != INTEGER or not MIN_TIMESTAMP <= whole <= MAX_TIMESTAMP:
            return -1
        out.timestamps[i] = whole
        return stop
    kind, stop = literal(data, at, end)
    return stop if kind == NULL else -1


@helper
def _id(data: UInt8, at: int, end: int, out: Parsed, i: int) -> int:
    if byte_at(data, at, end) == QUOTE:
        stop = text_end(data, at + 1, end)
        if stop < 0 or stop - at - 1 > MAX_ID_LENGTH:
            return -1
        out.id_at[i], out.id_size[i] = at + 1, stop - at - 1
        return stop + 1
    kind, stop = literal(data, at, end)
    return stop if kind == NULL else -1


@entry_point(SamplePlan, Parsed)
def parse_samples(data: UInt8, records: Int64, plan: SamplePlan, out: Parsed) -> int:
    """Parse the values of records (n, RECORD_COLUMNS); returns how many names there are in `fresh`."""
    count = 0
    for field in range(out.seen.size):
        out.seen[field] = -1
    for i in range(len(records)):
        start, size = records[i, VALUE], records[i, VALUE_SIZE]
        for column in range(out.numeric.shape[1]):
            out.numeric[i, column] = np.nan
        out.labels[i], out.weights[i], out.timestamps[i] = np.nan, 1.0, records[i, TIMESTAMP]
        out.id_at[i], out.id_size[i] = ABSENT, ABSENT
        out.sure[i] = size > 0 and _sample(data, start, start + size, plan, out, i)
        if out.sure[i]:
            count = _hash_names(data, plan, out, i, count)
    return count
