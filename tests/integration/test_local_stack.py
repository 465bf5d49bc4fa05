"""The local stack is a real Kafka and a real Redis that start, stop, survive and end as promised.

Each test has a stack of its own: these servers are killed and restarted, so nobody else may use them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import psutil
import pytest
import redis
from click.testing import CliRunner
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from infra.local import LocalStack, LocalStackError, Status
from infra.local.state import State, load, save
from streams.commands.local import local
from tests.waiting import eventually

OWNER = """
import sys, time
from pathlib import Path
from infra.local import LocalStack
status = LocalStack(Path(sys.argv[1])).start(tied_to_parent=sys.argv[2] == "tied")
print(status.kafka_pid, status.redis_pid, flush=True)
if sys.argv[2] == "tied":
    time.sleep(600)
"""
GROUP = "import sys; from streams.commands.local import local; local(sys.argv[1:])"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path / "stack")
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A running stack for the tests that leave it running."""
    with LocalStack(tmp_path_factory.mktemp("local") / "with space, and ü") as stack:
        yield stack


def produce(status: Status, topic: str, value: bytes) -> None:
    with KafkaAdminClient(bootstrap_servers=status.kafka) as admin:
        if topic not in admin.list_topics():
            admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    producer = KafkaProducer(bootstrap_servers=status.kafka, acks="all", max_request_size=9_000_000)
    producer.send(topic, value).get(30)
    producer.close()


def consume(status: Status, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=status.kafka,
        group_id=f"group-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        consumer_timeout_ms=30_000,
    )
    values = [record.value for record in islice(consumer, count)]
    consumer.close()
    return values


def gone(*pids: int | None) -> bool:
    return all(
        pid is not None
        and (not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        for pid in pids
    )


def processes_in(directory: Path) -> list[psutil.Process]:
    """Living processes whose working directory is inside a stack's directory."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(directory) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_message_produced_to_it_is_consumed_in_a_group(shared: LocalStack, topic_name: str) -> None:
    produce(shared.status(), topic_name, b"hello")
    assert consume(shared.status(), topic_name, 1) == [b"hello"]


def test_it_takes_messages_as_large_as_a_batch_of_the_learning_log(
    shared: LocalStack, topic_name: str
) -> None:
    produce(shared.status(), topic_name, b"x" * 8_000_000)
    assert [len(value) for value in consume(shared.status(), topic_name, 1)] == [8_000_000]


def test_it_makes_no_topic_that_nobody_created(shared: LocalStack, topic_name: str) -> None:
    with KafkaAdminClient(bootstrap_servers=shared.status().kafka) as admin:
        [answer] = admin.describe_topics([topic_name])
        assert answer["error_code"] != 0
        assert topic_name not in admin.list_topics()


def test_redis_answers_and_keeps_an_append_only_file(shared: LocalStack) -> None:
    url = shared.status().redis
    assert url is not None
    with redis.Redis.from_url(url) as client:
        assert client.ping()
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_both_servers_listen_on_the_loopback_interface_alone(shared: LocalStack) -> None:
    status = shared.status()
    listening = [
        connection.laddr.ip
        for pid in (status.kafka_pid, status.redis_pid)
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 3
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_a_second_start_finds_the_running_servers(shared: LocalStack) -> None:
    assert LocalStack(shared.dir).start() == shared.status()


def test_a_stack_that_was_found_running_is_not_ended_by_its_guest(shared: LocalStack) -> None:
    with LocalStack(shared.dir) as guest:
        assert guest.status().ready
    assert shared.status().ready


def test_data_and_ports_survive_a_clean_stop(stack: LocalStack, topic_name: str) -> None:
    before = stack.start()
    produce(before, topic_name, b"kept")
    assert before.redis is not None
    with redis.Redis.from_url(before.redis) as client:
        client.set("key", "kept")
    assert set(stack.stop()) == {"kafka", "redis"}
    assert stack.status() == Status(stack.dir)
    assert gone(before.kafka_pid, before.redis_pid)
    assert stack.stop() == []

    after = stack.start()
    assert (after.kafka, after.redis) == (before.kafka, before.redis)
    assert consume(after, topic_name, 1) == [b"kept"]
    with redis.Redis.from_url(before.redis) as client:
        assert client.get("key") == b"kept"

    stack.stop()
    (stack.dir / "state.json").unlink()  # as the line about a taken port advises
    moved = stack.start()
    assert moved.kafka != before.kafka
    assert consume(moved, topic_name, 1) == [b"kept"]


def test_each_server_comes_back_alone_after_kill_9(stack: LocalStack, topic_name: str) -> None:
    first = stack.start(tied_to_parent=True)
    produce(first, topic_name, b"1")

    stack.kill_kafka()
    assert stack.status() == replace(first, kafka=None, kafka_pid=None)
    second = stack.start(tied_to_parent=True)
    assert replace(second, kafka_pid=first.kafka_pid) == first
    assert second.kafka_pid != first.kafka_pid
    produce(second, topic_name, b"2")
    assert consume(second, topic_name, 2) == [b"1", b"2"]

    stack.kill_redis()
    assert stack.status() == replace(second, redis=None, redis_pid=None)
    third = stack.start(tied_to_parent=True)
    assert replace(third, redis_pid=second.redis_pid) == second

    fourth = stack.restart_kafka()
    assert replace(fourth, kafka_pid=third.kafka_pid) == third
    assert consume(fourth, topic_name, 2) == [b"1", b"2"]

    stack.close()
    assert gone(fourth.kafka_pid, fourth.redis_pid)


def test_tied_servers_end_when_their_parent_is_killed(stack: LocalStack) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(stack.dir), "tied"], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert stack.status().ready
        owner.kill()
    assert eventually(lambda: gone(*pids))
    assert stack.status() == Status(stack.dir)


def test_servers_that_are_not_tied_live_on_after_their_parent(stack: LocalStack) -> None:
    command = [sys.executable, "-c", OWNER, str(stack.dir), "free"]
    subprocess.run(command, check=True, capture_output=True)
    assert stack.status().ready


def test_kept_servers_live_on(stack: LocalStack) -> None:
    owner = LocalStack(stack.dir)
    status = owner.start(tied_to_parent=True)
    owner.keep()
    owner.close()
    assert stack.status() == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_start_leaves_no_process(stack: LocalStack, number: signal.Signals) -> None:
    command = [sys.executable, "-c", GROUP, "start", "--dir", str(stack.dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as start:
        assert start.stderr is not None
        for line in start.stderr:
            if line.startswith("Starting Kafka"):
                break
        assert eventually(lambda: len(processes_in(stack.dir)) == 2)
        start.send_signal(number)
        start.communicate()
        assert start.returncode != 0
    assert eventually(lambda: not processes_in(stack.dir))


def test_two_starts_at_the_same_time_make_one_stack(stack: LocalStack) -> None:
    command = [sys.executable, "-c", GROUP, "start", "--json", "--dir", str(stack.dir)]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(start.communicate()[0]) for start in starts]
    assert answers[0] == answers[1]
    assert len(processes_in(stack.dir)) == 2


def test_a_taken_port_is_one_clear_line_and_nothing_is_started(stack: LocalStack) -> None:
    stack.dir.mkdir()
    state = State.fresh()
    save(stack.dir, state)
    with (
        socket.create_server(("127.0.0.1", state.kafka_port)),
        pytest.raises(LocalStackError, match=rf":{state.kafka_port}, .*Kafka, is taken.*end it, or delete"),
    ):
        stack.start()
    assert stack.status() == Status(stack.dir)
    assert not processes_in(stack.dir)


def test_a_server_that_dies_at_start_is_named_with_its_log_and_reason(stack: LocalStack) -> None:
    (stack.dir / "redis").mkdir(parents=True)
    (stack.dir / "redis" / "appendonly.aof").write_text("this is no append-only file")
    with pytest.raises(LocalStackError, match=r"Redis ended while it started, .*redis\.log says: .*Bad file"):
        stack.start()
    assert not processes_in(stack.dir)


def test_damaged_kafka_data_is_named_with_kafkas_own_reason(stack: LocalStack) -> None:
    (stack.dir / "kafka" / "data").mkdir(parents=True)
    meta = "cluster.id=kvCOBMa7TmKATl-bECIefQ\nnode.id=7\nversion=1\n"
    (stack.dir / "kafka" / "data" / "meta.properties").write_text(meta)
    with pytest.raises(
        LocalStackError, match=r"Kafka ended while it started, .*kafka\.log says: .*node id 7"
    ):
        stack.start()
    assert not processes_in(stack.dir)


def test_another_server_on_the_port_is_never_taken_for_ours(stack: LocalStack, shared: LocalStack) -> None:
    stack.start(tied_to_parent=True)
    ours, theirs = load(stack.dir), load(shared.dir)
    assert ours is not None
    assert theirs is not None
    save(stack.dir, replace(ours, kafka_port=theirs.kafka_port, redis_port=theirs.redis_port))
    status = stack.status()
    assert (status.kafka, status.redis) == (None, None)
    assert status.kafka_pid is not None
    save(stack.dir, ours)
    assert stack.status().ready


def test_the_command_tells_the_truth_about_each_server(stack: LocalStack) -> None:
    def status() -> tuple[int, dict[str, str | None]]:
        result = CliRunner().invoke(local, ["status", "--json", "--dir", str(stack.dir)])
        return result.exit_code, json.loads(result.stdout)

    nothing = {"kafka": None, "redis": None, "dir": str(stack.dir)}
    assert status() == (1, nothing)
    assert not stack.dir.exists()

    started = CliRunner().invoke(local, ["start", "--dir", str(stack.dir)])
    assert started.exit_code == 0
    code, running = status()
    assert code == 0
    assert f"export GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS={running['kafka']}\n" in started.stdout
    assert f"export GRADSTREAM_REDIS__URL={running['redis']}\n" in started.stdout
    assert f"gradstream local stop --dir {stack.dir}\n" in started.stdout

    again = CliRunner().invoke(local, ["start", "--json", "--dir", str(stack.dir)])
    assert json.loads(again.stdout) == running

    pid = stack.status().redis_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: gone(pid))
    assert status() == (1, running | {"redis": None})

    stopped = CliRunner().invoke(local, ["stop", "--dir", str(stack.dir)])
    assert stopped.stdout == "Stopped kafka.\n"
    assert status() == (1, nothing)
    stopped = CliRunner().invoke(local, ["stop", "--dir", str(stack.dir)])
    assert stopped.stdout == f"Nothing ran in {stack.dir}.\n"
