"""The streams that the limits are told for, and the models on them: those of benchmarks.suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from benchmarks.samples import LEARNING_RATE, names
from benchmarks.suite import streams
from benchmarks.suite.streams import Stream
from benchmarks.tables import model_spec
from models.spec import ModelSpec
from streams.native.fetching import RawFetch, RawPartitionRecords
from streams.native.raw import RawRecords

TIME = 1_700_000_000_000


@dataclass(frozen=True)
class Workload:
    """table: the model's, as in gradstream.toml."""

    stream: Stream
    table: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As the stream is called."""
        return self.stream.name

    def spec(self) -> ModelSpec:
        """The model."""
        return model_spec(self.table)

    def values(self, count: int) -> list[bytes]:
        """The first so many samples, as JSON."""
        return [value for _, _, value in islice(self.stream.records(count), count)]


def _dense(features: int) -> dict[str, Any]:
    optimizer = {"name": "adagrad", "learning_rate": LEARNING_RATE}
    return {"task": "binary", "optimizer": optimizer, "features": {"numeric": list(names(features))}}


SPARSE = {"task": "binary", "features": {"categorical": list(streams.FIELDS), "hash_bits": 18}}
DENSE_10 = Workload(streams.DENSE_10, _dense(10))
DENSE_100 = Workload(streams.DENSE_100, _dense(100))
SPARSE_40 = Workload(streams.SPARSE_40, SPARSE)
WORKLOADS = (DENSE_10, DENSE_100, SPARSE_40)


def fetched(values: Sequence[bytes], first: int = 0) -> tuple[RawRecords, int]:
    """Records of offsets `first` and on as if they had been fetched; and their bytes on the topic."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 30)
    for i, value in enumerate(values):
        builder.append(i, TIME + i, None, value, [])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8, "big")
    (records,) = RawPartitionRecords(None, RawFetch(bytes(data)), None, first, None, None, False, 1)
    return records, len(data)
