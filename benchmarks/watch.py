"""A worker process from outside: pinned to one core, its CPU time and memory sampled while it runs."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import REPORT_VARIABLE, now
from models.errors import GradstreamError
from streams.demo.processes import own_environment

INTERVAL = 0.01
"""Seconds between two looks at the process."""


class BenchmarkError(GradstreamError):
    """The benchmark cannot measure what it was asked to."""


@dataclass
class Watched:
    """What was seen of a process while it ran; times by the clock of the reports."""

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def look(self, pid: int) -> None:
        """Add its CPU time and peak memory as they are now; nothing when it has just ended."""
        try:
            used = time.clock_gettime(cpu_clock(pid))
            status = Path(f"/proc/{pid}/status").read_text()
        except (OSError, ProcessLookupError):
            return
        peak = status.partition("VmHWM:")[2].split()  # kB; a process that has ended has no memory any more
        if peak:
            self.times.append(now())
            self.cpu.append(used)
            self.peak_bytes = int(peak[0]) * 1024

    def cpu_seconds(self, start: float, end: float) -> float:
        """CPU time of all its threads, user and system, between two moments."""
        first, last = np.interp([start, end], self.times, self.cpu)
        return float(last - first)


def cpu_clock(pid: int) -> int:
    """The id of a process's CPU-time clock, in nanoseconds: clock_getcpuclockid(3), as Linux defines it."""
    return (~pid << 3) | 2


def run_pinned(command: list[str], core: int, report: Path, log: Path, timeout: float) -> Watched:
    """Run `command` on one core to its end, its report asked for at `report`, its output in `log`.

    Raises BenchmarkError when it fails, writes no report, or takes longer than `timeout` seconds (it is ended
    then).
    """
    watched = Watched()
    deadline = now() + timeout
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**own_environment(), REPORT_VARIABLE: str(report)},
            preexec_fn=partial(os.sched_setaffinity, 0, {core}),
        )
        try:
            while process.poll() is None:
                watched.look(process.pid)
                if now() > deadline:
                    raise BenchmarkError(
                        f"{' '.join(command)} did not end within {timeout:.0f} s: {last_line(log)}"
                    )
                time.sleep(INTERVAL)
        finally:
            process.kill()
            process.wait()
    if process.returncode or not report.exists():
        raise BenchmarkError(
            f"{' '.join(command)} ended with status {process.returncode}, expected 0 and a report:"
            f" {last_line(log)}"
        )
    return watched


def cores() -> tuple[int, int]:
    """A core for the servers and this process, and one for the workers.

    Raises BenchmarkError with fewer than two.
    """
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(allowed) < 2:
        raise BenchmarkError(
            f"{len(allowed)} cores to pin to, expected two or more, on Linux: run it elsewhere"
        )
    return allowed[0], allowed[1]


def last_line(log: Path) -> str:
    """The last line that a process wrote, mostly why it failed."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
