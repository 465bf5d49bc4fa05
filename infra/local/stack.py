"""The local stack: one Kafka and one Redis whose ports, data and logs lie under one directory.

    DIR/state.json    ports, process ids and start times (infra.local.state)
    DIR/lock          held by the one command that changes something
    DIR/kafka/        server.properties, data/
    DIR/redis/        the append-only file
    DIR/logs/         kafka.log, redis.log

A server counts as running when the very process that was started lives *and* what answers on its port is that
server: Redis by the process id in its answer, Kafka by the id of the cluster in DIR/kafka/data.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from infra.local import kafka_server, redis_server, runtimes, server_logs
from infra.local.errors import LocalStackError
from infra.local.jars import Progress, kafka_class_path
from infra.local.processes import Guardian, ProcessId, alive, end_all, identify, kill_all
from infra.local.state import HOST, State, can_listen, load, locked, save

ServerName = Literal["kafka", "redis"]
SERVERS: tuple[ServerName, ...] = ("redis", "kafka")
DEFAULT_DIRECTORY = Path(".gradstream") / "local"
READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Status:
    """What runs and answers now.

    kafka: bootstrap servers, "127.0.0.1:PORT", or None; redis: "redis://127.0.0.1:PORT/0", or None; the
    process ids are given for every process that lives, even if it does not answer.
    """

    dir: Path
    kafka: str | None = None
    redis: str | None = None
    kafka_pid: int | None = None
    redis_pid: int | None = None

    @property
    def ready(self) -> bool:
        """Whether both servers answer."""
        return self.kafka is not None and self.redis is not None


class LocalStack:
    """The servers of one directory. As a context manager: started on entering, ended with block or process.

    Every method raises LocalStackError, one line, when it cannot do what it says.
    """

    def __init__(self, directory: Path = DEFAULT_DIRECTORY) -> None:
        self.dir = directory.expanduser().absolute()
        self._guardian: Guardian | None = None

    def start(self, progress: Progress | None = None, tied_to_parent: bool = False) -> Status:
        """Start what does not run, on the directory's ports and data, and wait until both are ready.

        tied_to_parent: the servers that this call starts end with this process, however it ends, unless
        `keep` is called. When this call fails or is interrupted, those that it started end at once.
        """
        tell = progress or (lambda _: None)
        with locked(self.dir, lambda: tell(f"Waiting for another command that works on {self.dir}")):
            state = load(self.dir) or State.fresh()
            missing = [name for name in SERVERS if not alive(_process(state, name))]
            if missing:
                self._start(missing, state, tell, tied_to_parent)
            else:
                self._wait_ready(SERVERS, state, dict.fromkeys(SERVERS, 0))
            return self._status(state)

    def stop(self) -> list[ServerName]:
        """End both servers cleanly, whoever started them; the names of those that ran. The data stays."""
        if load(self.dir) is None:
            return []
        with locked(self.dir):
            state = load(self.dir) or State.fresh()
            running = [name for name in SERVERS if alive(_process(state, name))]
            end_all(process for process in (state.kafka, state.redis) if process)
            state.kafka = state.redis = None
            save(self.dir, state)
        self.close()
        return running

    def status(self) -> Status:
        """What runs and answers now; changes nothing and waits for nobody."""
        state = load(self.dir)
        return Status(self.dir) if state is None else self._status(state)

    def keep(self) -> None:
        """Let servers that are tied to this process live on after it."""
        if self._guardian is not None:
            self._guardian.release()
            self._guardian = None

    def close(self) -> None:
        """End the servers that this object started tied to the process; others are left alone."""
        if self._guardian is not None:
            guardian, self._guardian = self._guardian, None
            guardian.close()

    def kill_kafka(self) -> None:
        """SIGKILL to Kafka, for tests of faults: `start` brings it back on the same port and data."""
        self._kill("kafka")

    def kill_redis(self) -> None:
        """SIGKILL to Redis, for tests of faults: `start` brings it back on the same port and data."""
        self._kill("redis")

    def restart_kafka(self) -> Status:
        """End Kafka cleanly and start it again; it stays tied to this process if it was."""
        state = load(self.dir)
        if state is not None and state.kafka is not None:
            end_all([state.kafka])
        return self.start(tied_to_parent=self._guardian is not None)

    def __enter__(self) -> Self:
        self.start(tied_to_parent=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, names: list[ServerName], state: State, tell: Progress, tied: bool) -> None:
        """Start these servers under a guardian; on any failure, an interrupt too, end them and raise it."""
        launch = {"kafka": self._launch_kafka, "redis": self._launch_redis}
        commands = {name: launch[name](state, tell) for name in names}
        guardian = self._guardian or Guardian()
        started: list[ProcessId] = []
        try:
            log_starts = dict.fromkeys(SERVERS, 0)
            for name in names:
                tell(f"Starting {name.capitalize()} on {HOST}:{_port(state, name)}")
                log_starts[name] = server_logs.prepare(self._log(name))
                started.append(self._run(name, commands[name], guardian, log_starts[name]))
                setattr(state, name, started[-1])
                save(self.dir, state)
            self._wait_ready(SERVERS, state, log_starts)
            if tied:
                self._guardian = guardian
            elif guardian is not self._guardian:
                guardian.release()
        except BaseException:
            end_all(started)
            if guardian is not self._guardian:
                guardian.close()
            raise

    def _launch_redis(self, state: State, _tell: Progress) -> list[str]:
        """Everything that Redis needs before it starts; its command line."""
        program = runtimes.find_redis_server()
        self._check_port("redis", state.redis_port)
        return redis_server.command(program, state.redis_port, self._home("redis"))

    def _launch_kafka(self, state: State, tell: Progress) -> list[str]:
        """Everything that Kafka needs before it starts: Java, jars, settings, data; its command line."""
        java = runtimes.find_java()
        class_path = kafka_class_path(tell)
        for port in (state.kafka_port, state.controller_port):
            self._check_port("kafka", port)
        home = self._home("kafka")
        kafka_server.write_settings(home, state.kafka_port, state.controller_port)
        kafka_server.format_data(java, class_path, home)
        return kafka_server.command(java, class_path, home)

    def _check_port(self, name: ServerName, port: int) -> None:
        if not can_listen(port):
            raise LocalStackError(
                f"port {HOST}:{port}, this stack's port for {name.capitalize()}, is taken by another process:"
                f" end it, or delete {self.dir / 'state.json'} to choose new ports"
            )

    def _run(self, name: ServerName, command: list[str], guardian: Guardian, log_start: int) -> ProcessId:
        pid = guardian.run(command, cwd=self._home(name), log=self._log(name))
        return identify(pid) or self._died(name, log_start)

    def _died(self, name: ServerName, log_start: int) -> ProcessId:
        reason = server_logs.last_error(self._log(name), log_start)
        raise LocalStackError(f"{name.capitalize()} ended while it started, {self._log(name)} says: {reason}")

    def _wait_ready(
        self, names: Iterable[ServerName], state: State, log_starts: dict[ServerName, int]
    ) -> None:
        """Wait until each of these servers answers; a server that dies, or never answers, is an error."""
        for name in names:
            deadline = time.monotonic() + READY_SECONDS
            while not self._answers(name, state):
                process = _process(state, name)
                if not alive(process):
                    self._died(name, log_starts[name])
                if time.monotonic() > deadline:
                    raise LocalStackError(
                        f"{name.capitalize()} (process {process.pid if process else '?'}) does not answer on"
                        f" {HOST}:{_port(state, name)} after {READY_SECONDS:.0f} s, see {self._log(name)}:"
                        f" `gradstream local stop --dir {self.dir}`, then start again"
                    )
                time.sleep(0.1)

    def _answers(self, name: ServerName, state: State) -> bool:
        """Whether this stack's own server, and no other, answers on the port."""
        if name == "redis":
            return state.redis is not None and redis_server.answering_pid(state.redis_port) == state.redis.pid
        answering = kafka_server.answering_cluster(state.kafka_port)
        return answering is not None and answering == kafka_server.cluster_id(self.dir / "kafka")

    def _status(self, state: State) -> Status:
        pids = {
            name: process.pid for name in SERVERS if (process := _process(state, name)) and alive(process)
        }
        ready = {name for name in pids if self._answers(name, state)}
        return Status(
            dir=self.dir,
            kafka=f"{HOST}:{state.kafka_port}" if "kafka" in ready else None,
            redis=f"redis://{HOST}:{state.redis_port}/0" if "redis" in ready else None,
            kafka_pid=pids.get("kafka"),
            redis_pid=pids.get("redis"),
        )

    def _kill(self, name: ServerName) -> None:
        state = load(self.dir)
        process = _process(state, name) if state else None
        if process is not None:
            kill_all([process])

    def _home(self, name: ServerName) -> Path:
        home = self.dir / name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _log(self, name: ServerName) -> Path:
        return self.dir / "logs" / f"{name}.log"


def _process(state: State, name: ServerName) -> ProcessId | None:
    return state.kafka if name == "kafka" else state.redis


def _port(state: State, name: ServerName) -> int:
    return state.kafka_port if name == "kafka" else state.redis_port
