"""Static members (group_instance_id): they come back to their partitions, and leave none to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.kafka_admin import KafkaAdmin
from infra.settings import KafkaSettings
from tests.integration.harness import Stream, terminate
from tests.integration.test_worker import DENSE, labelled, samples
from tests.servers import Servers
from tests.waiting import eventually


@pytest.fixture
def stream(servers: Servers, unique_name: str, tmp_path: Path) -> Stream:
    table = DENSE.format(name=unique_name)
    top = f'session_timeout = "60s"\ngroup_id = "{unique_name}"'
    return Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, 2, top=top)


def place(number: int) -> dict[str, str]:
    return {"GRADSTREAM_GROUP_INSTANCE_ID": f"place-{number}"}


def test_partitions_that_were_added_while_the_leader_was_away_are_read(stream: Stream) -> None:
    try:
        stream.create()
        stream.produce(samples(1000))
        worker = stream.worker(env=place(0))
        stream.wait_learned(labelled(1000))
        worker.kill()
        worker.wait()
        with KafkaAdmin(KafkaSettings(bootstrap_servers=stream.kafka)) as admin:
            admin.extend(stream.samples, 4)
        stream.command("topics", "create")
        stream.partitions = 4
        stream.produce(samples(1000, seed=2))
        worker = stream.worker(env=place(0))
        stream.wait_learned(labelled(1000) + labelled(1000), timeout=40)
        assert terminate(worker) == 0
    finally:
        stream.stop_all()


def test_a_worker_for_whom_there_is_no_partition_drains_and_stops(stream: Stream) -> None:
    try:
        stream.create()
        stream.produce(samples(1000))
        crew = [stream.worker(env=place(number)) for number in range(2)]
        stream.wait_learned(labelled(1000))
        assert eventually(lambda: stream.logs().count('"event": "assigned"') >= 2)
        stream.drain(timeout=50, env=place(2))
        assert [terminate(worker) for worker in crew] == [0, 0]
    finally:
        stream.stop_all()


def test_a_place_whose_assignment_is_of_another_model_ends_in_one_line(
    stream: Stream, servers: Servers, tmp_path: Path
) -> None:
    name = f"{stream.name}-b"
    other = Stream(servers.kafka, servers.redis, name, tmp_path, DENSE.format(name=name), 2, top=stream.top)
    try:
        for each in (stream, other):
            each.create()
            each.produce(samples(100))
        worker = stream.worker(env=place(0))
        stream.wait_learned(labelled(100))
        worker.kill()
        worker.wait()
        assert other.worker(env=place(0)).wait(30) == 1
        assert other.logs().splitlines()[-1].startswith(f"gradstream: group {stream.name}: ")
    finally:
        stream.stop_all()
        other.stop_all()
