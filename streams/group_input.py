"""What a model asks of the consumer group that fetches its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.log_format import PartitionId
from streams.processor import Seek


@dataclass(frozen=True, slots=True)
class Input:
    """seek: puts a partition's fetcher at an offset; behind: whether the broker has more records of a
    partition than up to an offset, as far as is known; out_of_range: told that a position is not in a topic.
    """

    seek: Seek
    behind: Callable[[PartitionId, int], bool]
    out_of_range: Callable[[], None]
