"""Batches and records are found where they stand; whatever the bytes are, nothing around them is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import encode_varint
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.kernels.jit import entry_point
from streams.native import batches as module
from streams.native.batches import (
    ATTRIBUTES,
    BASE_OFFSET,
    BATCH_COLUMNS,
    COUNT,
    FIRST_TIME,
    HEADER,
    KEY,
    KEY_SIZE,
    LAST_TIME,
    LOG_APPEND_TIME,
    MAGIC,
    NEXT_OFFSET,
    OFFSET,
    PRODUCER,
    RECORD_COLUMNS,
    START,
    STOP,
    VALUE,
    VALUE_SIZE,
    headers_of,
    list_batches,
    list_records,
    read_varint,
)
from tests.streams.native.fetches import TIME, Row, batch

LEAST, GREATEST = -(2**63), 2**63 - 1


@entry_point()
def varint_at(data, at, end):
    return read_varint(data, at, end)


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def batches_in(data: bytes, room: int = 64) -> np.ndarray:
    out = np.empty((room, BATCH_COLUMNS), np.int64)
    found = list_batches(array(data), out)
    assert found >= 0
    return out[:found]


def records_in(data: bytes, since: int = 0, room: int = 64) -> np.ndarray | None:
    """Of all batches of a fetch that is not compressed; None: refused."""
    out = np.empty((room, RECORD_COLUMNS), np.int64)
    found = list_records(array(data), batches_in(data), since, out)
    return None if found < 0 else out[:found]


THREE = [
    batch([Row(10, key=b"a"), Row(11, value=None), Row(13, value=b"x" * 200)], last=14),
    batch(
        [Row(15, headers=(("name", b"value"),))], producer=7, attributes=LOG_APPEND_TIME, appended=TIME + 9
    ),
    batch([Row(2**40, timestamp=TIME - 5), Row(2**40 + 1)]),
]


# Batches


def test_a_batch_is_what_its_header_says() -> None:
    start = 0
    for found, data in zip(batches_in(b"".join(THREE)).tolist(), THREE, strict=True):
        header = DefaultRecordBatch(data)
        assert (found[BASE_OFFSET], found[NEXT_OFFSET]) == (header.base_offset, header.next_offset)
        assert (found[FIRST_TIME], found[LAST_TIME]) == (header.first_timestamp, header.max_timestamp)
        assert (found[ATTRIBUTES], found[PRODUCER]) == (header.attributes, header.producer_id)
        assert (found[MAGIC], found[COUNT]) == (header.magic, len(list(header)))
        assert (found[START], found[STOP]) == (start + HEADER, start + len(data))
        start += len(data)


def test_a_batch_that_is_cut_short_is_left_out_wherever_it_is_cut() -> None:
    data, ends = b"".join(THREE), np.cumsum([len(one) for one in THREE])
    for size in range(len(data)):
        assert len(batches_in(data[:size])) == (ends <= size).sum()


def test_too_little_room_is_told_and_how_many_there_are_at_least() -> None:
    data, out = array(b"".join(THREE)), np.full((3, BATCH_COLUMNS), -7, np.int64)
    for room in range(3):
        assert list_batches(data, out[:room]) == -1 - room
        assert (out[room:] == -7).all(), "nothing behind the room is written"
    assert list_batches(data, out) == 3


# Records


def test_a_record_is_where_it_is_said_to_be() -> None:
    data = b"".join(THREE)
    found = records_in(data)
    assert found is not None
    assert found[:, OFFSET].tolist() == [10, 11, 13, 15, 2**40, 2**40 + 1]
    assert found[:, KEY_SIZE].tolist() == [1, -1, -1, -1, -1, -1]
    assert found[:, VALUE_SIZE].tolist() == [5, -1, 200, 5, 5, 5]
    assert data[found[0, KEY] :][:1] == b"a"
    assert [data[at:][:5] for at in found[[0, 3, 4, 5], VALUE]] == [b"value"] * 4


@pytest.mark.parametrize(
    ("since", "count"), [(0, 6), (10, 6), (11, 5), (12, 4), (14, 3), (16, 2), (2**41, 0)]
)
def test_records_below_an_offset_are_left_out(since: int, count: int) -> None:
    found = records_in(b"".join(THREE), since)
    assert found is not None
    assert len(found) == count


def test_more_records_than_there_is_room_for_are_refused_and_not_written() -> None:
    data = array(b"".join(THREE))
    out = np.full((6, RECORD_COLUMNS), -7, np.int64)
    for room in range(6):
        assert list_records(data, batches_in(data.tobytes()), 0, out[:room]) == -1
        assert (out[room:] == -7).all()


def test_a_batch_may_hold_fewer_records_than_it_has_bytes_for_but_not_more() -> None:
    batches = batches_in(THREE[0])
    out = np.empty((9, RECORD_COLUMNS), np.int64)
    for count in (-1, 0, 1, 2, 3, 4, 2**31 - 1):
        batches[0, COUNT] = count
        expected = max(count, 0) if count <= 3 else -1
        assert list_records(array(THREE[0]), batches, 0, out) == expected


# Numbers of variable length


@given(st.integers(LEAST, GREATEST), st.binary(max_size=3), st.binary(max_size=3))
@example(LEAST, b"", b"")
@example(GREATEST, b"", b"\x80")
@example(-1, b"\xff", b"")
def test_a_number_is_read_as_it_was_written_and_not_from_one_byte_less(
    number: int, before: bytes, behind: bytes
) -> None:
    written = bytearray()
    encode_varint(number, written.append)
    data = before + written + behind
    start, end = len(before), len(before) + len(written)
    assert varint_at(array(data), start, len(data)) == (number, end)
    assert varint_at(array(data), start, end) == (number, end)
    for cut in range(start, end):
        assert varint_at(array(data), start, cut)[1] == -1


def test_a_number_of_more_than_ten_bytes_is_none() -> None:
    assert varint_at(array(b"\x80" * 9 + b"\x01"), 0, 10)[1] == 10
    assert varint_at(array(b"\x80" * 10 + b"\x01"), 0, 11)[1] == -1


# Headers


def headers_of_record(headers: tuple[tuple[str, bytes | None], ...]) -> bytes:
    """The bytes in which they stand."""
    data = batch([Row(0, headers=headers)])
    found = records_in(data)
    assert found is not None
    return data[found[0, module.HEADERS] : found[0, module.END]]


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=4).map(tuple))
def test_headers_are_those_that_were_written(headers: tuple[tuple[str, bytes | None], ...]) -> None:
    data = headers_of_record(headers)
    assert headers_of(data, 0, len(data)) == headers
    assert headers_of(b"..." + data, 3, 3 + len(data)) == headers


def test_headers_that_are_cut_short_are_refused() -> None:
    data = headers_of_record((("name", None), ("other", b"value")))
    for end in range(len(data) - len(b"value")):
        with pytest.raises(ValueError, match="cut short"):
            headers_of(data, 0, end)


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\x03\x01\x01",  # a name of -2 bytes
        b"\x02\x01\x01\x01",  # of -1
        b"\x02\x0aab\x01",  # of 5, and there are 3
        b"\x02\x02a\x0ab",  # a value of 5, and there is 1
        b"\x01",  # -1 headers
    ],
)
def test_headers_whose_sizes_cannot_be_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        headers_of(data, 0, len(data))


# Whatever the bytes


class Watched:
    """Bytes that say no to whoever reads beside the parts that may be read."""

    def __init__(self, data: bytes, parts: list[tuple[int, int]]) -> None:
        self._data, self._parts, self.size = data, parts, len(data)

    def __getitem__(self, at: Any) -> np.uint8:
        assert any(start <= int(at) < stop for start, stop in self._parts), f"byte {at} of {self.size}"
        return np.uint8(self._data[int(at)])


def uncompiled(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The kernels of a module as the Python that they are written in, calling one another."""
    names = dict(vars(module))
    for name, value in vars(module).items():
        if hasattr(value, "py_func"):
            names[name] = FunctionType(value.py_func.__code__, names, name)
    return names


PLAIN = uncompiled(module)


@contextmanager
def as_compiled() -> Iterator[None]:
    """Integers of 64 bits that overflow as silently as in a kernel."""
    with np.errstate(over="ignore"):
        yield


FETCH = b"".join(
    [
        batch([Row(5, key=b"k", headers=(("n", b"v"),)), Row(6, key=b"", value=None)]),
        batch([Row(7), Row(8, timestamp=TIME + 300, key=b"key")], attributes=LOG_APPEND_TIME),
    ]
)
EXTREME = [
    bytes.fromhex(text)
    for text in ("ffffffffffffffffff01", "feffffffffffffffff01", "80808080808080808001", "ff" * 10, "80" * 10)
] + [b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"]
"""The greatest and the least number, and what has no end."""
TELLING = [
    at
    for start, stop in batches_in(FETCH)[:, [START, STOP]].tolist()
    for at in [*range(start - HEADER, start - HEADER + 12), *range(start - 4, stop)]
]
"""Where offsets, sizes, numbers of records and the records stand."""


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A fetch in which some bytes are others, and perhaps the last ones missing."""
    spoilt = bytearray(FETCH)
    for at in draw(st.lists(st.sampled_from(TELLING), min_size=1, max_size=3)):
        put = draw(st.sampled_from(EXTREME) | st.binary(min_size=1, max_size=1))
        spoilt[at : at + len(put)] = put
    return bytes(spoilt[: len(spoilt) - draw(st.sampled_from([0, 0, 0, 1, 3, 80]))])


@settings(max_examples=300)
@given(spoilt() | st.binary(max_size=150))
@example(FETCH[:11] + b"\x30" + FETCH[12:])
@example(FETCH[:8] + b"\xff" + FETCH[9:])
def test_of_spoilt_bytes_no_batch_reaches_beyond_the_end(data: bytes) -> None:
    out = np.empty((8, BATCH_COLUMNS), np.int64)
    with as_compiled():
        count = PLAIN["list_batches"](Watched(data, [(0, len(data))]), out)
    found = batches_in(data, room=8)
    assert np.array_equal(found, out[:count])
    assert (found[:, START] <= found[:, STOP]).all()
    assert (found[:, STOP] <= len(data)).all()


@settings(max_examples=300)
@given(spoilt())
def test_of_spoilt_bytes_no_record_reaches_beyond_its_batch(data: bytes) -> None:
    batches = batches_in(data)
    parts = [(batch[START], batch[STOP]) for batch in batches.tolist()]
    plain, out = np.empty((2, 5, RECORD_COLUMNS), np.int64)
    with as_compiled():
        count = PLAIN["list_records"](Watched(data, parts), batches, 0, plain)
    assert list_records(array(data), batches, 0, out) == count
    found = out[: max(count, 0)]
    assert np.array_equal(found, plain[: max(count, 0)])
    for record in found.tolist():
        key, value = record[KEY] + max(record[KEY_SIZE], 0), record[VALUE] + max(record[VALUE_SIZE], 0)
        assert record[KEY] <= key < record[VALUE] <= value == record[module.HEADERS] <= record[module.END]
        assert any(start < record[KEY] and record[module.END] <= stop for start, stop in parts)
