"""Produce requests are written as aiokafka writes them."""

from __future__ import annotations

import pytest
from aiokafka.protocol import produce as protocol
from hypothesis import given
from hypothesis import strategies as st

from streams.native import produce

topics = st.lists(
    st.tuples(
        st.text(max_size=5), st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=9)), max_size=3)
    ),
    max_size=3,
)


@pytest.mark.parametrize("kind", produce._PATCHED)
@given(topics=topics, acks=st.sampled_from([-1, 0, 1]), transaction=st.none() | st.text(max_size=3))
def test_the_bytes_are_those_of_aiokafka(
    kind: type, topics: list, acks: int, transaction: str | None
) -> None:
    request = kind(transaction, acks, 40_000, [(name, parts) for name, parts in topics])
    values = [request.__dict__[name] for name in kind.SCHEMA.names]
    assert produce.encode(request) == kind.SCHEMA.encode(values)
    buffers = [(name, [(p, bytearray(data)) for p, data in parts]) for name, parts in topics]
    assert produce.encode(kind(transaction, acks, 40_000, buffers)) == kind.SCHEMA.encode(values)


def test_all_versions_that_aiokafka_sends_for_record_batches_are_known() -> None:
    sent = [one for one in protocol.ProduceRequest._CLASSES if one.API_VERSION >= 3]
    assert list(produce._PATCHED) == sent
