"""Labels that come late are exact in every order of events, and the rule `after` cannot be left out."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.consistency.labels_check_fold import CONTRACT, Given, Rules
from tests.consistency.labels_check_model import Bounds, LabelModel
from tests.consistency.model_check import readable
from tests.consistency.model_explorer import Result, explore

ONE = Given((0,), ((0, 0),))
REPEATED = Given((0,), ((0, 0), (0, 0)))
WITHOUT_LABEL = Given((0,), ())
TWO = Given((0, 0), ((0, 0),))
BOTH = Given((0, 0), ((0, 0), (1, 0)))
KEPT = replace(BOTH, let_go="never")
CLOCKS = Given((5, 0, 9), ((1, 3),), horizon=4, patience=1, let_go="by the clocks")
"""Sample 1 comes after a later one. Its label is in time, but given up where it is read before sample 0."""

SHORT = {
    "let go at any time": Bounds(TWO),
    "let go at any time, a repeat": Bounds(TWO, pending=2, repeats=1),
    "let go at any time, a doubtful append": Bounds(ONE, doubts=1),
    "let go at any time, doubtful, a repeat": Bounds(ONE, pending=2, doubts=1, repeats=1),
    "one owner, doubtful, a repeat": Bounds(TWO, owners=1, pending=2, doubts=1, repeats=1),
    "a second label": Bounds(REPEATED, pending=2),
    "let go by the clocks": Bounds(CLOCKS),
    "let go by the clocks, a repeat": Bounds(CLOCKS, pending=2, repeats=1),
    "never let go": Bounds(KEPT),
}
LONG = {
    "two labels, let go at any time": Bounds(BOTH, pending=2),
    "two samples, a doubtful append": Bounds(TWO, pending=2, doubts=1),
    "let go by the clocks, doubtful": Bounds(CLOCKS, pending=2, doubts=1),
    "two doubtful appends": Bounds(ONE, pending=2, doubts=2),
    "a second label, a repeat": Bounds(REPEATED, repeats=1),
}
EXPLORED = {**SHORT, **LONG} if os.environ.get("GRADSTREAM_LONG") else SHORT

WITHOUT_AFTER = Rules(after=False)
EMPTY, EMPTY_WITHOUT_AFTER = Rules(empty=True), Rules(after=False, empty=True)


def check(bounds: Bounds) -> Result:
    """Explore one model; where something is wrong, again with the workers' names apart, for the trace."""
    result = explore(LabelModel(bounds))
    if result.wrong:
        result = explore(LabelModel(bounds, symmetric=False))
    print(f"{result.states:,} states, {result.steps:,} steps, {result.depth} deep\n{readable(result)}")
    return result


@pytest.mark.parametrize("name", EXPLORED)
def test_samples_are_learned_once_and_no_label_is_lost_in_any_order_of_events(name: str) -> None:
    result = check(EXPLORED[name])
    assert not result.wrong, readable(result)


def test_without_after_a_sample_is_learned_twice() -> None:
    """Two ways to the same two offsets; what was computed on one of them counts on the other."""
    bounds = Bounds(CLOCKS, WITHOUT_AFTER, events=3, pending=2)
    result = check(bounds)
    assert result.wrong == "sample 1 is learned twice", readable(result)
    assert result.trace == [
        "W0 appends samples [0,2) labels [0,1): sample 0 waits, sample 1 learned with label 0 -- counts",
        "W1 appends samples [0,2) labels [0,1): sample 0 waits, sample 1 waits, label 0 given up -- ignored",
        "W1 appends samples [2,3) labels [1,1): sample 2 waits, sample 1 expired -- counts",
    ], readable(result)
    assert not check(replace(bounds, rules=CONTRACT)).wrong


@pytest.mark.parametrize("given", [ONE, TWO, BOTH, REPEATED])
def test_without_after_a_label_is_lost_or_used_twice(given: Given) -> None:
    result = check(Bounds(given, WITHOUT_AFTER))
    assert result.wrong.startswith("label 0 is"), readable(result)


def test_without_after_the_offsets_suffice_only_where_nothing_is_let_go() -> None:
    """Then what waits depends on what was read, and not on the order."""
    assert not check(Bounds(KEPT, WITHOUT_AFTER, pending=2)).wrong


@pytest.mark.parametrize(
    "bounds", [Bounds(ONE, pending=2, repeats=1), Bounds(ONE, pending=2, owners=1, doubts=1)]
)
def test_a_record_that_reads_nothing_and_only_lets_go_is_exact_with_after(bounds: Bounds) -> None:
    result = check(replace(bounds, rules=EMPTY))
    assert not result.wrong, readable(result)


def test_a_record_that_reads_nothing_counts_twice_without_after() -> None:
    result = check(Bounds(WITHOUT_LABEL, EMPTY_WITHOUT_AFTER, owners=1, repeats=1))
    assert result.wrong == "sample 0 is learned twice", readable(result)
    assert "tries again" in result.trace[1], readable(result)
    assert result.trace[2].endswith("arrives late, and counts"), readable(result)


def test_workers_that_change_their_names_are_the_same_state() -> None:
    """Symmetry saves states, and hides nothing."""
    one, both = (explore(LabelModel(Bounds(ONE, pending=2), symmetric)) for symmetric in (True, False))
    assert (one.wrong, both.wrong, one.depth) == ("", "", both.depth)
    assert one.states < both.states <= 2 * one.states
