"""Exhaustive check of LEARNING-LOG.md on small models: every order of events within the bounds.

    python -m tests.consistency.model_check                  the rules as they are
    python -m tests.consistency.model_check --long           with larger bounds (minutes)
    python -m tests.consistency.model_check --broken NAME    one rule left out: the shortest way to ruin
    python -m tests.consistency.model_check --broken all

Nothing here imports gradstream: the rules are stated a second time, so that two readings must agree.
"""

from __future__ import annotations

import argparse
import time

from tests.consistency.model_contract import Broken
from tests.consistency.model_explorer import Result, explore
from tests.consistency.model_log import LogModel
from tests.consistency.model_state import Bounds
from tests.consistency.model_store import StoreBounds, StoreModel

SHORT: dict[str, Bounds | StoreBounds] = {
    "two partitions, merged appends": Bounds((2, 2), merge=True),
    "two partitions, two owners of one": Bounds((2, 1), sizes=(1,), faults={"move": 1}),
    "two partitions, a doubtful append": Bounds((1, 1), faults={"fail": 1}),
    "two partitions, a crash": Bounds((1, 1), faults={"crash": 1}),
    "three samples, two owners": Bounds((3,), sizes=(1,), faults={"move": 1}),
    "assigned twice": Bounds((2,), faults={"move": 2}),
    "two crashes": Bounds((2,), faults={"crash": 2}),
    "two doubtful appends": Bounds((2,), faults={"fail": 2}),
    "a doubtful append, a crash": Bounds((2,), faults={"fail": 1, "crash": 1}),
    "a doubtful append, a repeat": Bounds((2,), faults={"fail": 1, "repeat": 1}),
    "opening, two owners": Bounds((2,), opened=False, faults={"move": 1}),
    "opening, a doubtful append": Bounds((2,), opened=False, faults={"fail": 1}),
    "opening, a crash": Bounds((2,), opened=False, faults={"crash": 1}),
    "prefetch, two owners": Bounds((2,), prefetch=2, faults={"move": 1}),
    "prefetch, a doubtful append": Bounds((2,), prefetch=2, faults={"fail": 1}),
    "input deleted, two owners": Bounds((2,), faults={"truncate": 1, "move": 1}),
    "input deleted, a crash": Bounds((2,), faults={"truncate": 1, "crash": 1}),
    "store: a lost or late save": StoreBounds(3, {"cut": 1}),
    "store: fallen back, emptied": StoreBounds(3, {"rewind": 1, "empty": 1}),
    "store: fallen back, a crash": StoreBounds(2, {"rewind": 2, "crash": 1}),
}
"""What `make test` explores: about 20 s."""

LONG: dict[str, Bounds | StoreBounds] = {
    "two and one sample, two owners of a partition": Bounds((2, 1), faults={"move": 1}),
    "two and one sample, a doubtful append": Bounds((2, 1), faults={"fail": 1}),
    "two and one sample, a crash": Bounds((2, 1), faults={"crash": 1}),
    "three samples, two owners, larger batches": Bounds((3,), faults={"move": 1}),
    "two owners, a doubtful append": Bounds((2,), faults={"move": 1, "fail": 1}),
    "two owners, a crash": Bounds((2,), faults={"move": 1, "crash": 1}),
    "three samples, a doubtful append": Bounds((3,), pending=3, faults={"fail": 1}),
    "three samples, a crash": Bounds((3,), faults={"crash": 1}),
    "two and two samples, a doubtful append": Bounds((2, 2), sizes=(1,), faults={"fail": 1}),
    "prefetch, moved twice": Bounds((2,), prefetch=2, faults={"move": 2}),
    "opening, two owners, a doubtful append": Bounds(
        (2,), opened=False, sizes=(1,), faults={"move": 1, "fail": 1}
    ),
    "store: late saves, fallen back": StoreBounds(3, {"cut": 1, "rewind": 1}),
    "store: four records, fallen back": StoreBounds(4, {"rewind": 1}),
    "store: a lost or late save, a crash": StoreBounds(3, {"cut": 1, "crash": 1}),
}
"""What `make consistency` explores on top: a few minutes."""

BREAKING: dict[str, Bounds | StoreBounds] = {
    "any_from": Bounds((2,), faults={"move": 1}),
    "append_early": Bounds((2,)),
    "stale_fetch": Bounds((2,), prefetch=2, faults={"move": 1}),
    "no_rebase": Bounds((1, 1)),
    "no_drop": Bounds((2,), sizes=(1,), faults={"move": 1}),
    "idle_stands": Bounds((2,), sizes=(1,), pending=1, faults={"crash": 1}),
    "no_wait": Bounds((2,), sizes=(1,), faults={"move": 1}),
    "no_open": Bounds((2,), opened=False, faults={"fail": 1}),
    "silent_reset": Bounds((2,), sizes=(1,), faults={"truncate": 1}),
    "lower_save": StoreBounds(2),
    "no_since": StoreBounds(3, {"rewind": 1}),
    "marks_cleared_early": StoreBounds(2, {"cut": 1}),
}
"""For each rule left out, bounds within which it goes wrong."""


def check(bounds: Bounds | StoreBounds, broken: str = "") -> Result:
    """Explore one model; where something is wrong, again with the workers' names apart, for the trace."""
    result = explored(bounds, broken)
    return explored(bounds, broken, symmetric=False) if result.wrong else result


def explored(bounds: Bounds | StoreBounds, broken: str = "", symmetric: bool = True) -> Result:
    """Explore one model once."""
    rules = Broken(**{broken: True}) if broken else Broken()
    if isinstance(bounds, StoreBounds):
        return explore(StoreModel(bounds, rules, symmetric))
    return explore(LogModel(bounds, rules, symmetric))


def report(name: str, bounds: Bounds | StoreBounds, broken: str = "") -> Result:
    """Explore one model and print what was found."""
    begun = time.perf_counter()
    result = check(bounds, broken)
    seconds = time.perf_counter() - begun
    size = f"{result.states:>9,} states {result.steps:>10,} steps {result.depth:>3} deep {seconds:6.1f} s"
    print(f"{name:<50} {size}", flush=True)
    if result.wrong:
        print(readable(result))
    return result


def readable(result: Result) -> str:
    """A counterexample for people: a line a step, and what is wrong at the end."""
    lines = [f"    {number:>2}. {line}" for number, line in enumerate(result.trace, 1)]
    return "\n".join([*lines, f"    ==> {result.wrong}", ""])


def main() -> int:
    """The command; the exit code says whether all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.consistency.model_check")
    parser.add_argument("--long", action="store_true", help="larger bounds on top")
    parser.add_argument("--broken", choices=[*Broken.names(), "all"], help="a rule to leave out")
    options = parser.parse_args()
    if options.broken:
        names = Broken.names() if options.broken == "all" else [options.broken]
        return int(not all(report(name, BREAKING[name], name).wrong for name in names))
    chosen = [*SHORT.items(), *(LONG.items() if options.long else ())]
    results = [report(name, bounds) for name, bounds in chosen]
    print(f"{'together':<50} {sum(r.states for r in results):>9,} states")
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
