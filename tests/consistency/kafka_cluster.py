"""A real Kafka whose nodes can be hurt one by one: killed, stopped, paused, cut off by a proxy.

Each node is broker and controller (KRaft, a quorum of all nodes). Node i has the broker id i, a folder of its
own, and ports that stay the same for the life of the cluster.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.protocol.admin import ElectionType

from infra.local import kafka_server
from infra.local.jars import kafka_class_path
from infra.local.processes import Guardian
from infra.local.runtimes import find_java
from infra.local.state import HOST, free_ports
from tests.consistency.proxy import Proxy
from tests.consistency.server_process import ServerProcess

CHANGE_SECONDS = 30.0
"""How long the cluster may take to agree after a fault."""
# Ready sooner, with less memory and fewer threads; the brokers of tests have little to do.
JVM_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class KafkaCluster:
    """One broker or more; a context manager. The servers end with this process, however it ends.

    proxied: each broker also listens on a port that only its proxy in `proxies` knows. A client that asks
    `proxied_bootstrap` is told the proxies' addresses and stays on them; one that asks `bootstrap` meets
    none.
    settings: lines of server.properties for every node, stronger than the defaults here.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        proxied: bool = False,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._folder = folder
        self._settings = dict(settings or {})
        ports = free_ports(4 * brokers)
        self._ports, self._controllers, private, public = (
            ports[at : at + brokers] for at in range(0, len(ports), brokers)
        )
        self.bootstrap = _addresses(self._ports)
        self.proxied_bootstrap = _addresses(public) if proxied else ""
        pairs = zip(private, public, strict=True) if proxied else ()
        self.proxies = [Proxy(target, port) for target, port in pairs]
        self._nodes: list[ServerProcess] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            guardian = Guardian()
            opening.callback(guardian.close)
            opening.callback(self._kill_all)
            self._install(guardian)
            for node in self._nodes:
                node.launch()
            for index in range(len(self._nodes)):
                self._wait_ready(index)
            for proxy in self.proxies:
                opening.enter_context(proxy)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    # Nodes

    def kill(self, node: int = 0) -> None:
        """SIGKILL."""
        self._nodes[node].kill()

    def stop(self, node: int = 0) -> None:
        """SIGTERM: it hands over what it leads and ends in good order."""
        self._nodes[node].stop()

    def start(self, node: int = 0) -> None:
        """Start it again on the same ports and data, and wait until it serves. Nothing if it runs."""
        self._nodes[node].launch()
        self._wait_ready(node)

    def restart(self, node: int = 0) -> None:
        """`stop`, then `start`."""
        self.stop(node)
        self.start(node)

    def pause(self, node: int = 0) -> None:
        """SIGSTOP: alive, silent, its connections open."""
        self._nodes[node].pause()

    def resume(self, node: int = 0) -> None:
        """SIGCONT."""
        self._nodes[node].resume()

    def alive(self, node: int = 0) -> bool:
        """Whether its process is there; also when it is paused."""
        return self._nodes[node].alive

    def data(self, node: int = 0) -> Path:
        """The folder that holds its partitions, a folder each."""
        return self._folder / f"node-{node}" / "data"

    # Partitions

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition, as the cluster says now; -1 when none does."""
        return int(self._described(topic, partition).leader)

    def isr(self, topic: str, partition: int = 0) -> list[int]:
        """The nodes whose copies are in sync, in order of their numbers."""
        return sorted(self._described(topic, partition).isrs)

    def move_leader(self, topic: str, partition: int = 0) -> int:
        """Let another copy that is in sync lead, without hurting any node; the new leader."""
        described = self._described(topic, partition)
        old = described.leader
        others = [node for node in described.isrs if node != old]
        assert others, f"no other copy of {topic} {partition} is in sync"
        which = TopicPartition(topic, partition)
        order = [others[0], *(node for node in described.replicas if node != others[0])]
        with KafkaAdminClient(bootstrap_servers=self._serving()) as admin:
            refused = admin.alter_partition_reassignments({which: order})[which]
            assert refused is None, refused
            admin.elect_leaders(ElectionType.PREFERRED, {topic: [partition]})
        deadline = time.monotonic() + CHANGE_SECONDS
        while self.leader(topic, partition) != others[0]:
            assert time.monotonic() < deadline, f"{topic} {partition} is still led by {old}"
            time.sleep(0.05)
        return int(others[0])

    def _described(self, topic: str, partition: int) -> Any:
        """What the nodes that can answer say of a partition: its leader, replicas, isrs.

        Asked with librdkafka, because kafka-python leaves sockets open where a connection is refused.
        """
        admin = AdminClient({"bootstrap.servers": self._serving(), "log_level": 0})
        deadline = time.monotonic() + CHANGE_SECONDS
        while True:
            with suppress(KafkaException):
                found = admin.list_topics(topic, timeout=5).topics[topic].partitions
                if partition in found:  # else this node does not know it yet
                    return found[partition]
            assert time.monotonic() < deadline, f"no node knows {topic} {partition}"
            time.sleep(0.1)

    def _serving(self) -> str:
        """Addresses of the nodes that can answer: a paused one would keep a client waiting."""
        nodes = zip(self._nodes, self._ports, strict=True)
        return _addresses([port for node, port in nodes if node.alive and not node.paused])

    # Setting up

    def _install(self, guardian: Guardian) -> None:
        """Write each node's settings and format its data, as one cluster."""
        java, jars = find_java(), kafka_class_path(print)
        heap = "-Xmx512m" if len(self._ports) == 1 else "-Xmx384m"
        self._id = kafka_server.new_cluster_id()
        quorum = ",".join(f"{i}@{HOST}:{port}:{_random_id()}" for i, port in enumerate(self._controllers))
        homes = [self._folder / f"node-{index}" for index in range(len(self._ports))]
        for index, home in enumerate(homes):
            home.mkdir(parents=True)
            changed = {**self._node_settings(index), **self._settings}
            kafka_server.write_settings(home, self._ports[index], self._controllers[index], changed)
            argv = kafka_server.command(java, jars, home, (heap, *JVM_OPTIONS))
            self._nodes.append(ServerProcess(guardian, argv, home, self._folder / f"node-{index}.log"))

        def format_data(home: Path) -> None:
            kafka_server.format_data(java, jars, home, self._id, ("--initial-controllers", quorum))

        with ThreadPoolExecutor() as pool:
            list(pool.map(format_data, homes))

    def _node_settings(self, index: int) -> dict[str, object]:
        """What this node has otherwise than the only node of a local stack."""
        copies, in_sync = (3, 2) if len(self._ports) >= 3 else (1, 1)
        direct, controller = (
            f"PLAINTEXT://{HOST}:{self._ports[index]}",
            f"CONTROLLER://{HOST}:{self._controllers[index]}",
        )
        listeners, advertised = [direct, controller], [direct, controller]
        if self.proxies:
            listeners.append(f"PROXIED://{HOST}:{self.proxies[index].target_port}")
            advertised.append(f"PROXIED://{HOST}:{self.proxies[index].port}")
        return {
            "node.id": index,
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
            "controller.quorum.bootstrap.servers": _addresses(self._controllers),
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "unclean.leader.election.enable": "false",
            "auto.leader.rebalance.enable": "false",  # leaders move when a test moves them
            "replica.lag.time.max.ms": 5000,  # a paused follower holds up acks=all as long as this
            "group.min.session.timeout.ms": 1000,
        }

    def _wait_ready(self, index: int) -> None:
        port = self._ports[index]
        self._nodes[index].wait_ready(lambda: kafka_server.answering_cluster(port) == self._id)

    def _kill_all(self) -> None:
        for node in self._nodes:
            node.kill()


def _addresses(ports: list[int]) -> str:
    return ",".join(f"{HOST}:{port}" for port in ports)


def _random_id() -> str:
    """A directory id as Kafka writes it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
