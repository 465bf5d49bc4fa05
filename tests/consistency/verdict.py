"""The audit of an episode that has come to its end: the log, the topics, Redis and the workers' own words."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.consistency.audit import (
    Input,
    PlainLog,
    audit_input,
    audit_predictions,
    audit_redis,
)
from tests.consistency.counting import sample
from tests.consistency.plain import digests_at
from tests.topics import read_topic

if TYPE_CHECKING:
    from tests.consistency.episode import Episode

WORK_FACTOR = 2.0
IGNORED_A_FAULT = 60
"""At most so many log records may be ignored for each that counts, plus so many for each fault and worker."""


def plain_log(e: Episode) -> PlainLog:
    """The learning log as its plainest reader has it."""
    log = PlainLog()
    for record in read_topic(e.kafka.bootstrap, f"{e.stream.name}.learning-log"):
        log.read(record)
    return log


def judge(e: Episode) -> None:
    """Note in the episode's report what is not as it must be."""
    report, stream, direct = e.report, e.stream, e.kafka.bootstrap
    report.expect(not e.feeder.errors, f"the feeder failed: {e.feeder.errors[:1]}")
    if e.row.forward:
        report.problems += e.watcher.went_back[:3]
    log = plain_log(e)
    given = _input(e, log)
    audit_input(report, log, given)
    if e.predicted:
        audit_predictions(report, log, given, read_topic(direct, f"{stream.name}.predictions"))
    with contextlib.closing(e.redis.client()) as client:
        audit_redis(report, log, client, stream.name)
    _workers(e)
    report.ignored = log.ignored
    if e.row.appends_certain:
        report.expect(not log.echoes, f"{log.echoes} times a worker's own echo undid its new work")
    report.redone = sum(line["samples_redone"] for line in e.crew.stopped())
    most = WORK_FACTOR * log.counted + IGNORED_A_FAULT * (report.faults + len(e.crew.members))
    report.expect(log.ignored <= most, f"{log.ignored} log records ignored, {log.counted} counted")


def _input(e: Episode, log: PlainLog) -> Input:
    """What was there to be learned: what the topic holds, or all that was sent where that is gone."""
    given = Input()
    if e.input_deleted:
        for at, i in e.feeder.delivered.items():
            if not log.in_hole(at):
                given.add(at, sample(i))
        return given
    for record in read_topic(e.kafka.bootstrap, e.stream.samples, committed=True):
        given.add((record.partition, record.offset), record.value)
    if e.input_compacted:
        for at, i in e.feeder.delivered.items():
            given.allow(at, sample(i))
    return given


def _workers(e: Episode) -> None:
    """Each worker that ended in good order had the state of the log, where it stood, to the bit."""
    lines = e.crew.stopped()
    e.report.expect(bool(lines), "no worker told its digest")
    offsets = {line["log_offset"] for line in lines}
    wanted = digests_at(e.kafka.bootstrap, e.direct_config(), e.stream.name, offsets)
    for line in lines:
        if line["digest"] != wanted.get(line["log_offset"]):
            e.report.unequal += 1
            e.report.problems.append(f"unequal at log offset {line['log_offset']}: {line}")
