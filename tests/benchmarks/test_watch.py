"""A worker is watched from outside, and never outlives its watcher's patience."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.watch import BenchmarkError, Watched, run_pinned

CORE = max(os.sched_getaffinity(0))
WRITE_AFFINITY = """
import os, pathlib
pathlib.Path(os.environ["GRADSTREAM_BENCH_REPORT"]).write_text(str(sorted(os.sched_getaffinity(0))))
"""


def run(program: str, folder: Path, timeout: float = 60.0) -> Watched:
    command = [sys.executable, "-c", program]
    return run_pinned(command, CORE, folder / "report", folder / "log", timeout)


def test_the_process_has_one_core_and_is_told_where_to_report(tmp_path: Path) -> None:
    run(WRITE_AFFINITY, tmp_path)
    assert (tmp_path / "report").read_text() == f"[{CORE}]"


def test_cpu_time_of_the_process_grows_and_its_memory_is_seen(tmp_path: Path) -> None:
    busy = "x = bytearray(50_000_000)\nfor _ in range(3_000_000): pass\n"
    watched = run(busy + WRITE_AFFINITY, tmp_path)
    assert watched.cpu == sorted(watched.cpu)
    assert watched.cpu_seconds(watched.times[0], watched.times[-1]) == watched.cpu[-1] - watched.cpu[0] > 0
    assert watched.peak_bytes > 50_000_000


def test_cpu_time_between_two_looks_is_interpolated() -> None:
    watched = Watched(times=[1.0, 2.0, 3.0], cpu=[0.0, 1.0, 1.5])
    assert watched.cpu_seconds(1.5, 2.5) == 0.75


def test_a_failing_process_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="ended with status 3, expected 0 and a report: no luck"):
        run("import sys; print('no luck'); sys.exit(3)", tmp_path)


def test_a_process_without_a_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        BenchmarkError, match="ended with status 0, expected 0 and a report: it wrote nothing"
    ):
        run("pass", tmp_path)


def test_a_process_that_does_not_end_is_ended(tmp_path: Path) -> None:
    endless = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(BenchmarkError, match="did not end within 2 s"):
        run(endless, tmp_path, timeout=2.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "log").read_text()), 0)
