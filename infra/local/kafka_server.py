"""One Apache Kafka node in KRaft mode: broker and controller in a single process."""

from __future__ import annotations

import base64
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.state import HOST

# As large as a record batch of the learning log may be, so that its topics need no setting of the broker.
MESSAGE_MAX_BYTES = 8 * 1024 * 1024
JVM_OPTIONS = ("-Xmx512m",)
STANDALONE = ("--standalone",)

_LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


def write_settings(
    home: Path, port: int, controller_port: int, changed: Mapping[str, object] | None = None
) -> None:
    """Write server.properties and log4j2.properties into `home`; the data goes to `home`/data.

    changed: settings that a node of a larger cluster has otherwise.
    """
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",  # under the working directory, `home`: no character of a path needs an escape
        "auto.create.topics.enable": "false",
        "message.max.bytes": MESSAGE_MAX_BYTES,
        "group.initial.rebalance.delay.ms": 0,
        # One node cannot hold three copies; few partitions of internal topics make the first group quick.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # After kill -9 a new start waits until the old registration has expired.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # For a laptop's few cores and a heap of 512 MB; the default cleaner buffer alone takes 128 MB of it.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        **(changed or {}),
    }
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    (home / "server.properties").write_text(text)
    (home / "log4j2.properties").write_text(_LOG4J)


def command(
    java: Path, class_path: list[Path], home: Path, jvm_options: Sequence[str] = JVM_OPTIONS
) -> list[str]:
    """The command line of the server whose settings lie in `home`."""
    options = [*jvm_options, "-XX:+ExitOnOutOfMemoryError"]
    return [*_java(java, class_path, home, options), "kafka.Kafka", str(home / "server.properties")]


def cluster_id(home: Path) -> str | None:
    """The id that the data was formatted with, or None before the first format."""
    try:
        lines = (home / "data" / "meta.properties").read_text().splitlines()
    except FileNotFoundError:
        return None
    found = [line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")]
    return found[0] if found else None


def new_cluster_id() -> str:
    """A random id as Kafka writes its own; one that begins with a dash would be read as an option."""
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def format_data(
    java: Path,
    class_path: list[Path],
    home: Path,
    new_id: str | None = None,
    controllers: Sequence[str] = STANDALONE,
) -> None:
    """Format the data folder for a new cluster, unless it was formatted.

    new_id, controllers: the cluster's id, and StorageTool's options that name its first controllers, when
    there is more than this node.

    Raises LocalStackError with Kafka's own reason when that fails.
    """
    if cluster_id(home) is not None:
        return
    shutil.rmtree(home / "data", ignore_errors=True)  # of a format that was interrupted
    quick_start = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    tool = [*_java(java, class_path, home, quick_start), "kafka.tools.StorageTool", "format", *controllers]
    result = subprocess.run(
        [*tool, "--cluster-id", new_id or new_cluster_id(), "--config", str(home / "server.properties")],
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if result.returncode != 0:
        lines = (result.stderr + result.stdout).strip().splitlines() or [f"exit code {result.returncode}"]
        raise LocalStackError(f"Kafka's data folder {home / 'data'} cannot be formatted: {lines[-1][:300]}")


def answering_cluster(port: int) -> str | None:
    """The cluster id of the Kafka that answers on this port as a working broker of it; None when none does.

    Asked with one Metadata request (version 2, no topics) over a plain socket: a client would keep trying in
    threads of its own for as long as the server is half up. The broker is listed once it serves.
    """
    client = b"gradstream-local"
    body = struct.pack(">hhih", 3, 2, 1, len(client)) + client + struct.pack(">i", 0)
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.settimeout(5)
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as stream:
                (size,) = struct.unpack(">i", stream.read(4))
                return _working_cluster(stream.read(min(size, 1_000_000)), port)
    except (OSError, struct.error, UnicodeDecodeError):
        return None


def _working_cluster(answer: bytes, port: int) -> str | None:
    """The cluster id in a Metadata answer, version 2, if a broker on `port` is in it."""
    at = 8  # after the correlation id and the number of brokers
    (brokers,) = struct.unpack_from(">i", answer, 4)
    ports = set()
    for _ in range(brokers):
        _, at = _string(answer, at + 4)  # after the node id: host
        ports.add(struct.unpack_from(">i", answer, at)[0])
        _, at = _string(answer, at + 4)  # rack
    found, _ = _string(answer, at)
    return found if port in ports else None


def _string(answer: bytes, at: int) -> tuple[str | None, int]:
    """A nullable string of Kafka's protocol at an offset, and the offset after it."""
    (length,) = struct.unpack_from(">h", answer, at)
    end = at + 2 + max(length, 0)
    return (None if length < 0 else answer[at + 2 : end].decode()), end


def _java(java: Path, class_path: list[Path], home: Path, options: list[str]) -> list[str]:
    jars = ":".join(str(path) for path in class_path)
    log4j = (home / "log4j2.properties").as_uri()
    return [
        str(java),
        *options,
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={log4j}",
        "-cp",
        jars,
    ]
