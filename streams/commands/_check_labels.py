"""Can labels that come late find their samples: in which partition, and for how long?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin, TopicInfo
    from infra.settings import ModelSettings
    from streams.commands._findings import Findings


def check_labels(model: ModelSettings, there: Mapping[str, TopicInfo], findings: Findings) -> None:
    """Look whether the labels topic is there; raise TopicError for other partitions than the samples have.

    The samples topic has to be there.
    """
    from streams.commands._check_model import MEND_TOPICS
    from streams.topics import check_equal

    if model.labels is None:
        return
    labels = there.get(model.labels)
    if labels is None:
        findings.error(
            f"no topic {model.labels} (labels); {MEND_TOPICS}, or mend models.{model.name}.labels", model.name
        )
    else:
        check_equal(there[model.samples], labels)


def check_horizon(
    admin: KafkaAdmin, model: ModelSettings, there: Mapping[str, TopicInfo], findings: Findings
) -> None:
    """Warn of topics that delete records while their samples may still wait for labels."""
    from streams.commands._check_retention import MEND, duration, kept_for

    if model.labels is None:
        return
    horizon, setting = model.label_horizon * 1000, model.learning_log_retention * 1000
    shorter = f"shorter than label_horizon ({duration(horizon)})"
    log = there.get(model.learning_log)
    kept = None if log is None else kept_for(admin, log)
    found = ""
    if kept is not None and kept < horizon:
        found = f"topic {model.learning_log}: keeps records for {duration(kept)}"
    elif setting < horizon:
        found = f"learning_log_retention is {duration(setting)}"
    if found:
        findings.warn(
            f"{found}, {shorter}: what still waits for labels may be deleted; "
            f"set models.{model.name}.learning_log_retention to more, {MEND}",
            model.name,
        )
    for topic in [there[name] for name in (model.samples, model.labels) if name in there]:
        kept = kept_for(admin, topic)
        if kept is not None and kept < horizon:
            findings.warn(
                f"topic {topic.name}: keeps records for {duration(kept)}, {shorter}: a model that is begun "
                "anew finds samples without their labels, or labels without their samples; raise its "
                "retention.ms",
                model.name,
            )
