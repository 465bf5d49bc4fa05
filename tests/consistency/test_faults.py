"""Whatever dies, nothing is lost, nothing is counted twice, and all workers are equal to the bit.

One row alone: make consistency ROW=zombie. A row's docstring says what happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.consistency.arena import Arena
from tests.consistency.audit import Report
from tests.consistency.table import TABLE

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
"""All rows, all their seeds, more faults in each; else the rows that `make test` has time for."""
ROW = os.environ.get("GRADSTREAM_ROW")
"""The only row to run."""


def cases() -> Iterator[tuple[str, int]]:
    """Rows and seeds; raises KeyError for a row that there is not."""
    for row in [TABLE[ROW]] if ROW else TABLE.values():
        yield from ((row.name, seed) for seed in range(row.seeds if LONG or ROW else int(row.short)))


@pytest.mark.integration
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "seed"), [pytest.param(*case, id="{}-{}".format(*case)) for case in cases()]
)
def test_nothing_is_lost_repeated_or_unequal(
    arena: Arena, note: Callable[[str, int, Report], None], name: str, seed: int
) -> None:
    episode = arena.episode(TABLE[name], seed, LONG)
    try:
        episode.play()
    finally:
        note(name, seed, episode.report)
    assert not episode.report.problems, "\n".join(episode.report.problems)
