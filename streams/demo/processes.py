"""The gradstream commands that the demo runs, as a user would, and the worker among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.local.processes import Guardian, ProcessId, alive, end_all, identify
from streams.demo.errors import DemoError

GRADSTREAM = [sys.executable, "-P", "-c", "from streams.cli import main; main()"]
"""The command of this very installation, wherever its script is."""
COMMAND_SECONDS = 60.0
GRACE_SECONDS = 20.0


def own_environment() -> dict[str, str]:
    """The variables of this process without GRADSTREAM_*: they would be stronger than the demo's file."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("GRADSTREAM_")}


def run(config: Path, *arguments: str) -> None:
    """Run a command to its end; raises DemoError with what it said when it fails."""
    command, env = [*GRADSTREAM, "--config", str(config), *arguments], own_environment()
    shown = f"gradstream {' '.join(arguments)}"
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        raise DemoError(f"{shown} did not end within {COMMAND_SECONDS:.0f} s") from None
    if done.returncode:
        raise DemoError(f"{shown} failed: {last_line(done.stderr)}")


class Worker:
    """`gradstream worker` in a process of its own, which ends with this one, however that ends."""

    def __init__(self, config: Path, log: Path) -> None:
        self.log = log
        self._guardian = Guardian()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        clean = ["env", *(f"-u{name}" for name in os.environ.keys() - own_environment().keys())]
        command = [*clean, *GRADSTREAM, "--config", str(config), "worker"]
        try:
            self._process: ProcessId | None = identify(self._guardian.run(command, cwd=log.parent, log=log))
        except BaseException:
            self._guardian.close()
            raise

    def check(self) -> None:
        """Raises DemoError when it has ended."""
        if not alive(self._process):
            raise DemoError(f"the worker ended early, its log says last: {self.last_words()}")

    def last_words(self) -> str:
        """What its log says last."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return last_line(file.read().decode("utf-8", "replace"))

    def stop(self) -> None:
        """SIGTERM: it finishes what is in flight, saves and ends. Stopping twice does nothing."""
        if self._process is not None:
            process, self._process = self._process, None
            end_all([process], GRACE_SECONDS)
        self._guardian.close()


def last_line(text: str) -> str:
    """The last thing that a command or a log said, without the JSON around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    try:
        event = json.loads(lines[-1])
    except ValueError:
        return lines[-1].removeprefix("gradstream: ")
    return str(event.get("event", lines[-1])) if isinstance(event, dict) else lines[-1]
