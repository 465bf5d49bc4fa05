"""One model against Kafka and its checkpoint: topics, learning log, spec, positions, samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from models.errors import GradstreamError

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin, TopicInfo
    from infra.settings import KafkaSettings, ModelSettings
    from streams.commands._findings import Findings
    from streams.commands._live import LiveModel
    from streams.commands._topic_plan import Wanted

SHOWN_SAMPLES = 5
MEND_TOPICS = "run gradstream topics create"


def check_model(
    kafka: KafkaSettings, admin: KafkaAdmin, model: ModelSettings, live: LiveModel | None, findings: Findings
) -> None:
    """All that can be said about one model; live: its checkpoint, if it has one."""
    from streams.commands._check_labels import check_horizon
    from streams.commands._check_retention import check_retention

    topics = (model.samples, model.labels, model.predictions, model.dead_letters, model.learning_log)
    there = admin.describe(topic for topic in topics if topic is not None)
    samples = there.get(model.samples)
    if samples is None:
        findings.error(
            f"no topic {model.samples}; {MEND_TOPICS}, or mend models.{model.name}.samples", model.name
        )
    else:
        _check_topics(admin, model, there, findings)
    with findings.guarded(model.name):
        _check_begun(kafka, admin, model, there.get(model.learning_log), findings)
    log = there.get(model.learning_log)
    if log is not None and log.partitions == 1:
        with findings.guarded(model.name):
            check_retention(admin, model, log, live, findings)
    with findings.guarded(model.name):
        check_horizon(admin, model, there, findings)
    if live is not None:
        _check_checkpoint(admin, model, there, live, findings)
    if samples is not None:
        with findings.guarded(model.name):
            _check_samples(kafka, admin, model, findings)


def _check_topics(
    admin: KafkaAdmin, model: ModelSettings, there: Mapping[str, TopicInfo], findings: Findings
) -> None:
    from streams.commands._check_labels import check_labels
    from streams.commands._topic_plan import written_topics

    count = there[model.samples].partitions
    size = int(admin.topic_config(model.samples)["max.message.bytes"])
    before = len(findings.found)
    with findings.guarded(model.name):
        check_labels(model, there, findings)
    for wanted in written_topics(model, count, size):
        with findings.guarded(model.name):
            _check_topic(admin, wanted, there.get(wanted.name), findings)
    if len(findings.found) == before:
        partitions = "1 partition" if count == 1 else f"{count} partitions"
        beside = "the model's own topics fit" if model.labels is None else "labels and own topics fit"
        findings.ok(f"topics: {model.samples} has {partitions}, {beside} to it", model.name)


def _check_topic(admin: KafkaAdmin, wanted: Wanted, found: TopicInfo | None, findings: Findings) -> None:
    from streams.commands._topic_plan import step_for

    if found is None:
        findings.error(f"no topic {wanted.name} ({wanted.role}); {MEND_TOPICS}", wanted.model)
        return
    config = admin.topic_config(wanted.name)
    step = step_for(wanted, found, config)
    if step.extend_from is not None:
        findings.error(
            f"topic {wanted.name}: {found.partitions} partitions, the samples topic has {wanted.partitions}: "
            f"the others are left unread; {MEND_TOPICS}, then restart the workers",
            wanted.model,
        )
    for name, value in step.alter.items():
        # Without room Kafka refuses a dead letter or a batch; the rest makes loss likelier, not certain.
        say = findings.error if name == "max.message.bytes" else findings.warn
        say(
            f"topic {wanted.name}: {name} is {config.get(name)}, expected {value}; {MEND_TOPICS}",
            wanted.model,
        )


def _check_begun(
    kafka: KafkaSettings, admin: KafkaAdmin, model: ModelSettings, log: TopicInfo | None, findings: Findings
) -> None:
    """Whether the log was begun with the spec that the settings give now."""
    if log is None or log.partitions != 1:
        return
    start, end = admin.start_offsets(log.name)[0], admin.end_offsets(log.name)[0]
    if end == 0:
        findings.ok("the learning log is empty: the first worker begins it", model.name)
    elif start == 0:
        from streams.commands._reading import read_between

        first = read_between(kafka, log.name, {0: (0, 1)})
        genesis = next((record.value for record in first if record.key == b"genesis"), None)
        if genesis is None:
            raise GradstreamError(
                f"topic {log.name}: does not begin with a genesis record, so it is no learning log; set "
                f"models.{model.name}.learning_log to another topic, or gradstream reset {model.name}"
            )
        check_spec(model, genesis)
        findings.ok(f"learning log: {end:,} records, begun with the spec that the settings give", model.name)


def check_spec(model: ModelSettings, genesis: bytes) -> None:
    """Raise GradstreamError where a genesis record differs from the settings.

    The self-test's digest is left to the worker: it is the machine's, and computing it costs seconds.
    """
    from streams.fold import begun_with, check_genesis

    try:
        self_test = str(json.loads(genesis)["self_test"])
    except (ValueError, KeyError, TypeError):
        self_test = ""
    check_genesis(genesis, model.spec(begun_with(genesis)), self_test, model.name)


def _check_checkpoint(
    admin: KafkaAdmin,
    model: ModelSettings,
    there: Mapping[str, TopicInfo],
    live: LiveModel,
    findings: Findings,
) -> None:
    before = len(findings.found)
    reset = f"forget the model: gradstream reset {model.name}"
    log = there.get(model.learning_log)
    if log is not None and live.text.get("log_topic_id") != log.topic_id:
        findings.error(
            f"the checkpoint in Redis belongs to another learning log than {log.name}, which was deleted or "
            f"made again; {reset}",
            model.name,
        )
    elif log is not None and int(live.text["log_offset"]) > admin.end_offsets(log.name)[0]:
        findings.error(f"learning log {log.name}: ends before the checkpoint's offset; {reset}", model.name)
    with findings.guarded(model.name):
        check_spec(model, live.text.get("genesis", "").encode())
    samples = there.get(model.samples)
    if samples is not None:
        _check_positions(admin, model, samples, live, findings)
    if len(findings.found) == before:
        learned = f"{int(live.text['samples_learned']):,} samples learned"
        findings.ok(f"checkpoint in Redis: {learned}, fits to settings and topics", model.name)


def _check_positions(
    admin: KafkaAdmin, model: ModelSettings, samples: TopicInfo, live: LiveModel, findings: Findings
) -> None:
    ids = {topic_id for topic, topic_id, _, _ in live.json("partitions", "[]") if topic == samples.name}
    if ids and samples.topic_id not in ids:
        findings.error(
            f"samples topic {samples.name}: was deleted and made again; forget the model: gradstream reset "
            f"{model.name}",
            model.name,
        )
        return
    starts, ends = admin.start_offsets(samples.name), admin.end_offsets(samples.name)
    for partition, start in starts.items():
        at = live.offsets.get(f"{samples.name}-{partition}")
        if at is not None and not start <= at <= ends[partition]:
            say = findings.warn if model.on_hole == "skip" and at < start else findings.error
            say(
                f"{samples.name}-{partition}: the model's next offset {at:,} is outside the topic, which has "
                f'[{start:,}, {ends[partition]:,}); set on_hole = "skip" to go on behind the hole',
                model.name,
            )


def _check_samples(kafka: KafkaSettings, admin: KafkaAdmin, model: ModelSettings, findings: Findings) -> None:
    from streams.commands._live import report_document, report_on

    report = report_on(kafka, admin, model, shown=SHOWN_SAMPLES)
    findings.fields[model.name] = report_document(report)
    findings.samples[model.name] = report.samples
    if not report.records:
        findings.warn(f"topic {model.samples} is empty: nothing to say about its samples", model.name)
        return
    about = f"last {report.records:,} samples of {model.samples}: {report.valid:,} valid"
    own = "" if model.labels is None else " of their own"
    label = f", {report.labelled_share:.1%} of them with a label{own}" if report.valid else ""
    (findings.ok if report.valid else findings.error)(about + label, model.name)
    for line in report.lines():
        findings.warn(line, model.name)
