"""Servers that rows may hurt, and the report at the end of a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.consistency.arena import Arena
    from tests.consistency.audit import Report

REPORT = "GRADSTREAM_CONSISTENCY_REPORT"
"""Names a file that takes the figures as JSON."""
_KEY: pytest.StashKey[list[tuple[str, int, Report]]] = pytest.StashKey()
_BEGUN: pytest.StashKey[float] = pytest.StashKey()
COLUMNS = ("faults", "produced", "learned_once", "lost", "repeated", "unequal", "ignored", "redone")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = []
    config.stash[_BEGUN] = time.monotonic()


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Real servers, started when the first row asks for them."""
    from tests.consistency.arena import Arena

    with ExitStack() as stack:
        yield Arena(tmp_path_factory.mktemp("arena"), stack)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str, int, Report], None]:
    """Adds an episode to the table at the end."""
    episodes = request.config.stash[_KEY]
    return lambda row, seed, report: episodes.append((row, seed, report))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    episodes = config.stash.get(_KEY, [])
    if not episodes:
        return
    write = terminalreporter.write_line
    terminalreporter.section("faults")
    write(f"{'row':18} {'seed':>4} " + " ".join(f"{name:>12}" for name in COLUMNS))
    for row, seed, report in episodes:
        values = " ".join(f"{getattr(report, name):>12,}" for name in COLUMNS)
        write(f"{row:18} {seed:>4} {values}" + ("" if not report.problems else "  WRONG"))
    total = {name: sum(getattr(report, name) for _, _, report in episodes) for name in COLUMNS}
    write(f"{'all':18} {len(episodes):>4} " + " ".join(f"{total[name]:>12,}" for name in COLUMNS))
    for row, seed, report in episodes:
        for what, seconds in report.recoveries:
            write(f"{row} {seed}: {what}: {seconds:.1f} s")
    if path := os.environ.get(REPORT):
        rows = [
            {"row": row, "seed": seed, **{name: getattr(report, name) for name in COLUMNS},
             "recoveries": report.recoveries, "problems": report.problems}
            for row, seed, report in episodes
        ]  # fmt: skip
        seconds = time.monotonic() - config.stash[_BEGUN]
        document = {"total": total, "seconds": seconds, "episodes": rows}
        Path(path).write_text(json.dumps(document, indent=1))
