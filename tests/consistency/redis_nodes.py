"""Redis servers that can be hurt: killed, paused, rewound, emptied, made to refuse writes; and Sentinels."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.local import redis_server, runtimes
from infra.local.processes import Guardian
from infra.local.state import HOST, can_listen, free_ports
from tests.consistency.server_process import ServerProcess
from tests.waiting import eventually

Refusal = Literal["oom", "misconf", "readonly"]
# Nothing listens on port 1; a replica of it is read-only and waits forever.
NOBODY = ("127.0.0.1", "1")
MASTER = "gradstream-test"
QUORUM = 2


class RedisNode:
    """One redis-server that has written what it has acknowledged (append-only file, appendfsync always).

    options: more of its command line, as "--maxmemory", "100mb". A context manager; tied to this
    process, so it ends with it.
    """

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = port if port is not None else free_ports(1)[0]
        self.url = f"redis://{HOST}:{self.port}/0"
        self._data = folder / "data"
        self._remembered = folder / "remembered"
        self._log = folder / "redis.log"
        self._options = options
        self._guardian: Guardian | None = None
        self._server: ServerProcess

    def __enter__(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True)
        argv = redis_server.command(runtimes.find_redis_server(), self.port, self._data)
        argv += ["--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", *self._options]
        self._guardian = Guardian()
        self._server = ServerProcess(self._guardian, argv, self._data, self._log)
        try:
            self.start()
        except BaseException:
            self._guardian.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._guardian is not None
        self._server.kill()
        self._guardian.close()

    def client(self, timeout: float = 5.0) -> redis.Redis:
        """A new client that tries once, to be closed by whoever asked for it."""
        times = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        return redis.Redis(HOST, self.port, retry=Retry(NoBackoff(), 0), **times)

    @property
    def alive(self) -> bool:
        """Whether the process is there; also when it is paused."""
        return self._server.alive

    def start(self) -> None:
        """Start it, again on the same port and data, and wait until it serves; forgets refusals."""
        assert self.alive or eventually(lambda: can_listen(self.port)), f"port {self.port} is not free again"
        self._server.launch()
        self._server.wait_ready(lambda: redis_server.answering_pid(self.port) == self._server.pid)

    def kill(self) -> None:
        """SIGKILL."""
        self._server.kill()

    def stop(self) -> None:
        """SIGTERM: it ends in good order."""
        self._server.stop()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and silent."""
        self._server.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._server.resume()

    def remember(self) -> None:
        """Copy the data as it is on the disk now, for `rewind`.

        A write cut in two by the copy is dropped by the load (aof-load-truncated).
        """
        shutil.rmtree(self._remembered, ignore_errors=True)
        shutil.copytree(self._data, self._remembered)

    def rewind(self) -> None:
        """Kill it, and start it again with what was remembered: the writes since then never were."""
        assert self._remembered.exists(), "nothing was remembered"
        self.kill()
        shutil.rmtree(self._data)
        shutil.copytree(self._remembered, self._data)
        self.start()

    def empty(self) -> None:
        """FLUSHALL."""
        with self.client() as client:
            client.flushall()

    def refuse(self, how: Refusal) -> None:
        """Answer writes with an error, reads as ever: OOM, MISCONF or READONLY. Until `accept` or a start."""
        with self.client() as client:
            if how == "oom":
                client.config_set("maxmemory-policy", "noeviction")
                client.config_set("maxmemory", 1)
            elif how == "misconf":
                self._fail_to_save(client)
            else:
                client.replicaof(*NOBODY)

    def accept(self) -> None:
        """Take writes again, whatever was refused."""
        with self.client() as client:
            client.config_set("maxmemory", 0)
            client.config_set("save", "")  # without points at which to save, a failed save refuses nothing
            client.replicaof("NO", "ONE")

    def _fail_to_save(self, client: redis.Redis) -> None:
        """Make a background save fail, for root too: no file can be renamed to the name of a directory."""
        (self._data / "directory").mkdir(exist_ok=True)
        client.config_set("dbfilename", "directory")
        client.config_set("save", "86400 1000000000")
        client.config_set("stop-writes-on-bgsave-error", "yes")
        client.bgsave()
        assert eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


class RedisSentinels:
    """Two nodes and three Sentinels; a context manager, tied to this process.

    The first node is the master at the beginning. The replica follows it without being waited for, so after a
    failover the last writes may be gone.
    """

    def __init__(self, folder: Path) -> None:
        ports = free_ports(5)
        self._folder = folder
        self._first, self._sentinel_ports = ports[0], ports[2:]
        self.nodes = [
            RedisNode(folder / "node-0", port=ports[0]),
            RedisNode(folder / "node-1", "--replicaof", HOST, str(ports[0]), port=ports[1]),
        ]
        self.sentinels = tuple(f"{HOST}:{port}" for port in self._sentinel_ports)
        self._killed: list[RedisNode] = []
        self._open = ExitStack()

    @property
    def settings(self) -> str:
        """The table [redis] of gradstream.toml, as TOML."""
        return f'[redis]\nsentinels = "{",".join(self.sentinels)}"\nsentinel_master = "{MASTER}"\n'

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for node in self.nodes:
                opening.enter_context(node)
            guardian = Guardian()
            opening.callback(guardian.close)
            sentinels = [self._sentinel(guardian, port) for port in self._sentinel_ports]
            for sentinel in sentinels:
                opening.callback(sentinel.kill)
                sentinel.launch()
            assert eventually(self._ready), "the Sentinels do not find each other and the replica"
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def master_port(self) -> int:
        """The port of the server that most Sentinels call master now."""
        said = [self._ask(port)["port"] for port in self._sentinel_ports]
        return int(max(said, key=said.count))

    def master(self) -> RedisNode:
        """The node on `master_port`."""
        port = self.master_port()
        return next(node for node in self.nodes if node.port == port)

    def client(self, timeout: float = 5.0) -> redis.Redis:
        """A client of the master, as the Sentinels name it now."""
        return self.master().client(timeout)

    def kill_master(self) -> None:
        """SIGKILL to the master; the Sentinels make the replica master within seconds."""
        master = self.master()
        master.kill()
        self._killed.append(master)

    def restart_killed(self) -> None:
        """Start what was killed as it was, and wait until a failover could succeed again.

        A former master first believes that it still is one; the Sentinels make a replica of it in about 10 s.
        """
        while self._killed:
            self._killed.pop().start()
        assert eventually(self._ready), "what was killed did not become a replica"

    def _ready(self) -> bool:
        """Whether a failover would succeed: the Sentinels know each other and a replica with its copy."""
        try:
            for port in self._sentinel_ports:
                seen = self._ask(port)
                if (int(seen["num-other-sentinels"]), int(seen["num-slaves"])) != (2, 1):
                    return False
            replica = next(node for node in self.nodes if node.port != self.master_port())
            with replica.client() as client:
                return client.info("replication").get("master_link_status") == "up"
        except redis.RedisError:  # one is just starting, or the Sentinels have cut a demoted one's clients
            return False

    def _ask(self, port: int) -> dict[str, str]:
        """What one Sentinel says of the master."""
        with redis.Redis(HOST, port, socket_timeout=5, decode_responses=True) as client:
            answer = client.execute_command("SENTINEL MASTER", MASTER)
        return {str(key): str(value) for key, value in answer.items()}

    def _sentinel(self, guardian: Guardian, port: int) -> ServerProcess:
        home = self._folder / f"sentinel-{port}"
        home.mkdir(parents=True)
        lines = (
            f"bind {HOST}",
            f"port {port}",
            f'dir "{home}"',
            f"sentinel monitor {MASTER} {HOST} {self._first} {QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} 1000",
            f"sentinel failover-timeout {MASTER} 3000",
        )
        (home / "sentinel.conf").write_text("\n".join(lines) + "\n")
        argv = [str(runtimes.find_redis_server()), str(home / "sentinel.conf"), "--sentinel"]
        return ServerProcess(guardian, argv, home, home / "sentinel.log")
