"""A live model as Redis and Kafka show it: its checkpoint's readable fields, and how far it is behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from models.errors import GradstreamError
from streams.commands._labels_shown import LabelCounts

if TYPE_CHECKING:
    from infra.kafka_admin import KafkaAdmin
    from infra.redis_store import RedisStore
    from infra.settings import KafkaSettings, ModelSettings, Settings
    from streams.ingest_report import Report

LOOKED_AT = 1_000
"""How many of the last samples are looked at for fields that nobody sends or reads."""
COUNTERS = ("samples_learned", "dead_letters", "refused", "skipped", "ignored", "undecodable")


NOT_WRITTEN = (AttributeError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What reading may raise of text that no worker has written."""


class NotReadable(GradstreamError):
    """What stands in Redis under a model's key is not a checkpoint's readable text."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """One model's checkpoint as text."""

    name: str
    text: Mapping[str, str]
    weights: Mapping[str, float]
    unequal: Mapping[str, Any] | None = None
    """The last finding that workers differed."""

    @classmethod
    def of(
        cls, name: str, text: Mapping[str, str], weights: Mapping[str, str], unequal: str | None = None
    ) -> LiveModel:
        """Check that all is there that is shown; raises NotReadable. Weights: the heaviest first."""
        try:
            heaviest = dict(sorted(((k, float(v)) for k, v in weights.items()), key=_heaviest))
            live = cls(name, text, heaviest, None if unequal is None else dict(json.loads(unequal)))
            live.document(None)
            live.label_counts()
        except NOT_WRITTEN as error:
            raise not_readable(name, error) from None
        return live

    def json(self, name: str, default: str = "null") -> Any:
        """A field that holds JSON."""
        return json.loads(self.text.get(name) or default)

    @property
    def offsets(self) -> dict[str, int]:
        """ "TOPIC-PARTITION" → next offset."""
        return {str(name): int(offset) for name, offset in self.json("offsets", "{}").items()}

    @property
    def task(self) -> str:
        """The task in the stored spec."""
        return str(self.json("spec")["task"])

    @property
    def halted(self) -> bool:
        """Whether learning has halted, until `gradstream resume`."""
        return self.text.get("halted", "0") != "0"

    def label_counts(self) -> LabelCounts | None:
        """What became of samples and late labels; None for a model whose labels stand in its samples."""
        text = self.text.get("labels")
        return None if text is None else msgspec.json.decode(text, type=LabelCounts)

    def document(self, lag: int | None) -> dict[str, Any]:
        """What `inspect --json` prints, without `fields`, and of `labels` what the checkpoint has."""
        text = self.text
        return {
            "model": self.name,
            "task": self.task,
            "version": int(text["version"]),
            "log_offset": int(text["log_offset"]),
            **{name: int(text.get(name, 0)) for name in COUNTERS},
            "halted": self.halted,
            "unequal": self.unequal,
            "offsets": self.offsets,
            "lag": lag,
            "labels": self.json("labels"),
            "metrics": self.json("metrics", "{}"),
            "weights": dict(self.weights),
            "scaling": self.json("scaling", "{}"),
            "memory": self.json("memory", "{}"),
            "last_refused": self.json("last_refused", "[]"),
            "digest": text.get("digest"),
            "release": text.get("release"),
            "saved_at": text.get("saved_at"),
        }


async def read_live(store: RedisStore, name: str) -> LiveModel | None:
    """A model's checkpoint, None when Redis has none; raises StoreError and NotReadable."""
    text = await store.load_text(name)
    if not text:
        return None
    return LiveModel.of(name, text, await store.load_weights(name), await store.unequal(name))


def find_live(settings: Settings, name: str) -> LiveModel:
    """A model's checkpoint; an error that says what there is instead where Redis has none."""
    from infra.store import StoreError
    from streams.commands._common import invocation, unknown_model, with_store

    async def read(store: RedisStore) -> tuple[LiveModel | None, list[str]]:
        live = await read_live(store, name)
        return live, [] if live is not None else await store.models()

    live, known = with_store(settings.redis, read)
    if live is not None:
        return live
    if name in settings.models:
        raise StoreError(
            f"model '{name}': no checkpoint in Redis at {settings.redis.address} yet; start a worker "
            "(gradstream worker), its first save is there a second later"
        )
    raise unknown_model(name, {*known, *settings.models}, f"in Redis or in {invocation().config}")


def log_topic(settings: Settings, name: str) -> str:
    """The learning log's topic; a model outside of the settings has the default name."""
    model = settings.models.get(name)
    return f"{name}.learning-log" if model is None else model.learning_log


def lag_by_partition(admin: KafkaAdmin, topic: str, offsets: Mapping[str, int]) -> dict[str, int]:
    """Records of each partition that the checkpoint has not reached: all of one that is not open yet."""
    starts, ends = admin.start_offsets(topic), admin.end_offsets(topic)
    names = {partition: f"{topic}-{partition}" for partition in ends}
    return {names[p]: max(0, end - offsets.get(names[p], starts[p])) for p, end in ends.items()}


def report_on(kafka: KafkaSettings, admin: KafkaAdmin, model: ModelSettings, shown: int) -> Report:
    """What the model makes of the last samples of its topic; `shown`: how many are given encoded."""
    from streams.commands._reading import last_records
    from streams.ingest import Ingest
    from streams.ingest_report import describe

    records = last_records(kafka, admin, model.samples, LOOKED_AT)
    values, times = [record.value for record in records], [record.timestamp for record in records]
    return describe(Ingest(model.name, model.spec()), values, shown, times)


def report_document(report: Report) -> dict[str, Any]:
    """The report for machines."""
    return {
        "records": report.records,
        "valid": report.valid,
        "labelled": report.labelled,
        "labelled_share": report.labelled_share,
        "refused": [{"reason": reason, "count": count} for reason, count in report.refused],
        "never_seen": report.never_seen,
        "unread_fields": [_unread(one) for one in report.unread_fields],
        "unread_features": [_unread(one) for one in report.unread_features],
    }


def _unread(one: Any) -> dict[str, Any]:
    return {"name": one.name, "count": one.count, "nearest": one.nearest}


def not_readable(name: str, error: Exception) -> NotReadable:
    """What stands under the model's own key is no checkpoint."""
    return NotReadable(
        f"Redis key gradstream:{{{name}}}: not a checkpoint of gradstream ({type(error).__name__}: {error}); "
        "delete the key to have it written again from the log"
    )


def _heaviest(item: tuple[str, float]) -> tuple[float, str]:
    return -abs(item[1]), item[0]
