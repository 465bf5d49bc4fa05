"""A real Kafka and a real Redis for the tests: given ones, containers, or the local stack, in this order."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local import LocalStack
from infra.local.jars import KAFKA_VERSION
from infra.local.kafka_server import MESSAGE_MAX_BYTES

KAFKA_VARIABLE = "GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "GRADSTREAM_REDIS__URL"
REDIS_IMAGE = "redis:7.2-alpine"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers of this test session answer."""

    kafka: str
    """Bootstrap servers, as HOST:PORT."""
    redis: str
    """URL, as redis://HOST:PORT/DATABASE."""


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Servers that are up inside the block; `folder` holds the local stack when it is the one chosen."""
    kafka, redis = os.environ.get(KAFKA_VARIABLE), os.environ.get(REDIS_VARIABLE)
    if kafka and redis:
        yield Servers(kafka, redis)
    elif docker_answers():
        with _containers() as servers:
            yield servers
    else:
        with LocalStack(folder) as stack:
            status = stack.status()
            assert status.kafka is not None
            assert status.redis is not None
            yield Servers(status.kafka, status.redis)


def docker_answers() -> bool:
    """Whether a Docker engine is there and lets us in.

    Asked in a process of its own: Docker's client leaves sockets open when it cannot connect.
    """
    command = [sys.executable, "-c", "import docker; docker.from_env(timeout=5).ping()"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def _containers() -> Iterator[Servers]:
    """Both servers from their official images; testcontainers' reaper ends them after a crash.

    testcontainers' own Kafka class is for another vendor's image. Kafka tells its clients under which address
    to come back, so the port on the host has to be known before it starts.
    """
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")  # deprecations inside testcontainers
        from testcontainers.community.redis import RedisContainer
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        kafka = DockerContainer(f"apache/kafka:{KAFKA_VERSION}")
        host, port = kafka.get_docker_client().host(), _free_port()
        kafka.with_bind_ports(9092, port)
        settings = {
            "NODE_ID": "1",
            "PROCESS_ROLES": "broker,controller",
            "LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
            "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "AUTO_CREATE_TOPICS_ENABLE": "false",
            "MESSAGE_MAX_BYTES": str(MESSAGE_MAX_BYTES),
            "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "TRANSACTION_STATE_LOG_MIN_ISR": "1",
        }
        for name, value in settings.items():
            kafka.with_env(f"KAFKA_{name}", value)
        kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
        stack.enter_context(kafka)
        redis = stack.enter_context(RedisContainer(REDIS_IMAGE))
        address = f"{redis.get_container_host_ip()}:{redis.get_exposed_port(6379)}"
        yield Servers(f"{host}:{port}", f"redis://{address}/0")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
