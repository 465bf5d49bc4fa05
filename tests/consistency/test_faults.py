"""Whatever dies, nothing is lost, nothing is counted twice, and all workers are equal to the bit.

One row alone: `make consistency ROW=zombie`, or pytest -k "zombie-". A row's docstring says what happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.consistency.arena import Arena
from tests.consistency.audit import Report
from tests.consistency.table import TABLE

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
EVERY = bool(os.environ.get("GRADSTREAM_EVERY_ROW"))
CASES = [
    pytest.param(name, seed, id=f"{name}-{seed}")
    for name, row in TABLE.items()
    for seed in range(row.seeds if LONG or EVERY else int(row.short))
]


@pytest.mark.integration
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("name", "seed"), CASES)
def test_nothing_is_lost_repeated_or_unequal(
    arena: Arena, note: Callable[[str, int, Report], None], name: str, seed: int
) -> None:
    episode = arena.episode(TABLE[name], seed, LONG)
    try:
        episode.play()
    finally:
        note(name, seed, episode.report)
    assert not episode.report.problems, "\n".join(episode.report.problems)
