"""Streams of models whose labels come late; their topics are there, their workers are gone at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.harness import Stream


@pytest.fixture
def make_late(servers: Any, tmp_path: Path, unique_name: str) -> Iterator[Callable[..., Stream]]:
    """Makes one with so many partitions, and further keys in the model's table."""
    from tests.integration.harness import Stream, opened
    from tests.integration.late_labels import table

    streams: list[Stream] = []

    def make(partitions: int = 1, more: str = "") -> Stream:
        name = f"{unique_name}-{len(streams)}"
        group = f'group_id = "{name}"'
        stream = Stream(servers.kafka, servers.redis, name, tmp_path, table(name, more), partitions, group)
        streams.append(stream)
        opened(stream).__enter__()
        return stream

    yield make
    for stream in streams:
        stream.stop_all()
