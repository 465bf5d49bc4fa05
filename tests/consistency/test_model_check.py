"""The rules of the learning log hold in every order of events, and no rule can be left out."""

from __future__ import annotations

import os

import pytest

from tests.consistency.model_check import BREAKING, LONG, SHORT, check, explored, readable
from tests.consistency.model_contract import Broken
from tests.consistency.model_explorer import STUCK
from tests.consistency.model_state import Bounds
from tests.consistency.model_store import StoreBounds

EXPLORED = {**SHORT, **LONG} if os.environ.get("GRADSTREAM_LONG") else SHORT

FINDS = {
    "any_from": "is learned twice",
    "append_early": "a sample counts whose prediction may never have gone out",
    "stale_fetch": STUCK,
    "no_rebase": "its view is not the fold with pending on top",
    "no_drop": STUCK,
    "idle_stands": STUCK,
    "no_wait": "work without end",
    "no_open": "sample 0 of p0 is lost",
    "silent_reset": STUCK,
    "lower_save": "a save takes the store from log offset 1 back to 0",
    "no_since": "not the contract's fold",
    "marks_cleared_early": "not the contract's fold",
}
"""What goes wrong first when a rule is left out."""


@pytest.mark.parametrize("name", EXPLORED)
def test_no_order_of_events_breaks_the_rules_and_the_end_is_always_in_reach(name: str) -> None:
    result = check(EXPLORED[name])
    print(f"{result.states:,} states, {result.steps:,} steps, {result.depth} deep")
    assert not result.wrong, readable(result)


def test_every_rule_that_can_be_left_out_is_tried() -> None:
    assert list(BREAKING) == list(FINDS) == Broken.names()


@pytest.mark.parametrize("name", BREAKING)
def test_without_the_rule_there_is_a_counterexample_and_with_it_none(name: str) -> None:
    result = check(BREAKING[name], name)
    print(readable(result))
    assert FINDS[name] in result.wrong
    assert result.trace
    assert not check(BREAKING[name]).wrong


@pytest.mark.parametrize(
    "bounds", [Bounds((1,), faults={"move": 1, "fail": 1}), StoreBounds(2, {"crash": 1})]
)
def test_workers_that_change_their_names_are_the_same_state(bounds: Bounds | StoreBounds) -> None:
    """Symmetry saves states, and hides nothing: what is wrong is found with and without it."""
    one, both = explored(bounds, symmetric=True), explored(bounds, symmetric=False)
    assert (one.wrong, both.wrong) == ("", "")
    assert one.depth == both.depth
    assert one.states < both.states <= 2 * one.states
