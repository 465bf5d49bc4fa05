"""Ports and identities are remembered; one command at a time changes them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.errors import LocalStackError
from infra.local.processes import ProcessId
from infra.local.state import PORT_RANGE, State, can_listen, load, locked, save

HOLDER = """
import sys
from pathlib import Path
from infra.local.state import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_saved_state_is_loaded_as_it_was(tmp_path: Path) -> None:
    state = State(20001, 20002, 20003, kafka=ProcessId(7, 1.25), redis=None)
    save(tmp_path, state)
    assert load(tmp_path) == state


def test_a_folder_without_a_state_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "missing") is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"kafka": {"pid": "x"}, "redis": null}'])
def test_a_damaged_state_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(LocalStackError, match=r"state\.json is not the state of a local stack.*delete"):
        load(tmp_path)


def test_fresh_ports_differ_are_free_and_lie_below_those_of_outgoing_connections() -> None:
    state = State.fresh()
    ports = {state.kafka_port, state.controller_port, state.redis_port}
    assert len(ports) == 3
    assert all(port in PORT_RANGE and can_listen(port) for port in ports)


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not can_listen(server.getsockname()[1])


def test_a_second_command_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    said: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def waiting() -> None:
            assert holder.poll() is None
            said.append("waiting")
            holder.stdin.write("\n")
            holder.stdin.flush()

        with locked(tmp_path, waiting):
            assert said == ["waiting"]


def test_the_lock_of_a_killed_command_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    with locked(tmp_path):
        assert (tmp_path / "lock").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LocalStackError, match=r"file/stack cannot hold a local stack \(.+\): .*--dir"),
        locked(tmp_path / "file" / "stack"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocalStackError, match="cannot hold a local stack"), locked(tmp_path):
        pass
