"""Of a fetch we read the records that aiokafka reads, and begin the next one where it would."""

from __future__ import annotations

import ast
import asyncio
import gzip
import inspect
import struct
import textwrap
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher as driver
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState
from aiokafka.errors import RecordTooLargeError
from aiokafka.protocol.fetch import FetchRequest_v4, FetchResponse_v4
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.native.batches import LOG_APPEND_TIME, TRANSACTIONAL
from streams.native.fetching import RawPartitionRecords, all_of, fetch_raw
from streams.native.raw import RawRecords
from tests.streams.native.fetches import (
    ABORT,
    CODECS,
    COMMIT,
    GZIP,
    KEY,
    TIME,
    Read,
    Row,
    batch,
    by_aiokafka,
    by_us,
    is_compressed,
    legacy,
    marker,
    raw_records,
    row_of,
    same,
    sealed,
)


def offsets(read: Read) -> list[int]:
    return [row.offset for row in read.rows]


# Records


@pytest.mark.parametrize("codec", CODECS)
def test_records_are_the_same_however_they_are_compressed(codec: int) -> None:
    rows = [
        Row(40, TIME, b"key", b"value"),
        Row(41, TIME + 5, None, b"x" * 100_000),
        Row(42, TIME - 5, b"", None),
        Row(43, TIME, b"\0\xff", b""),
        Row(44, headers=(("trace", b"\0\1"), ("trace", None), ("", b""), ("ünicode", b"again"))),
    ]
    data = batch(rows, compression=codec)
    assert is_compressed(data) == bool(codec)
    assert same(data) == Read(rows, 45)


def test_some_batches_may_be_compressed_and_others_not() -> None:
    rows = [[Row(i, value=b"%d" % i * 99)] for i in range(6)]
    data = [batch(one, compression=CODECS[i % len(CODECS)]) for i, one in enumerate(rows)]
    assert same(b"".join(data)) == Read([one[0] for one in rows], 6)


def test_a_record_that_the_broker_stamped_has_the_time_of_its_batch() -> None:
    rows = [Row(0, TIME), Row(1, TIME + 7)]
    found = same(batch(rows, attributes=LOG_APPEND_TIME, appended=TIME + 99))
    assert [row.timestamp for row in found.rows] == [TIME + 99, TIME + 99]


def test_a_time_that_was_not_given_is_minus_one() -> None:
    data = bytearray(batch([Row(0)]))
    struct.pack_into(">qq", data, 27, -1, -1)
    assert [row.timestamp for row in same(sealed(data)).rows] == [-1]


def test_there_may_be_any_number_of_batches() -> None:
    for count in (1, 64, 65, 513):
        data = b"".join(batch([Row(i)]) for i in range(count))
        assert offsets(same(data)) == list(range(count))


def test_all_records_of_a_fetch_are_one_run() -> None:
    (found,) = raw_records(batch([Row(0), Row(1)]) + batch([Row(2)]))
    assert isinstance(found, RawRecords)
    assert len(found) == 3


# Where the next fetch begins


@pytest.mark.parametrize("codec", [0, GZIP])
def test_records_before_the_offset_that_was_asked_for_are_left_out(codec: int) -> None:
    first = batch([Row(i, value=b"x" * 99) for i in range(10, 15)], compression=codec)
    data = first + batch([Row(15)])
    for since in range(8, 15):
        assert offsets(same(data, since)) == list(range(max(since, 10), 16))


def test_a_batch_that_is_cut_short_is_fetched_again() -> None:
    data = batch([Row(0), Row(1)]) + batch([Row(2)])
    for size in range(len(batch([Row(0), Row(1)])), len(data)):
        assert same(data[:size]).next_fetch_offset == 2
    assert same(data).next_fetch_offset == 3


def test_of_a_batch_that_compaction_thinned_out_the_end_counts() -> None:
    data = batch([Row(12), Row(15)], base=10, last=19)
    assert same(data, 10) == Read([Row(12), Row(15)], 20)
    assert same(data, 16) == Read([], 20)


def test_a_batch_without_any_records_is_passed() -> None:
    empty = batch([], base=10, last=14)
    assert same(empty, 10) == Read([], 15)
    assert same(empty + batch([Row(15)]), 10) == Read([Row(15)], 16)


def test_of_nothing_nothing_is_read() -> None:
    assert by_us(b"", 5) == Read([], 5)


BYTES = st.none() | st.binary(max_size=6)
HEADERS = st.lists(st.tuples(st.text(max_size=4), BYTES), max_size=3).map(tuple)


@st.composite
def fetches(draw: st.DrawFn) -> bytes:
    """Batches one after another, the last one perhaps cut short."""
    data, offset = [], draw(st.sampled_from([0, 100, 2**40]))
    for _ in range(draw(st.integers(0, 4))):
        base, rows = offset, []
        for _ in range(draw(st.integers(0, 4))):
            offset += draw(st.sampled_from([0, 0, 0, 1, 70]))
            time = TIME + draw(st.integers(-(2**40), 2**40))
            rows.append(Row(offset, time, draw(BYTES), draw(BYTES), draw(HEADERS)))
            offset += 1
        offset += draw(st.sampled_from([0, 0, 1, 200]))
        if offset > base:
            codec = draw(st.sampled_from([0, *CODECS])) if rows else 0
            time = draw(st.sampled_from([0, LOG_APPEND_TIME]))
            data.append(batch(rows, base=base, last=offset - 1, compression=codec, attributes=time))
    fetched = b"".join(data)
    return fetched[: len(fetched) - draw(st.sampled_from([0, 0, 1, 70]))]


@settings(max_examples=200)
@given(fetches(), st.integers(0, 20))
def test_every_fetch_is_read_as_aiokafka_reads_it(data: bytes, ahead: int) -> None:
    base, last = int.from_bytes(data[:8], "big"), int.from_bytes(data[23:27], "big")
    same(data, base + min(ahead, last))  # brokers begin with the batch that has what was asked for


# Transactions


def transactional(offset: int, producer: int) -> bytes:
    return batch([Row(offset)], attributes=TRANSACTIONAL, producer=producer)


def test_what_was_aborted_is_left_out_and_so_are_the_markers() -> None:
    data = [
        transactional(0, 1),
        transactional(1, 2),
        batch([Row(2)], producer=1),  # idempotent, and in no transaction
        marker(ABORT, 3, 1),
        transactional(4, 1),
        marker(COMMIT, 5, 2),
        marker(COMMIT, 6, 1),
    ]
    assert offsets(same(b"".join(data), 0, [(1, 0)])) == [1, 2, 4]
    assert same(b"".join(data), 0, [(1, 0)]).next_fetch_offset == 7
    assert offsets(same(b"".join(data), 0, [])) == [0, 1, 2, 4]
    assert offsets(same(b"".join(data), 0, None)) == [0, 1, 2, 4]


def test_a_fetch_of_nothing_but_what_was_aborted_is_passed() -> None:
    data = transactional(0, 1) + marker(ABORT, 1, 1)
    assert same(data, 0, [(1, 0)]) == Read([], 2)
    assert same(marker(COMMIT, 7, 1), 7) == Read([], 8)


def test_one_producer_may_abort_and_commit_in_turns() -> None:
    data, aborted = [], []
    for offset in range(0, 40, 2):
        kind = ABORT if offset % 3 else COMMIT
        data += [transactional(offset, 9), marker(kind, offset + 1, 9)]
        if kind == ABORT:
            aborted.append((9, offset))
    assert offsets(same(b"".join(data), 0, aborted[::-1])) == list(range(0, 40, 6))


def test_an_abort_that_lies_before_the_fetch_says_nothing_of_it() -> None:
    data = marker(ABORT, 5, 1) + transactional(6, 1) + marker(COMMIT, 7, 1)
    assert offsets(same(data, 5, [(1, 0)])) == [6]
    assert offsets(same(data, 5, [(1, 0), (2, 3)])) == [6]


@st.composite
def transactions(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[int, int]], list[int]]:
    """What a broker answers: bytes, fetch offset, aborted transactions; and which offsets were committed."""
    parts, offset = list[tuple[int, bytes]](), 0
    open_ones, committed = dict[int, list[int]](), list[int]()
    aborted = list[tuple[int, int, int]]()  # producer, first offset, the marker's
    events = draw(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("wwwwcap")), max_size=14))
    for producer, event in events + [(producer, "a") for producer in (1, 2, 3)]:
        count = draw(st.integers(1, 3)) if event in "wp" else 1
        rows = [Row(offset + i) for i in range(count)]
        if event == "w":
            parts.append((offset, batch(rows, attributes=TRANSACTIONAL, producer=producer)))
            open_ones.setdefault(producer, []).extend(row.offset for row in rows)
        elif event == "p":
            parts.append((offset, batch(rows, producer=draw(st.sampled_from([producer, -1])))))
            committed.extend(row.offset for row in rows)
        else:
            parts.append((offset, marker(ABORT if event == "a" else COMMIT, offset, producer)))
            ended = open_ones.pop(producer, [])
            if event == "c":
                committed.extend(ended)
            elif ended:
                aborted.append((producer, ended[0], offset))
        offset += count
    since = draw(st.integers(0, offset - 1))
    begin = max(at for at, (start, _) in enumerate(parts) if start <= since)
    told = draw(st.permutations([one[:2] for one in aborted if one[2] >= parts[begin][0]]))
    expected = sorted(one for one in committed if one >= since)
    return b"".join(data for _, data in parts[begin:]), since, told, expected


@settings(max_examples=200)
@given(transactions())
def test_what_was_committed_is_read_and_nothing_else(
    fetched: tuple[bytes, int, list[tuple[int, int]], list[int]],
) -> None:
    data, since, aborted, committed = fetched
    assert offsets(same(data, since, aborted)) == committed


# Former formats


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, GZIP])
@pytest.mark.parametrize("value", [b"x" * 200, b"x", None])
def test_messages_of_former_formats_are_read_by_aiokafka(magic: int, codec: int, value: bytes | None) -> None:
    rows = [Row(i, TIME + i if magic else None, b"k", value) for i in range(5)]  # type: ignore[arg-type]
    assert same(legacy(magic, rows, codec)) == Read(rows, 5)


@pytest.mark.parametrize("magic", [0, 1])
def test_a_short_message_of_a_former_format_is_not_taken_for_the_end(magic: int) -> None:
    rows = [Row(0, value=b"x" * 200), Row(1, value=b"x")]
    assert offsets(same(legacy(magic, rows))) == [0, 1]


@pytest.mark.parametrize(
    "data",
    [
        batch([Row(i) for i in range(5)]),
        legacy(1, [Row(i) for i in range(5)]),
        legacy(1, [Row(i, value=b"x" * 99) for i in range(5)], GZIP)
        + legacy(1, [Row(5, value=b"x" * 99)], GZIP),
    ],
    ids=["format 2", "format 1", "format 1, compressed"],
)
def test_whoever_takes_few_at_a_time_gets_all_of_them(data: bytes) -> None:
    expected = by_aiokafka(data)

    async def take() -> Read:
        assignment, taken = Assignment({KEY}), list[Row]()
        assignment.state_value(KEY).seek(0)
        records = raw_records(data)
        result = driver.FetchResult(KEY, assignment=assignment, partition_records=records, backoff=0)
        while result.has_more():
            taken += [row_of(one) for one in all_of(result.getall(max_records=2))]
        return Read(taken, assignment.state_value(KEY).position)

    assert asyncio.run(take()) == expected


# Spoilt bytes


TWO = [
    batch([Row(5, key=b"k", headers=(("n", b"v"),)), Row(6, key=b"", value=None)]),
    batch([Row(7), Row(8)]),
]
PLACES = [i for i in range(len(TWO[0])) if i not in (*range(8, 12), 16, *range(23, 27))]
"""Of all but the size and the format, with which other parts of aiokafka deal, and the last offset."""
CHANGES = st.sampled_from(PLACES).flatmap(
    # aiokafka takes the attributes of a record for a number of variable length; they are one byte.
    lambda at: st.tuples(st.just(at), st.integers(0, 255 if at < 61 else 127))
)


def outcome(read: Callable[..., Read], data: bytes, **options: bool) -> Read | None:
    try:
        found = read(data, 5, **options)
    except Exception:
        return None
    rows, behind = [], 5
    for row in found.rows:  # aiokafka leaves out what stands behind a higher offset
        if row.offset >= behind:
            rows.append(row)
            behind = row.offset + 1
    return Read(rows, found.next_fetch_offset)


@settings(max_examples=400)
@given(st.lists(CHANGES, min_size=1, max_size=3))
@example([(57, 0x80)])
@example([(57, 0x7F)])
@example([(22, 7)])
@example([(22, GZIP)])
def test_what_aiokafka_can_read_of_spoilt_bytes_we_read_too(changes: list[tuple[int, int]]) -> None:
    spoilt = bytearray(TWO[0])
    for at, byte in changes:
        spoilt[at] = byte
    data = bytes(spoilt) + TWO[1]
    expected, found = outcome(by_aiokafka, data, crc=False), outcome(by_us, data)
    assert expected is None or found == expected


@pytest.mark.parametrize("at", [57, 60])
def test_a_number_of_records_that_cannot_be_is_an_error_of_kafkas(at: int) -> None:
    spoilt = bytearray(TWO[0])
    spoilt[at] ^= 0x80
    with pytest.raises(driver.Errors.CorruptRecordException):
        by_us(bytes(spoilt))


@pytest.mark.parametrize("codec", sorted(set(range(8)) - set(CODECS)))
def test_a_compression_that_cannot_be_undone_is_an_error_of_kafkas(codec: int) -> None:
    spoilt = bytearray(TWO[0])
    spoilt[22] = codec
    with pytest.raises(driver.Errors.UnsupportedCodecError):
        by_us(bytes(spoilt))


def test_compressed_bytes_that_hold_no_records_are_an_error_of_kafkas() -> None:
    for content in (b"", TWO[1][61:66]):
        data = bytearray(batch([Row(0)])[:61] + gzip.compress(content))
        struct.pack_into(">i", data, 8, len(data) - 12)
        data[22] = GZIP
        with pytest.raises(driver.Errors.CorruptRecordException):
            by_us(bytes(data))


# What aiokafka's fetcher has of us


def asked_of(function: Any, name: str) -> set[str]:
    """Attributes of `name` that a function uses."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name
    }


def test_the_function_that_is_bound_anew_is_the_one_we_know() -> None:
    function = driver.Fetcher._proc_fetch_request
    assert list(inspect.signature(function).parameters) == ["self", "assignment", "node_id", "request"]
    assert {"MemoryRecords", "PartitionRecords"} <= set(function.__code__.co_names)
    assert function.__code__.co_freevars == ()
    assert not function.__kwdefaults__
    source = inspect.getsource(function)
    assert source.count("MemoryRecords(") == 1
    assert source.count("PartitionRecords(") == 1
    assert "self._proc_fetch_request(" in inspect.getsource(driver.Fetcher._fetch_requests_routine)


def test_no_more_is_asked_of_a_fetch_and_of_its_records_than_ours_know() -> None:
    assert asked_of(driver.Fetcher._proc_fetch_request, "records") == {"has_next", "size_in_bytes"}
    assert asked_of(driver.Fetcher._proc_fetch_request, "partition_records") == set()
    assert asked_of(driver.FetchResult, "self._partition_records") == {"next_fetch_offset"}
    assert "in self._partition_records" in inspect.getsource(driver.FetchResult.getall)


def test_ours_takes_what_aiokafkas_takes() -> None:
    theirs = list(inspect.signature(driver.PartitionRecords).parameters)
    ours = list(inspect.signature(RawPartitionRecords).parameters)
    assert ours == [*theirs[:4], "others"]
    assert theirs[4:] == ["key_deserializer", "value_deserializer", "check_crcs", "isolation_level"]


def answered(data: bytes, since: int, *, raw: bool) -> tuple[Any, int]:
    """What a real fetcher keeps of an answer: its result for the partition, and the position behind it."""

    async def run() -> tuple[Any, int]:
        partition = 0, 0, 100, 100, [(1, 0)], data

        async def send(node: int, request: Any) -> Any:
            return FetchResponse_v4(0, [(KEY.topic, [partition])])

        client = SimpleNamespace(_loop=asyncio.get_running_loop(), _metadata_max_age_ms=1000, send=send)
        fetcher = driver.Fetcher(
            client, SubscriptionState(), check_crcs=False, isolation_level="read_committed"
        )
        if raw:
            fetch_raw(SimpleNamespace(_fetcher=fetcher))
        assignment = Assignment({KEY})
        assignment.state_value(KEY).seek(since)
        request = FetchRequest_v4(-1, 1, 1, 1, 1, [(KEY.topic, [(KEY.partition, since, 1 << 20)])])
        try:
            await fetcher._proc_fetch_request(assignment, 0, request)
            result = fetcher._records.get(KEY)
            found = result.getall(100_000) if isinstance(result, driver.FetchResult) else result
            return found, assignment.state_value(KEY).position
        finally:
            await fetcher.close()

    return asyncio.run(run())


def test_a_fetcher_that_was_changed_gives_what_it_gave() -> None:
    data = transactional(0, 1) + marker(ABORT, 1, 1) + batch([Row(2, key=b"k")]) + batch([Row(3)], last=4)
    (found,), position = answered(data, 0, raw=True)
    expected, same_position = answered(data, 0, raw=False)
    assert isinstance(found, RawRecords)
    assert list(map(row_of, found)) == [row_of(one) for one in expected]
    assert position == same_position == 5


def test_a_fetcher_that_was_changed_is_changed_alone() -> None:
    found, _ = answered(batch([Row(0)]), 0, raw=True)
    assert isinstance(found[0], RawRecords)
    assert driver.Fetcher._proc_fetch_request.__globals__["PartitionRecords"] is not RawPartitionRecords


@pytest.mark.parametrize("raw", [True, False])
def test_a_record_that_is_larger_than_a_fetch_is_still_told_of(raw: bool) -> None:
    found, _ = answered(batch([Row(0)])[:-1], 0, raw=raw)
    with pytest.raises(RecordTooLargeError):
        found.check_raise()
    assert answered(b"", 0, raw=raw)[0] is None


# All of a partition


def test_what_was_fetched_in_parts_is_joined() -> None:
    fetched = [one for i in range(3) for one in raw_records(batch([Row(i, value=b"%d" % i)]))]
    assert isinstance(all_of(fetched), RawRecords)
    assert [record.value for record in all_of(fetched)] == [b"0", b"1", b"2"]
    assert len(all_of([])) == 0


def test_parts_of_both_kinds_are_records_in_order() -> None:
    fetched = [*raw_records(legacy(1, [Row(0)])), *raw_records(batch([Row(1), Row(2)]))]
    fetched += raw_records(legacy(1, [Row(3)]))
    assert [record.offset for record in all_of(fetched)] == [0, 1, 2, 3]
