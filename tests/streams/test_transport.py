"""The private hooks of Faust and aiokafka that the batch transport stands on are where they were."""

from __future__ import annotations

import inspect
from importlib import metadata
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher, subscription_state
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer as base
from faust.transport.drivers import aiokafka as driver

from streams import raw_records


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_pinned_versions_are_installed() -> None:
    assert metadata.version("faust-streaming") == "0.15.3"
    assert metadata.version("aiokafka").startswith("0.14.")


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        (App, "_new_transport", ["self"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (
            driver.AIOKafkaConsumerThread,
            "_fetch_records",
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
        ),
        (base.Consumer, "getmany", ["self", "timeout"]),
        (base.Consumer, "_drain_messages", ["self", "fetcher"]),
        (base.Consumer, "seek_to_committed", ["self"]),
        (base.Consumer, "perform_seek", ["self"]),
        (base.Consumer, "ack", ["self", "message"]),
        (base.Consumer, "on_buffer_drop", ["self", "tp"]),
        (base.Consumer, "_filter_tps_with_pending_acks", ["self", "topics"]),
        (base.Consumer, "_filter_committable_offsets", ["self", "tps"]),
        (fetcher.Fetcher, "fetched_records", ["self", "partitions", "timeout", "max_records"]),
        (fetcher.PartitionRecords, "_consumer_record", ["self", "tp", "record"]),
    ],
)
def test_a_hook_has_the_signature_it_had(owner: Any, name: str, expected: list[str]) -> None:
    assert parameters(getattr(owner, name)) == expected


@pytest.mark.parametrize(
    ("function", "uses"),
    [
        (TableManager.on_start, ["sleep(1.0)", "_update_channels", "self.recovery.start"]),
        (Recovery._resume_streams, ["perform_seek", "resume_flow"]),
        (base.Consumer.perform_seek, ["seek_to_committed", "_read_offset", "_committed_offset"]),
        (driver.AIOKafkaConsumerThread.getmany, ["_fetch_records", "_max_poll_records"]),
        (fetcher.Fetcher._proc_fetch_request, ["PartitionRecords("]),
        (fetcher.Fetcher.fetched_records, ["getall", "_records"]),
        (AIOKafkaConsumer.start, ["_fetcher", "_coordinator"]),
        (fetcher.Fetcher.__init__, ["_fetch_task"]),
        (AIOKafkaConnection.send, ["self._writer.write", "except OSError", "CONNECTION_BROKEN"]),
        (GroupCoordinator.__init__, ["_pending_exception", "_coordination_task"]),
        (subscription_state.TopicPartitionState.__init__, ["_position"]),
    ],
)
def test_a_function_that_we_rely_on_still_does_what_we_rely_on(function: Any, uses: list[str]) -> None:
    source = inspect.getsource(function)
    assert [name for name in uses if name not in source] == []


def test_raw_records_replace_the_class_that_the_fetcher_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "PartitionRecords", fetcher.PartitionRecords)
    raw_records.install()
    assert fetcher.PartitionRecords is raw_records.RawPartitionRecords
