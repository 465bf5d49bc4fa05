"""A finished record batch is to aiokafka's producer what its own builder would have made, to the byte."""

from __future__ import annotations

import asyncio
import inspect
import re
import struct

from aiokafka import TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import example, given
from hypothesis import strategies as st

from streams.native.batches import HEADER
from streams.native.record_set import RecordSet
from tests.streams.native.fetches import TIME

VALUES = [b"one", b"", b"x" * 500]
STATES = st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(0, 2**31 - 1))


def by_aiokafka(values: list[bytes], state: tuple[int, int, int] | None = None) -> bytes:
    builder = BatchBuilder(1 << 20, 0)
    for value in values:
        assert builder.append(timestamp=TIME, key=None, value=value) is not None
    if state is not None:
        builder._set_producer_state(*state)
    return bytes(builder._build())


def record_set(values: list[bytes]) -> RecordSet:
    """With a header that is yet to be filled in."""
    return RecordSet(bytearray(HEADER) + by_aiokafka(values)[HEADER:], len(values), TIME)


def test_without_a_producer_it_is_the_batch_of_a_builder_without_one() -> None:
    assert bytes(record_set(VALUES)._build()) == by_aiokafka(VALUES)
    assert bytes(record_set(VALUES[:1])._build()) == by_aiokafka(VALUES[:1])


@given(STATES, st.lists(st.binary(max_size=9), min_size=1, max_size=9))
@example((2**63 - 1, 2**15 - 1, 2**31 - 1), [b""])
def test_with_the_state_of_a_producer_it_is_the_batch_of_a_builder_with_it(
    state: tuple[int, int, int], values: list[bytes]
) -> None:
    records = record_set(values)
    records._set_producer_state(*state)
    assert bytes(records._build()) == by_aiokafka(values, state)


@given(st.lists(STATES, min_size=1, max_size=4))
def test_after_a_change_of_the_state_it_is_that_of_the_new_one(states: list[tuple[int, int, int]]) -> None:
    records = record_set(VALUES)
    for state in states:
        records._set_producer_state(*state)
        for _ in range(2):
            built = bytes(records._build())
            assert struct.unpack_from(">qhi", built, 43) == state
            assert DefaultRecordBatch(built).validate_crc()
            assert built == by_aiokafka(VALUES, state)


def test_every_byte_behind_the_checksum_is_checked() -> None:
    built = bytes(record_set(VALUES)._build())
    for at in range(21, len(built)):
        spoilt = bytearray(built)
        spoilt[at] ^= 1
        assert not DefaultRecordBatch(bytes(spoilt)).validate_crc()


def test_it_is_full_and_closed_and_stays_as_large_as_it_is() -> None:
    records = record_set(VALUES)
    size = len(by_aiokafka(VALUES))
    for _ in range(2):
        assert records.append(timestamp=TIME, key=None, value=b"more", headers=[]) is None
        assert records.closed()
        assert (records.size(), records.record_count()) == (size, 3)
        records.close()
        assert len(records._build()) == size


def test_a_producer_asks_no_more_of_a_builder_than_what_it_has() -> None:
    asked = set(re.findall(r"\bself\._builder\.(\w+)", inspect.getsource(MessageBatch)))
    assert "_build" in asked
    assert {name for name in asked if not hasattr(RecordSet, name)} == set()
    for function in (MessageAccumulator.add_batch, MessageAccumulator._append_batch):
        assert re.findall(r"\bbuilder\.(\w+)", inspect.getsource(function)) == []


def test_a_message_batch_sends_it_as_it_sends_its_own() -> None:
    async def run() -> None:
        key = TopicPartition("predictions", 0)
        batch = MessageBatch(key, record_set(VALUES), 1.0, 1.0)
        assert not batch.is_empty()
        assert batch.record_count == 3
        assert batch.remaining_linger() is None, "it is sent at once"
        assert batch.append(None, b"more", TIME) is None
        batch.set_producer_state(7, 1, 40)
        batch.drain_ready()
        buffer = batch.get_data_buffer()
        assert bytes(buffer) == by_aiokafka(VALUES, (7, 1, 40))
        assert type(buffer) is type(MessageBatch(key, BatchBuilder(1 << 20, 0), 1.0, 1.0).get_data_buffer())

    asyncio.run(run())
