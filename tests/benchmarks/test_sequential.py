"""The sequential pass is what one worker alone serves, and counts what the log counts."""

from __future__ import annotations

import numpy as np

from benchmarks.in_step import Progress
from benchmarks.sequential import log_loss_in_order
from tests.streams.simulation import SharedLog, SimulatedWorker, begin
from tests.streams.test_view import PARTITIONS, SPECS, make_input

SPEC = SPECS["dense-sample"]


def test_of_one_worker_alone_the_sequential_loss_is_the_loss_as_served() -> None:
    inputs = {p: make_input(SPEC, 60, i) for i, p in enumerate(PARTITIONS)}
    log = SharedLog()
    begin(SPEC, log)
    worker = SimulatedWorker(SPEC, log, inputs)
    for partition in PARTITIONS:
        worker.take(partition)
    for _ in range(6):
        for partition in PARTITIONS:
            worker.process(partition, 10)
            worker.send(1)
    worker.read()
    samples, loss = log_loss_in_order(SPEC, log.records)
    labelled = sum(int(np.isfinite(rows.labels).sum()) for rows in inputs.values())
    assert samples == labelled
    assert loss == worker.view.model.metrics()["log_loss"]


def test_records_that_do_not_count_are_left_out() -> None:
    inputs = {p: make_input(SPEC, 60, i) for i, p in enumerate(PARTITIONS)}
    log = SharedLog()
    begin(SPEC, log)
    owner, rival = (SimulatedWorker(SPEC, log, inputs) for _ in range(2))
    owner.take(PARTITIONS[0])
    rival.take(PARTITIONS[0])
    for worker in (owner, rival):  # both process the same samples: the second record is ignored by all
        worker.process(PARTITIONS[0], 30)
        worker.send(1)
    owner.read()
    assert owner.view.fold.ignored == 1
    progress = Progress()
    for record in log.records:
        progress.read(record)
    samples, loss = log_loss_in_order(SPEC, log.records)
    assert progress.samples == samples == owner.view.fold.samples_learned > 0
    assert loss == owner.view.model.metrics()["log_loss"]
