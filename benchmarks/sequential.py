"""A sequential learner in log order: what one plain reader of a learning log would have predicted.

Each sample of each record that counts is predicted with the fold just before it, then learned. There is no
pending and no staleness: the least loss that any number of workers could have on that order of samples.
"""

from __future__ import annotations

from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks.samples import QUIET
from benchmarks.watch import BenchmarkError
from models.model import Model
from models.spec import ModelSpec
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.log_format import LogRecord, parse_record


def read_log(kafka: str, topic: str) -> list[LogRecord]:
    """All records that the log has now."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "gradstream-bench", **QUIET})
    records: list[LogRecord] = []
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        while not records or records[-1].offset < end - 1:
            records += map(parsed, consumer.consume(1000, timeout=1.0))
    finally:
        consumer.close()
    return records


def log_loss_in_order(spec: ModelSpec, records: list[LogRecord]) -> tuple[int, float]:
    """(samples, log loss since the start) of a learner that has nothing pending, over the counted records."""
    fold = Fold(Model(spec), DataCodec(spec))
    for record in records:
        if record.kind == "open":
            fold.open(record)
        elif record.kind == "data" and fold.counts(record):
            rows, _ = fold.decode(record)
            learned = fold.model.predict_and_learn(rows)
            if learned.undo is not None:
                fold.model.forget(learned.undo)
            fold.advance(record, {})
    loss = fold.model.metrics()["log_loss"]
    assert isinstance(loss, float)
    return fold.model.samples_learned, loss


def parsed(message: Message) -> LogRecord:
    """A record of the log as confluent-kafka brings it; raises BenchmarkError for an error of the broker."""
    offset, key, value = message.offset(), message.key(), message.value()
    if message.error() or offset is None:
        raise BenchmarkError(f"{message.topic()}: {message.error()}")
    headers: list[tuple[str, bytes]] = message.headers() or []  # type: ignore[assignment]
    return parse_record(offset, _bytes(key), _bytes(value), headers)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
