"""Processes by identity: a process id together with its start time, since ids are reused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local import guardian
from infra.local.errors import LocalStackError

if TYPE_CHECKING:
    import psutil

# The start time is derived from the boot time, which moves a little when the clock is set.
START_TIME_TOLERANCE = 2.0


@dataclass(frozen=True, slots=True)
class ProcessId:
    """pid and start time (seconds since 1970) of one process that this stack started."""

    pid: int
    started: float


def _psutil_process(process: ProcessId) -> psutil.Process | None:
    """The living process, or None when it ended, is a zombie, or its id now belongs to another."""
    try:
        import psutil
    except ImportError:
        raise LocalStackError(
            "the package psutil is missing, the local stack needs it: pip install 'gradstream[local]'"
        ) from None
    try:
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.started) > START_TIME_TOLERANCE:
            return None
        return None if found.status() == psutil.STATUS_ZOMBIE else found
    except psutil.NoSuchProcess:
        return None


def identify(pid: int) -> ProcessId | None:
    """The identity of a process just started, or None when it has ended already."""
    import psutil

    try:
        return ProcessId(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def alive(process: ProcessId | None) -> bool:
    """Whether this very process still runs."""
    return process is not None and _psutil_process(process) is not None


def end_all(processes: Iterable[ProcessId], grace: float = 20.0) -> None:
    """SIGTERM to each, up to `grace` seconds to finish, then SIGKILL; returns when all are gone."""
    left = [process for process in processes if _send(process, signal.SIGTERM)]
    if not _wait_gone(left, grace):
        kill_all(left)


def kill_all(processes: Iterable[ProcessId]) -> None:
    """SIGKILL to each; returns when all are gone.

    Raises LocalStackError when one is still there after ten seconds (it hangs in the kernel).
    """
    left = [process for process in processes if _send(process, signal.SIGKILL)]
    if not _wait_gone(left, 10.0):
        pids = ", ".join(str(process.pid) for process in left if alive(process))
        raise LocalStackError(f"process {pids} does not end, not even by SIGKILL: its disk may hang")


def _send(process: ProcessId, number: signal.Signals) -> bool:
    """Signal a process when it is still the one meant; whether it was."""
    found = _psutil_process(process)
    if found is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
    return True


def _wait_gone(processes: list[ProcessId], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Guardian:
    """The parent's side of guardian.py: what it runs ends with this process or `close`, unless released."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent; the guardian outlives it
        )

    def run(self, argv: list[str], *, cwd: Path, log: Path) -> int:
        """Start a server; its process id.

        Raises LocalStackError when the program cannot be executed.
        """
        self._tell({"argv": argv, "cwd": str(cwd), "log": str(log)})
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LocalStackError("the guardian of the local servers ended unexpectedly: start again")
        answer = json.loads(line)
        if "error" in answer:
            raise LocalStackError(f"{argv[0]} cannot be started: {answer['error']}")
        return int(answer["pid"])

    def release(self) -> None:
        """Let the servers live on without this process."""
        self._tell("release")
        self._finish()

    def close(self) -> None:
        """End the servers that it runs, wait for them. Closing twice does nothing."""
        self._finish()

    def _tell(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise LocalStackError("the guardian of the local servers is gone: start again") from None

    def _finish(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
