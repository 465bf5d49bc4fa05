"""Does the learning log keep what a start still needs: all of it, or what comes after the checkpoint?"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin, TopicInfo
    from infra.settings import ModelSettings
    from streams.commands._findings import Findings
    from streams.commands._live import LiveModel

SHORTEST = 3_600_000
"""Milliseconds: a worker that is down for longer than the log is kept cannot go on."""
MEND = "then run gradstream topics create"
SHARE = 0.5
"""Of the retention: so old may a checkpoint be that is behind its log."""


def check_retention(
    admin: KafkaAdmin, model: ModelSettings, log: TopicInfo, live: LiveModel | None, findings: Findings
) -> None:
    """Warn of records that could be deleted before they are in a checkpoint; an error where they are."""
    start, end = admin.start_offsets(log.name)[0], admin.end_offsets(log.name)[0]
    if start > 0 and not _lost(model, log, live, start, findings):
        findings.ok(f"learning log: begins at {start:,}; the checkpoint has what was before", model.name)
    retention = kept_for(admin, log)
    if retention is None:
        return
    if retention < SHORTEST:
        findings.warn(
            f"topic {log.name}: keeps records for {duration(retention)} only; workers that are down for "
            f"longer lose what no checkpoint has; set models.{model.name}.learning_log_retention, {MEND}",
            model.name,
        )
    if live is not None and int(live.text["log_offset"]) < end:
        age = _age(live)
        if age is not None and age > SHARE * retention:
            findings.warn(
                f"the checkpoint in Redis is {duration(age)} old and {end - int(live.text['log_offset']):,} "
                f"records behind its log, which keeps records for {duration(retention)}: start a worker, or "
                "look why none saves (Redis full, or read-only?), before they are deleted",
                model.name,
            )


def kept_for(admin: KafkaAdmin, topic: TopicInfo) -> int | None:
    """For how many milliseconds a topic keeps records; None: for ever."""
    config = admin.topic_config(topic.name)
    retention = int(config["retention.ms"])
    return None if retention < 0 or "delete" not in config["cleanup.policy"] else retention


def _lost(
    model: ModelSettings, log: TopicInfo, live: LiveModel | None, start: int, findings: Findings
) -> bool:
    """Whether records are gone that a worker's start needs."""
    mend = (
        "a worker that still runs saves one that will do; if none runs, forget the model: "
        f"gradstream reset {model.name}"
    )
    if live is None:
        findings.error(
            f"learning log {log.name}: begins at {start:,}, and Redis has no checkpoint: a worker cannot "
            f"start; {mend}",
            model.name,
        )
    elif int(live.text["log_offset"]) < start:
        findings.error(
            f"learning log {log.name}: begins at {start:,}, after the checkpoint's offset "
            f"{int(live.text['log_offset']):,}: a worker cannot start; {mend}",
            model.name,
        )
    return live is None or int(live.text["log_offset"]) < start


def _age(live: LiveModel) -> float | None:
    """Milliseconds since the checkpoint was saved."""
    try:
        saved = datetime.datetime.fromisoformat(live.text["saved_at"])
        return (datetime.datetime.now(datetime.UTC) - saved).total_seconds() * 1000
    except (KeyError, ValueError, TypeError):
        return None


def duration(milliseconds: float) -> str:
    """About how long, in the largest unit that leaves a number above one."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if milliseconds >= size:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{milliseconds / 1000:.3g} s"
