"""Many workers on one log end with one result, whatever the order of things; nothing is lost or repeated."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.model import Model
from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature, OptimizerSpec, UpdateSpec
from streams.log_format import PartitionId
from tests.streams.simulation import SharedLog, SimulatedWorker, begin, plain_fold

NUMERIC = (NumericFeature("a"), NumericFeature("b"))
SPECS = {
    "dense-sample": ModelSpec(task="binary", classes=(0, 1), features=FeatureSpec(numeric=NUMERIC)),
    "hashed-sample": ModelSpec(
        task="multiclass",
        classes=("x", "y", "z"),
        features=FeatureSpec(numeric=NUMERIC, categorical=("c",), hash_bits=12),
        optimizer=OptimizerSpec(name="ftrl-proximal", l1=0.01),
    ),
    "dense-batch": ModelSpec(
        task="regression",
        features=FeatureSpec(numeric=NUMERIC),
        optimizer=OptimizerSpec(name="sgd", learning_rate=0.01, l1=0.001, l2=0.001),
        update=UpdateSpec(name="batch", batch_size=7),
    ),
    "hashed-window": ModelSpec(
        task="binary",
        classes=(0, 1),
        features=FeatureSpec(numeric=NUMERIC, categorical=("c",), hash_bits=8),
        update=UpdateSpec(name="window", window_size=30, stride=11, steps=2),
    ),
}
PARTITIONS = [PartitionId("t", "id", p) for p in range(3)]


def make_input(spec: ModelSpec, n: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 3, n) if spec.features.hash_bits else np.zeros(n, dtype=np.int64)
    total = int(lengths.sum())
    labels = generator.integers(0, max(2, len(spec.classes)), n).astype(np.float64)
    labels[generator.random(n) < 0.2] = np.nan
    indices = generator.integers(0, 50, total).astype(np.uint32)
    return Rows(
        numeric=generator.normal(size=(n, 2)),
        indptr=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        indices=indices,
        values=np.ones(total),
        scaled_by=np.full(total, -1, dtype=np.int16),
        labels=labels,
        weights=generator.choice([0.0, 1.0, 2.5], n),
        timestamps=np.zeros(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64),
    )


def same_state(a: Model, b: Model) -> None:
    ours, theirs = a.tensors(), b.tensors()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    assert a.digest() == b.digest()


def play(spec: ModelSpec, seed: int, workers: int, steps: int, chaos: bool) -> None:
    """Random actions of several workers, then everybody finishes; compare with the plain fold."""
    dice = random.Random(seed)
    inputs = {p: make_input(spec, 60, seed + i) for i, p in enumerate(PARTITIONS)}
    log = SharedLog()
    begin(spec, log)
    crew = [SimulatedWorker(spec, log, inputs) for _ in range(workers)]
    zombies = []
    for _ in range(steps):
        worker, partition = dice.choice(crew), dice.choice(PARTITIONS)
        action = dice.choice(
            ["take", "process", "process", "send", "send", "read", "read", "recover", "chaos"]
        )
        if action == "take" and dice.random() < 0.3:
            worker.take(partition)
        elif action == "process":
            worker.process(partition, dice.randint(1, 20))
        elif action == "send":
            worker.send(dice.randint(1, 3), lost=chaos and dice.random() < 0.1)
        elif action == "read":
            worker.read(dice.choice([1, 2, None]))
        elif action == "recover":
            worker.recover()
        elif chaos:
            kind = dice.choice(["crash", "repeat", "garbage"])
            if kind == "crash" and dice.random() < 0.5:
                zombies += [r for r in log.records if r.worker == worker.view.worker and r.kind == "data"]
                worker.start()
            elif kind == "repeat" and zombies:
                old = dice.choice(zombies)
                names = {k: v for k, v in old.headers.items() if k not in ("format", "worker", "seq")}
                log.append(old.kind, old.worker, old.seq, old.value, **names)
            elif kind == "garbage":
                where = {"topic": "t", "topic_id": "id", "partition": partition.partition}
                at = crew[0].view.fold.next.get(partition, 0)
                log.append(
                    "data", "vandal", 0, b"junk", **where, from_=at, to=at + 5, samples=1, dead_letters=0
                )
    finish(crew, inputs)
    model, following, learned = plain_fold_tolerant(spec, log)
    for worker in crew:
        assert worker.view.fold.next == following
        same_state(worker.view.model, model)
        assert worker.view.fold.samples_learned == model.samples_learned
    expected = {(str(p), i) for p, rows in inputs.items() for i in np.flatnonzero(~np.isnan(rows.labels))}
    assert len(learned) == len(set(learned)), "a sample was learned twice"
    assert set(learned) == expected, "a sample was lost"


def plain_fold_tolerant(
    spec: ModelSpec, log: SharedLog
) -> tuple[Model, dict[PartitionId, int], list[tuple[str, int]]]:
    return plain_fold(spec, [r for r in log.records if r.worker != "vandal"])


def finish(crew: list[SimulatedWorker], inputs: dict[PartitionId, Rows]) -> None:
    for i, partition in enumerate(inputs):
        owner = crew[i % len(crew)]
        owner.take(partition)
    for _ in range(200):
        for i, partition in enumerate(inputs):
            owner = crew[i % len(crew)]
            owner.process(partition, 13)
        for worker in crew:
            while worker.send(2):
                pass
            worker.read()
            worker.recover()
        if all(worker.view.fold.next.get(p) == len(rows) for worker in crew for p, rows in inputs.items()):
            break
    for worker in crew:
        worker.read()
        assert not worker.view.pending


@pytest.mark.parametrize("name", SPECS)
@given(seed=st.integers(0, 10**9), workers=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_workers_that_share_a_log_learn_what_one_reader_of_it_would(
    name: str, seed: int, workers: int
) -> None:
    play(SPECS[name], seed, workers, steps=60, chaos=False)


@pytest.mark.parametrize("name", SPECS)
@given(seed=st.integers(0, 10**9), workers=st.integers(1, 3))
@example(seed=5479915, workers=2)  # a position with nothing pending is overtaken, at the input's end
@settings(max_examples=25, deadline=None)
def test_crashes_repeats_lost_appends_and_garbage_change_nothing(name: str, seed: int, workers: int) -> None:
    play(SPECS[name], seed, workers, steps=120, chaos=True)


@pytest.mark.parametrize("name", SPECS)
def test_one_worker_alone_never_redoes_anything(name: str) -> None:
    spec = SPECS[name]
    inputs = {PARTITIONS[0]: make_input(spec, 60, 1)}
    log = SharedLog()
    begin(spec, log)
    worker = SimulatedWorker(spec, log, inputs)
    worker.take(PARTITIONS[0])
    for size in (1, 20, 7, 32):
        worker.process(PARTITIONS[0], size)
        worker.send(1)
        worker.process(PARTITIONS[0], 0)
    worker.read()
    assert worker.view.samples_redone == 0
    same_state(worker.view.model, plain_fold(spec, log.records)[0])


@pytest.mark.parametrize("name", SPECS)
def test_pending_is_redone_once_however_many_foreign_records_come_before_the_next_prediction(
    name: str,
) -> None:
    spec = SPECS[name]
    inputs = {p: make_input(spec, 60, i) for i, p in enumerate(PARTITIONS)}
    log = SharedLog()
    begin(spec, log)
    one, other = (SimulatedWorker(spec, log, inputs) for _ in range(2))
    one.take(PARTITIONS[0])
    other.take(PARTITIONS[1])
    one.read()
    one.process(PARTITIONS[0], 20)
    (mine,) = one.view.pending
    for _ in range(5):  # five foreign records, read one at a time
        other.process(PARTITIONS[1], 8)
        other.send(1)
        other.read()
        one.read(most=1)
    assert one.view.samples_redone == 0
    one.process(PARTITIONS[0], 20)
    assert one.view.samples_redone == len(mine.rows)
    while one.send(1):
        pass
    one.read()
    other.read()
    same_state(one.view.model, other.view.model)
    same_state(one.view.model, plain_fold(spec, log.records)[0])


@pytest.mark.parametrize("name", SPECS)
def test_a_batch_that_comes_back_after_foreign_records_is_redone_once_and_for_good(name: str) -> None:
    spec = SPECS[name]
    inputs = {p: make_input(spec, 60, i) for i, p in enumerate(PARTITIONS)}
    log = SharedLog()
    begin(spec, log)
    one, other = (SimulatedWorker(spec, log, inputs) for _ in range(2))
    one.take(PARTITIONS[0])
    other.take(PARTITIONS[1])
    one.read()
    one.process(PARTITIONS[0], 20)
    (mine,) = one.view.pending
    other.process(PARTITIONS[1], 8)
    other.send(1)
    one.send(1)
    one.read()
    assert not one.view.pending
    assert one.view.samples_redone == len(mine.rows)
    same_state(one.view.model, plain_fold(spec, log.records)[0])
