"""A suite that finds nothing proves nothing: each broken variant of a worker makes a row fail."""

from __future__ import annotations

import pytest

from tests.consistency.arena import Arena
from tests.consistency.broken import VARIANTS
from tests.consistency.table import TABLE
from tests.consistency.test_faults import LONG

REVEALED_BY = {
    "any-from": "two-owners",
    "append-early": "outputs-refused",
    "save-lower": "kill",
    "save-without-since": "redis-rewound",
    "no-wait": "slow-owners",
    "no-open": "kill",
}
SHORT = ("any-from",)


@pytest.mark.integration
@pytest.mark.timeout(400)
@pytest.mark.parametrize("variant", VARIANTS if LONG else SHORT)
def test_a_worker_that_leaves_out_a_rule_is_found_out(arena: Arena, variant: str) -> None:
    episode = arena.episode(TABLE[REVEALED_BY[variant]], 0, LONG, broken=variant)
    try:
        episode.play()
    except AssertionError as error:
        episode.report.problems.append(str(error))
    assert episode.report.problems
    print(variant, "found by", episode.row.name, ":", *episode.report.problems, sep="\n  ")
