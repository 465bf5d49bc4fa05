"""Servers never outlive a parent that died, and no foreign process is ever mistaken for one of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.local.errors import LocalStackError
from infra.local.processes import Guardian, ProcessId, alive, end_all, identify, kill_all
from tests.waiting import eventually

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
# Ignores SIGTERM, as a server that hangs would.
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)",
]
# Starts a sleeper under a guardian, tells its process id, and waits to be ended.
PARENT = """
import os, sys, time
from pathlib import Path
from infra.local.processes import Guardian
guardian = Guardian()
pid = guardian.run(sys.argv[2:], cwd=Path(sys.argv[1]), log=Path(sys.argv[1], "log"))
if os.environ.get("FORK"):
    if os.fork() == 0:  # a child that outlives its parent and holds the pipe to the guardian open
        time.sleep(600)
print(pid, flush=True)
time.sleep(600)
"""


def started(guardian: Guardian, folder: Path, argv: list[str]) -> ProcessId:
    """A process that is up: it has printed a line, so its signal handlers stand."""
    process = identify(guardian.run(argv, cwd=folder, log=folder / "log"))
    assert process is not None
    assert eventually(lambda: "up" in (folder / "log").read_text())
    return process


def run_parent(folder: Path, **environment: str) -> tuple[subprocess.Popen[str], ProcessId]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), *SLEEPER],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )
    assert parent.stdout is not None
    server = identify(int(parent.stdout.readline()))
    assert server is not None
    return parent, server


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_when_its_parent_dies_of_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    parent, server = run_parent(tmp_path)
    with parent:
        parent.send_signal(number)
        parent.wait()
        assert eventually(lambda: not alive(server))


def test_a_server_ends_even_when_a_fork_of_the_dead_parent_holds_the_pipe_open(tmp_path: Path) -> None:
    parent, server = run_parent(tmp_path, FORK="1")
    with parent:
        forked = [
            child for child in psutil.Process(parent.pid).children() if "guardian" not in child.cmdline()[-2]
        ]
        parent.kill()
        parent.wait()
        assert eventually(lambda: not alive(server))
        assert [child.is_running() for child in forked] == [True]
        forked[0].kill()


def test_a_released_server_lives_on(tmp_path: Path) -> None:
    guardian = Guardian()
    server = started(guardian, tmp_path, SLEEPER)
    guardian.release()
    assert alive(server)
    end_all([server])
    assert not alive(server)


def test_closing_the_guardian_ends_its_servers_and_only_them(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    guardian, other = Guardian(), Guardian()
    server, foreign = started(guardian, tmp_path, SLEEPER), started(other, tmp_path / "other", SLEEPER)
    guardian.close()
    guardian.close()
    assert not alive(server)
    assert alive(foreign)
    other.close()


def test_a_program_that_cannot_run_is_one_clear_line(tmp_path: Path) -> None:
    guardian = Guardian()
    with pytest.raises(LocalStackError, match=r"no-such-program cannot be started: .*No such file"):
        guardian.run(["no-such-program"], cwd=tmp_path, log=tmp_path / "log")
    guardian.close()


def test_a_guardian_that_was_killed_is_one_clear_line(tmp_path: Path) -> None:
    guardian = Guardian()
    guardian._process.kill()
    guardian._process.wait()
    with pytest.raises(LocalStackError, match="start again"):
        guardian.run(SLEEPER, cwd=tmp_path, log=tmp_path / "log")
    guardian.close()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    guardian = Guardian()
    server = started(guardian, tmp_path, DEAF)
    end_all([server], grace=0.3)
    assert not alive(server)
    guardian.close()


def test_a_process_with_another_start_time_is_neither_taken_for_ours_nor_signalled(tmp_path: Path) -> None:
    guardian = Guardian()
    server = started(guardian, tmp_path, SLEEPER)
    reused = replace(server, started=server.started - 60)
    assert not alive(reused)
    end_all([reused])
    kill_all([reused])
    assert alive(server)
    guardian.close()


def test_a_process_that_ended_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        identity = ProcessId(process.pid, psutil.Process(process.pid).create_time())
        process.wait()
    assert not alive(identity)
    assert identify(process.pid) is None
    assert not alive(None)
