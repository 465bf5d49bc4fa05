"""A small process that owns the servers: none of them outlives a failed start or a parent that died.

Run as a script, by path, with the standard library alone: `python -I -S guardian.py PARENT_PID`. The parent
talks to it over two pipes, one JSON text a line:

    parent → guardian   {"argv": [...], "cwd": "...", "log": "..."}    run this, in a session of its own
    guardian → parent   {"pid": 123} or {"error": "..."}
    parent → guardian   "release"                                      exit, and leave the servers running

The end of the pipe, or another parent process than PARENT_PID, mean that the parent is gone, however it went
(`kill -9` too): the servers are asked to end, and killed when they do not. Both signs are needed: a process
that the parent forked may hold the pipe open, and the pipe is the faster of the two. SIGTERM does the same.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

POLL_SECONDS = 0.2
GRACE_SECONDS = 20.0


def run(request: dict[str, Any], servers: list[subprocess.Popen[bytes]]) -> dict[str, Any]:
    """Start one server, its output appended to its log; the answer for the parent."""
    try:
        with open(request["log"], "ab") as log:
            server = subprocess.Popen(
                request["argv"],
                cwd=request["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        return {"error": str(error)}
    servers.append(server)
    return {"pid": server.pid}


def guard(parent: int, servers: list[subprocess.Popen[bytes]]) -> None:
    """Serve the parent until it releases the servers (the list is then empty) or is gone."""
    received = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        servers[:] = [server for server in servers if server.poll() is None]  # reaps what ended
        if not readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, received = (received + chunk).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request == "release":
                servers.clear()
                return
            sys.stdout.write(json.dumps(run(request, servers)) + "\n")
            sys.stdout.flush()


def end(servers: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all, time to finish, SIGKILL to the rest. Children's ids cannot be reused before wait."""
    for server in servers:
        server.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for server in servers:
        try:
            server.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Guard until told otherwise."""
    signal.signal(signal.SIGTERM, _terminated)
    servers: list[subprocess.Popen[bytes]] = []
    try:
        guard(int(sys.argv[1]), servers)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end(servers)


if __name__ == "__main__":
    main()
