"""Raw records are a sequence of the records that aiokafka makes of the same bytes, however they are cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.native.fetching import all_of
from streams.native.raw import RawRecords
from streams.native.raw_ids import RawIds, RawKeys
from tests.streams.native.fetches import GZIP, TIME, Row, batch, by_aiokafka, raw_records, row_of

ROWS = [
    Row(3, TIME, b"a", b"one", (("trace", b"\0"), ("trace", None))),
    Row(4, TIME + 1, None, b"two"),
    Row(5, TIME + 2, b"", None),
    Row(9, TIME - 3, b"key", b"", (("ü", b""),)),
    Row(10, TIME, None, b"x" * 300),
]


def raw(rows: Sequence[Row], compression: int = 0, size: int = 2) -> RawRecords:
    """In batches of `size` records."""
    parts = [batch(rows[i : i + size], compression=compression) for i in range(0, len(rows), size)]
    found = all_of(list(raw_records(b"".join(parts))))
    return found if isinstance(found, RawRecords) else RawRecords.join([])


def check(records: RawRecords, rows: Sequence[Row]) -> None:
    """These are the records, whichever way they are asked for."""
    assert len(records) == len(rows)
    assert [row_of(record) for record in records] == list(rows)
    assert [row_of(records[i]) for i in range(len(rows))] == list(rows)
    assert records.keys() == [row.key for row in rows]
    assert records.values() == [row.value for row in rows]


def test_a_record_is_the_one_that_aiokafka_makes() -> None:
    data = batch(ROWS)
    check(all_of(list(raw_records(data))), by_aiokafka(data).rows)  # type: ignore[arg-type]
    check(raw(ROWS), ROWS)
    check(raw(ROWS, GZIP, size=5), ROWS)


def test_what_a_record_is_asked_for_is_plain_python() -> None:
    record = raw(ROWS)[0]
    assert [type(one) for one in row_of(record)] == [int, int, bytes, bytes, tuple]
    assert type(record.headers[0][0]) is str


def test_records_count_from_the_end_too_and_end_where_they_end() -> None:
    records = raw(ROWS)
    assert row_of(records[-1]) == ROWS[-1]
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            records[beyond]
    assert [row_of(record) for record in reversed(records)] == ROWS[::-1]


@given(st.slices(5), st.slices(5))
def test_a_slice_is_that_of_a_list(first: slice, second: slice) -> None:
    records, rows = raw(ROWS)[first], ROWS[first]
    check(records, rows)
    check(records[second], rows[second])


def test_a_slice_shares_the_bytes() -> None:
    records = raw(ROWS)
    assert np.shares_memory(records[1:3].data, records.data)


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_mask_picks_records_in_order(mask: list[bool]) -> None:
    check(raw(ROWS).of(np.array(mask)), [row for row, wanted in zip(ROWS, mask, strict=True) if wanted])


@given(st.lists(st.tuples(st.slices(5), st.sampled_from([0, GZIP])), max_size=4))
def test_joined_parts_are_all_their_records(parts: list[tuple[slice, int]]) -> None:
    joined = RawRecords.join([raw(ROWS, codec)[part] for part, codec in parts])
    check(joined, [row for part, _ in parts for row in ROWS[part]])


def test_a_part_is_as_it_was_when_it_has_been_joined() -> None:
    parts = [raw(ROWS), raw(ROWS)]
    RawRecords.join(parts)
    check(parts[1], ROWS)


def test_where_no_record_has_a_key_there_are_as_many_nones() -> None:
    check(raw([row._replace(key=None) for row in ROWS]), [row._replace(key=None) for row in ROWS])
    check(raw([]), [])
    check(RawRecords.join([]), [])


# Ids and keys


def ids_of(given: list[str | None], prefix: str = "flights-3-") -> RawIds:
    data = "|".join(one or "" for one in given).encode() or b"\0"
    sizes = [-1 if one is None else len(one.encode()) for one in given]
    starts = np.cumsum([0, *(max(size, 0) + 1 for size in sizes)])[:-1]
    numbers = np.frombuffer(data, np.uint8), starts, np.array(sizes, np.int64)
    return RawIds(*numbers, prefix, np.arange(100, 100 + len(given)))


def test_an_id_is_the_text_that_was_given_or_names_the_record() -> None:
    assert list(ids_of(["a", None, "", "ünï🙂", None])) == [
        "a",
        "flights-3-101",
        "",
        "ünï🙂",
        "flights-3-104",
    ]
    assert list(ids_of([None, None])) == ["flights-3-100", "flights-3-101"]
    assert list(ids_of([])) == []


@given(st.lists(st.none() | st.text(max_size=4), max_size=6), st.slices(6))
def test_ids_are_a_sequence(given: list[str | None], part: slice) -> None:
    expected = [f"flights-3-{100 + i}" if one is None else one for i, one in enumerate(given)]
    ids = ids_of(given)
    assert len(ids) == len(expected)
    assert [ids[i] for i in range(len(ids))] == expected
    assert list(ids[part]) == expected[part]


@given(st.slices(5))
def test_keys_are_a_sequence(part: slice) -> None:
    keys, expected = RawKeys(raw(ROWS)), [row.key for row in ROWS]
    assert len(keys) == len(expected)
    assert list(keys) == [keys[i] for i in range(5)] == expected
    assert list(keys[part]) == expected[part]
