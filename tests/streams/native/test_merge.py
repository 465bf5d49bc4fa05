"""Small batches that are merged are the batch that one builder would have made of all their records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.native.merge import merged
from streams.native.record_set import one_record
from tests.streams.native.test_record_set import by_aiokafka, record_set


@given(st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=90), min_size=1, max_size=5))
def test_all_records_are_there_in_order_to_the_byte(parts: list[list[bytes]]) -> None:
    one = merged([record_set(values) for values in parts])
    together = [value for values in parts for value in values]
    assert bytes(one._build()) == by_aiokafka(together)
    assert (one.record_count(), one.size()) == (len(together), len(by_aiokafka(together)))


def test_offsets_that_need_more_bytes_than_before_make_their_records_longer() -> None:
    parts = [[b"x" * size] * 100 for size in (0, 50, 8180)]
    together = [value for values in parts for value in values]
    assert bytes(merged([record_set(values) for values in parts])._build()) == by_aiokafka(together)


def test_one_alone_stays_as_it_is() -> None:
    alone = one_record(b"key", b"value", [("a", b"b")], 5)
    assert merged([alone]) is alone
