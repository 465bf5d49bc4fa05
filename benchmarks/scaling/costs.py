"""CPU time and bytes of a sample in each stage of a worker, without Kafka, on one core.

A stage costs a + b·n µs for a batch of n samples; a and b are fitted to batches of SMALL, and of as many as
one fetch brings (6,000 at most). Stages follow each other batch by batch as in a worker, so that each finds
the caches as the one before left them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import process_time_ns
from typing import TypeVar
from uuid import UUID

from benchmarks.scaling.model import Costs, Line, Save, samples_a_fetch
from benchmarks.scaling.workloads import Workload, fetched
from infra.memory_store import MemoryStore
from models.model import Learned, Model
from models.spec import ModelSpec
from streams.checkpoints import Checkpoints
from streams.data_codec import DataCodec
from streams.ingest import Ingest, Ingested
from streams.lanes import BATCH_BYTES
from streams.log_format import LogRecord, PartitionId, envelope
from streams.native.predictions import PredictionWriter
from streams.native.raw import RawRecords
from streams.native.raw_ids import RawIds, RawKeys
from streams.records import PredictionEncoder
from streams.verify import new_view

SMALL = 100
WARM = 20_000
"""Samples that are learned before anything is measured."""
TOPIC = "bench.samples"
BATCH_HEADER, RECORD_FRAME = 61, 20
"""Bytes of a Kafka record batch besides its records, and about those of a record besides its parts."""

T = TypeVar("T")


@dataclass
class Watch:
    """CPU time of this process by stage, in nanoseconds."""

    spent: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def of(self, stage: str, work: Callable[[], T]) -> T:
        """Do it, and note what it took."""
        begun = process_time_ns()
        done = work()
        self.spent[stage] += process_time_ns() - begun
        return done


@dataclass
class Bytes:
    """On the predictions topic and on the log."""

    predictions: int = 0
    log: int = 0


class Bench:
    """The parts of a worker, and those of another one that folds what the first has learned."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.ingest = Ingest("bench", spec)
        self.model, self.other = Model(spec), Model(spec)
        self.codec = DataCodec(spec)
        self.writer = PredictionWriter("bench", spec)
        self.encoder = PredictionEncoder("bench", spec)

    def batch(self, records: RawRecords, watch: Watch, size: Bytes) -> None:
        """One batch through all stages."""
        found = watch.of("parse", lambda: self.ingest.decode(TOPIC, 0, records))
        rows = found.rows
        learned = watch.of("learn", lambda: self.model.predict_and_learn(rows))
        served = learned.served
        size.predictions += watch.of("write", lambda: self._write(found, learned))
        value = watch.of("encode", lambda: self.codec.encode(rows, served, rows.names))
        decoded, given = watch.of("decode", lambda: self.codec.decode(value))
        watch.of("fold", lambda: self.other.learn(decoded, given, keep_undo=False))
        undo = learned.undo
        assert undo is not None
        watch.of("undo", lambda: self.model.undo(undo))
        redone = watch.of("redo", lambda: self.model.learn(rows, served, keep_undo=True)).undo
        assert redone is not None
        self.model.forget(redone)
        size.log += len(value) + _envelope_bytes(len(rows))

    def _write(self, found: Ingested, learned: Learned) -> int:
        """Predictions as streams.outgoing writes them; their bytes."""
        ids, keys, served, before = found.ids, found.keys, learned.served, learned.learned_before
        if isinstance(ids, RawIds) and isinstance(keys, RawKeys):
            return sum(
                one.size() for one in self.writer.write(ids, keys, served, before, TOPIC, 0, BATCH_BYTES)
            )
        return sum(map(len, self.encoder.encode(ids, served, before, TOPIC, 0, found.rows.offsets)))


def _envelope_bytes(samples: int) -> int:
    """What a log record takes besides its value."""
    place = PartitionId(TOPIC, str(UUID(int=1)), 0).headers()
    ranges = {"from_": 10**6, "to": 10**6 + samples, "samples": samples, "dead_letters": 0}
    headers = envelope(str(UUID(int=2)), 10**4, **place, **ranges)
    return BATCH_HEADER + RECORD_FRAME + sum(len(name) + len(text) + 4 for name, text in headers)


def measure(workload: Workload, samples: int = 60_000, repeats: int = 3) -> Costs:
    """All costs of a workload, median of the repeats; `transport` and `read` need Kafka and are zero."""
    values, spec = workload.values(samples), workload.spec()
    bench, spent, sizes = Bench(spec), dict[int, dict[str, float]](), dict[int, Bytes]()
    sample_bytes = fetched(values)[1] / samples
    large = samples_a_fetch(sample_bytes)
    for batch in (SMALL, large):
        _pass(bench, values[:WARM], batch)
    for batch in (SMALL, large):
        passes = [_pass(bench, values, batch) for _ in range(repeats)]
        stages = passes[0][0]
        spent[batch] = {stage: median(one[stage] for one, _ in passes) for stage in stages}
        sizes[batch] = passes[-1][1]
    lines = {stage: Line.through(SMALL, spent[SMALL][stage], large, spent[large][stage]) for stage in stages}
    log = Line.through(SMALL, sizes[SMALL].log * SMALL / samples, large, sizes[large].log * large / samples)
    return Costs(
        name=workload.name,
        stages=lines,
        log_bytes=log,
        sample_bytes=sample_bytes,
        prediction_bytes=sizes[large].predictions / samples,
        save=asyncio.run(_save(spec, bench, values[:WARM])),
    )


def _pass(bench: Bench, values: Sequence[bytes], batch: int) -> tuple[dict[str, float], Bytes]:
    """µs that each stage took for a batch of so many, and the bytes of all values."""
    watch, size = Watch(), Bytes()
    for start in range(0, len(values), batch):
        records, _ = fetched(values[start : start + batch], start)
        bench.batch(records, watch, size)
    full = len(values) / batch  # the last one may be short
    return {stage: 1e-3 * spent / full for stage, spent in watch.spent.items()}, size


async def _save(spec: ModelSpec, bench: Bench, values: Sequence[bytes]) -> Save:
    """A save without Redis, after `values` were learned behind the one before."""
    view = new_view(spec)
    saved = Checkpoints("bench", spec, view, (store := MemoryStore()), "bench")
    figures: list[tuple[float, float]] = []
    for _ in range(4):
        records, _ = fetched(values)
        rows = Ingest("bench", spec).decode(TOPIC, 0, records).rows
        view.model.learn(rows, bench.model.predict(rows), keep_undo=False)
        view.fold.read(LogRecord(view.fold.log_offset, "data", "", 0, {}, None))
        view.fold.names.update(rows.names)
        written = view.model.dirty.sum() * 2048.0
        begun = process_time_ns()
        await saved.save()
        figures.append((1e-3 * (process_time_ns() - begun), float(written)))
    found = await store.load("bench")
    assert found is not None
    stored = sum(map(len, found.tensors.values())) + sum(len(k) + len(v) for k, v in found.text.items())
    later = figures[1:]  # the first writes all
    return Save(median(one for one, _ in later), median(one for _, one in later), float(stored))
