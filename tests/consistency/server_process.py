"""A server as a process that can be hurt: started again by one command line, signalled by identity."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from infra.local import server_logs
from infra.local.processes import Guardian, ProcessId, alive, end_all, identify, kill_all

READY_SECONDS = 90.0


class ServerProcess:
    """One server of a guardian. It ends with the guardian, and so with the tests' process."""

    def __init__(self, guardian: Guardian, argv: list[str], home: Path, log: Path) -> None:
        self._guardian = guardian
        self._argv = argv
        self._home = home
        self._log = log
        self._log_start = 0
        self._process: ProcessId | None = None
        self.paused = False

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process is there; also when it is paused."""
        return alive(self._process)

    def launch(self) -> None:
        """Start it, if it does not run, without waiting until it serves."""
        if self.alive:
            return
        self._log_start = server_logs.prepare(self._log)
        self.paused = False
        self._process = identify(self._guardian.run(self._argv, cwd=self._home, log=self._log))

    def wait_ready(self, answers: Callable[[], bool]) -> None:
        """Wait until it answers; an AssertionError with the log's reason when it ends or never does."""
        deadline = time.monotonic() + READY_SECONDS
        while not answers():
            reason = server_logs.last_error(self._log, self._log_start)
            assert self.alive, f"{self._argv[0]} ended, {self._log} says: {reason}"
            assert time.monotonic() < deadline, f"no answer in {READY_SECONDS} s, {self._log} says: {reason}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. Its port and its data are as a power cut leaves them."""
        if self._process:
            kill_all([self._process])
        self.paused = False

    def stop(self) -> None:
        """SIGTERM, and time to end well; a paused one is resumed to hear it."""
        self.resume()
        if self._process:
            end_all([self._process])

    def pause(self) -> None:
        """SIGSTOP: alive, silent, its connections open."""
        self._signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        if self.paused and self.alive:
            self._signal(signal.SIGCONT)
        self.paused = False

    def _signal(self, number: signal.Signals) -> None:
        assert self.alive, f"{self._argv[0]} does not run"
        assert self._process is not None
        os.kill(self._process.pid, number)
