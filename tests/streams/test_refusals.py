"""People are told of refused updates and of a halt; a `resume` record ends it for every reader alike."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from structlog.testing import capture_logs

from models.model import Model
from models.rows import Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.data_codec import DataCodec
from streams.fold import Fold
from streams.log_format import PartitionId
from streams.refusals import Refusals
from streams.verify import new_view
from streams.view import View
from tests.models.samples import plain_rows
from tests.streams.simulation import SharedLog, SimulatedWorker, begin

SPEC = ModelSpec("regression", FeatureSpec(numeric=(NumericFeature("a"),)), halt_after=3)
ONE, TWO = PartitionId("t", "id", 0), PartitionId("t", "id", 1)
TOO_LARGE = 1e200


def samples(labels: list[float]) -> Rows:
    return plain_rows(np.arange(len(labels), dtype=float)[:, None], labels)


def fold_with(labels: list[float]) -> Fold:
    fold = Fold(Model(SPEC), DataCodec(SPEC))
    learn(fold, labels)
    return fold


def learn(fold: Fold, labels: list[float]) -> None:
    rows = samples(labels)
    learned = fold.model.learn(rows, np.zeros((len(rows), 1)), keep_undo=False)
    fold.learned(ONE, rows, learned.refused, learned.skipped)


def test_refused_updates_are_one_line_for_all_since_the_last_look() -> None:
    fold = fold_with([1.0])
    refusals = Refusals("m", fold)
    learn(fold, [TOO_LARGE, 1.0, TOO_LARGE])
    with capture_logs() as lines:
        refusals.look()
        refusals.look()
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["new"], line["refused"], line["last"]) == (2, 2, "t-0 @2")
    assert "label" in line["reason"]


def test_what_was_refused_before_the_start_is_not_told_again_but_a_halt_is() -> None:
    with capture_logs() as lines:
        Refusals("m", fold_with([TOO_LARGE] * 2)).look()
        assert lines == []
        Refusals("m", fold_with([TOO_LARGE] * 3)).look()
    assert [line["log_level"] for line in lines] == ["error"]


def test_a_halt_and_its_end_are_told_once_each_with_the_command_that_ends_it() -> None:
    fold = fold_with([])
    refusals = Refusals("m", fold)
    with capture_logs() as lines:
        learn(fold, [TOO_LARGE] * 3)
        refusals.look()
        learn(fold, [1.0] * 5)
        refusals.look()
        fold.model.resume()
        refusals.look()
        learn(fold, [1.0])
        refusals.look()
    assert [line["log_level"] for line in lines] == ["warning", "error", "info"]
    assert "3 updates in a row" in lines[1]["event"]
    assert "gradstream resume m" in lines[1]["event"]
    assert fold.skipped == 5


def halted_log(before: int = 0) -> tuple[SharedLog, dict[PartitionId, Rows], SimulatedWorker]:
    """A log in which partition ONE has halted the model, and the worker that wrote it."""
    inputs = {
        ONE: samples([*[1.0] * before, *[TOO_LARGE] * 3, *[2.0] * 40]),
        TWO: samples([3.0] * 40),
    }
    log = SharedLog()
    begin(SPEC, log)
    worker = SimulatedWorker(SPEC, log, inputs)
    for partition in inputs:
        worker.take(partition)
    worker.process(ONE, before + 3)
    worker.send(1)
    worker.read()
    assert worker.view.model.halted()
    return log, inputs, worker


def resume(log: SharedLog) -> None:
    log.append("resume", str(uuid.uuid4()), 0, None)


def read_anew(log: SharedLog) -> View:
    """A reader that has nothing pending."""
    view = new_view(SPEC)
    view.fold_run(log.records)
    return view


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_a_resume_under_pending_batches_gives_what_a_plain_reader_gets(sent: int) -> None:
    log, _, worker = halted_log(before=4)
    for partition in (ONE, TWO):
        worker.process(partition, 10)
    for _ in range(sent):  # these are before the record in the log, and are skipped; the others are learned
        worker.send(1)
    resume(log)
    worker.read()
    assert not worker.view.model.halted()
    for _ in range(2 - sent):
        worker.send(1)
    worker.read()
    plain = read_anew(log)
    assert worker.view.pending == plain.pending
    assert worker.view.fold.digest() == plain.fold.digest()
    assert plain.fold.skipped == 10 * sent
    assert plain.fold.samples_learned == 4 + 10 * (2 - sent)


def test_two_workers_stand_alike_after_a_halt_and_a_resume() -> None:
    log, inputs, worker = halted_log()
    other = SimulatedWorker(SPEC, log, inputs)
    other.read()
    other.take(TWO)
    other.process(TWO, 15)
    resume(log)
    worker.process(ONE, 20)
    worker.send(1)
    other.send(1)
    for one in (worker, other):
        one.read()
    assert worker.view.fold.digest() == other.view.fold.digest() == read_anew(log).fold.digest()
    assert worker.view.fold.samples_learned > 0


def test_a_model_that_has_not_halted_takes_no_notice_but_counts_the_record() -> None:
    log = SharedLog()
    begin(SPEC, log)
    before = read_anew(log)
    resume(log)
    after = read_anew(log)
    assert after.model.tensors()["scalars"].tobytes() == before.model.tensors()["scalars"].tobytes()
    assert (before.fold.ignored, after.fold.ignored) == (0, 1)


def test_a_halt_that_is_only_pending_is_not_resumed_before_the_log_has_it() -> None:
    log = SharedLog()
    begin(SPEC, log)
    worker = SimulatedWorker(SPEC, log, {ONE: samples([TOO_LARGE] * 3)})
    worker.take(ONE)
    worker.process(ONE, 3)
    resume(log)
    worker.read()
    worker.send(1)
    worker.read()
    plain = read_anew(log)
    assert plain.model.halted()
    assert worker.view.fold.digest() == plain.fold.digest()
