"""`gradstream inspect NAME --waiting ID`: one sample that waits for its label, for machines and people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from models.spec import ModelSpec
from streams.labels.codec import NEVER, EarlyLabel
from streams.labels.stored import StoredSample
from streams.records import PredictionEncoder

if TYPE_CHECKING:
    from rich.console import Console

    from infra.settings import ModelSettings
    from streams.commands._live import LiveModel
    from streams.commands._waiting import Found, Partition

_SERVED = ("prediction", "probability", "probabilities")


@dataclass(frozen=True, slots=True)
class Window:
    """When a label is in time, by the settings; in ms."""

    horizon: int
    patience: int

    @classmethod
    def of(cls, model: ModelSettings) -> Window:
        """That of a model."""
        return cls(round(model.label_horizon * 1000), round(model.label_patience * 1000))


def sample_document(
    live: LiveModel, id_: str, found: Sequence[Found], window: Window | None
) -> dict[str, Any]:
    """What is known of an id, of each kind the first that was found; window: None if not known.

    Raises NotReadable.
    """
    from streams.commands._live import NOT_WRITTEN, not_readable

    try:
        spec = msgspec.convert(live.json("spec"), ModelSpec)
        return {
            "model": live.name,
            "id": id_,
            "waiting": next(
                (_waits(live.name, spec, id_, f, f.sample, window) for f in found if f.sample), None
            ),
            "early": next((_kept(spec, f.partition, f.early, window) for f in found if f.early), None),
            "joined": next((_place(f.partition) for f in found if f.joined), None),
        }
    except NOT_WRITTEN as error:
        raise not_readable(live.name, error) from None


def _place(partition: Partition) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.number}


def _waits(
    model: str, spec: ModelSpec, id_: str, found: Found, sample: StoredSample, window: Window | None
) -> dict[str, Any]:
    time = sample.timestamp
    until = None if window is None else time + window.horizon
    samples, labels = (None if clock == NEVER else clock for clock in found.clocks)
    return {
        **_place(found.partition),
        "offset": sample.offset,
        "timestamp": time,
        "weight": sample.weight,
        **_served(model, spec, id_, found.partition, sample),
        "log_offset": found.log_offset,
        "sample_time": samples,
        "label_time": labels,
        "waited_seconds": max(0, max(found.clocks) - time) / 1000,
        "label_from": None if window is None else time - window.patience,
        "label_until": until,
        "waits_until": None if window is None or until is None else until + window.patience,
    }


def _served(
    model: str, spec: ModelSpec, id_: str, partition: Partition, sample: StoredSample
) -> dict[str, Any]:
    """The prediction in the words of the predictions topic."""
    numbers = np.array([sample.prediction], dtype=np.float64).reshape(1, spec.outputs)
    (message,) = PredictionEncoder(model, spec).encode(
        [id_], numbers, np.zeros(1, np.int64), partition.topic, partition.number, np.array([sample.offset])
    )
    decoded = msgspec.json.decode(message)
    return {name: decoded[name] for name in _SERVED if name in decoded}


def _kept(spec: ModelSpec, partition: Partition, early: EarlyLabel, window: Window | None) -> dict[str, Any]:
    return {
        "topic": partition.label_topic,
        "partition": partition.number,
        "offset": early.offset,
        "label": spec.classes[int(early.label)] if spec.classes else early.label,
        "weight": early.weight,
        "timestamp": early.time,
        "kept_until": None if window is None else early.time + window.patience,
    }


def show_sample(console: Console, document: dict[str, Any]) -> None:
    """For people."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("sample", document["id"])
    waiting, early, joined = (document[name] for name in ("waiting", "early", "joined"))
    for row in (*_waiting_rows(waiting), *_early_rows(early)):
        table.add_row(*row)
    if joined is not None:
        table.add_row("joined", f"in {_named(joined)}, one of the last there whose labels have come")
    console.print(table)
    if waiting is not None and early is not None and waiting["partition"] != early["partition"]:
        console.print(
            "! sample and label are in partitions of different numbers and will not meet: do their producers "
            "set the sample's id as key, and hash it alike?",
            style="bold yellow",
        )


def _waiting_rows(waiting: dict[str, Any] | None) -> list[tuple[str, str]]:
    from streams.commands._check_retention import duration
    from streams.commands._common import number_text
    from streams.commands._labels_shown import time_text

    if waiting is None:
        return []
    clocks = [
        f"{what} until {time_text(waiting[key])}"
        for what, key in (("samples", "sample_time"), ("labels", "label_time"))
        if waiting[key] is not None
    ]
    shares = [] if "probability" not in waiting else [("probability", waiting["probability"])]
    shares += (waiting.get("probabilities") or {}).items()
    number = waiting["prediction"]
    texts = [str(number) if isinstance(number, str | int) else number_text(number)]
    predicted = ", ".join([*texts, *(f"{name} {number_text(p)}" for name, p in shares)])
    where = f"in {_named(waiting)} @{waiting['offset']:,}"
    rows = [
        ("waits", f"{where}, as of learning log offset {waiting['log_offset']:,}"),
        ("since", f"{time_text(waiting['timestamp'])}, for {duration(waiting['waited_seconds'] * 1000)}"),
        ("clocks", ", ".join(clocks)),
        ("prediction", predicted),
    ]
    if waiting["label_until"] is not None:
        between = f"{time_text(waiting['label_from'])} to {time_text(waiting['label_until'])}"
        rows.append(("label", f"in time from {between}"))
        rows.append(("expires", f"when a clock is past {time_text(waiting['waits_until'])}"))
    return rows


def _early_rows(early: dict[str, Any] | None) -> list[tuple[str, str]]:
    from streams.commands._labels_shown import time_text

    if early is None:
        return []
    label = f"{early['label']} of {time_text(early['timestamp'])}, in {_named(early)} @{early['offset']:,}"
    rows = [("early label", label)]
    if early["kept_until"] is not None:
        rows.append(("kept", f"until the samples' clock is past {time_text(early['kept_until'])}"))
    return rows


def _named(place: dict[str, Any]) -> str:
    return f"{place['topic']}-{place['partition']}"
