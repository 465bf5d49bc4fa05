"""Worker processes under supervision: one that ends with an error, or is killed, is started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "tests.consistency.program"]
"""The gradstream command, with what a test injects."""


@dataclass
class Member:
    """One place in the crew: the process that fills it now, and all that its processes wrote."""

    name: str
    config: Path
    log: Path
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = True
    """Whether a process is to fill the place."""
    begins: int = 0
    """Where in the log what the present process wrote begins."""

    def start(self) -> None:
        """Fill the place with a new process."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTREAM_")}
        self.begins = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "--config", str(self.config), "worker", *self.arguments],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT, env={**own, **self.env},
            )  # fmt: skip
        self.wanted = True

    def send(self, number: signal.Signals) -> None:
        """A signal to its process, if it lives."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """What its processes logged, of one kind if an event is given."""
        if not self.log.exists():
            return []
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict) and event in ("", line.get("event"))]

    def joined(self) -> bool:
        """Whether its present process has been assigned partitions, or was told of none."""
        with open(self.log, "rb") as log:
            log.seek(self.begins)
            return b'"event": "assigned"' in log.read()

    def last_line(self) -> str:
        """The last line that it wrote."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else ""


class Crew:
    """Members of one model's crew; a context manager that leaves no process behind."""

    def __init__(self, config: Path, folder: Path, env: Mapping[str, str]) -> None:
        """`env`: what every member's environment has."""
        self.members: list[Member] = []
        self._config = config
        self._folder = folder
        self._env = dict(env)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Crew:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
        for member in self.members:
            if member.process is not None:
                member.send(signal.SIGKILL)
                member.process.wait()

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def join(self, *arguments: str, env: Mapping[str, str] | None = None) -> Member:
        """One more member."""
        name = f"w{len(self.members)}"
        member = Member(
            name, self._config, self._folder / f"{name}.log", arguments, {**self._env, **(env or {})}
        )
        with self._lock:
            member.start()
            self.members.append(member)
        return member

    def kill(self, member: Member, restart: bool = True) -> None:
        """kill -9, and a new process at once."""
        with self._lock:
            assert member.process is not None
            member.send(signal.SIGKILL)
            member.process.wait()
            member.wanted = False
            if restart:
                member.start()

    def leave(self, member: Member, timeout: float = 40) -> int:
        """SIGTERM, and wait; the place stays empty."""
        with self._lock:
            member.wanted = False
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
            assert member.process is not None
            return member.process.wait(timeout)

    def back(self, member: Member) -> None:
        """Fill an empty place again."""
        with self._lock:
            member.start()

    def dismiss(self, timeout: float = 40) -> list[int]:
        """End all in good order; their exit codes."""
        with self._lock:
            for member in self.members:
                member.wanted = False
                member.send(signal.SIGCONT)
                member.send(signal.SIGTERM)
        return [m.process.wait(timeout) for m in self.members if m.process is not None]

    def wait_joined(self, timeout: float = 60) -> None:
        """Until all who are wanted have joined."""
        until = time.monotonic() + timeout
        while not all(member.joined() for member in self.members if member.wanted):
            assert time.monotonic() < until, self.tails()
            time.sleep(0.1)

    def supervise(self, wanted: bool) -> None:
        """Whether those that end are started again."""
        with self._lock:
            for member in self.members:
                member.wanted = wanted and member.process is not None

    def forget_lines(self) -> None:
        """What was written so far is of another model's life."""
        for member in self.members:
            member.log.rename(member.log.with_suffix(f".{time.monotonic_ns()}"))
            member.log.touch()

    def stopped(self) -> list[dict[str, Any]]:
        """The `stopped` lines of all, each with the digest of the fold at a log offset."""
        return [line for member in self.members for line in member.lines("stopped")]

    def tails(self) -> str:
        """The last lines of each, for messages."""
        texts = []
        for member in self.members:
            text = member.log.read_text(errors="replace") if member.log.exists() else ""
            texts.append(f"--- {member.name}\n" + "\n".join(text.splitlines()[-8:]))
        return "\n".join(texts)

    def _supervise(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                for member in self.members:
                    process = member.process
                    if member.wanted and process is not None and process.poll() not in (None, 0):
                        time.sleep(0.3)
                        member.start()
