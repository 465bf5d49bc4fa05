"""The state of labels that come late, for people: counts, delays, where each partition stands."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.table import Table

COUNTS = ("joined", "expired", "dropped", "early", "repeated", "unmatched", "corrections")
FULL = 0.8
"""Share of the samples that may wait at which somebody should look."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Delays(msgspec.Struct):
    """How much later than their samples labels were."""

    count: int
    mean_seconds: float | None
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None


class Standing(msgspec.Struct):
    """Of one partition; times in ms, None before the first."""

    waiting: int
    early_waiting: int
    sample_time: int | None
    label_time: int | None


class LabelCounts(msgspec.Struct):
    """What a checkpoint's field `labels` holds (LateFold.document)."""

    waiting: int
    joined: int
    expired: int
    dropped: int
    early: int
    repeated: int
    unmatched: int
    corrections: int
    delays: Delays
    partitions: dict[str, Standing]
    offsets: dict[str, int]

    def of(self, partition: str) -> str | None:
        """The partition of the labels topic that belongs to one of the samples topic, by their numbers."""
        number = partition.rpartition("-")[2]
        return next((name for name in self.offsets if name.rpartition("-")[2] == number), None)


def label_alarms(counts: LabelCounts, limit: int | None, topic_partitions: int) -> list[str]:
    """What somebody has to look after; limit: waiting_limit, None if not known."""
    found = []
    share = max(1, (limit or 0) // max(1, topic_partitions, len(counts.partitions)))
    name, most = max(((n, at.waiting) for n, at in counts.partitions.items()), key=_second, default=("", 0))
    if limit is not None and most > FULL * share:
        found.append(
            f"{counts.waiting:,} samples wait, {most / share:.0%} of what may wait in {name} "
            f"(waiting_limit {limit:,}, an equal share for each partition): do labels come, with the ids of "
            "samples as keys? At 100% those that wait for longest are let go"
        )
    if counts.dropped:
        found.append(
            f"{counts.dropped:,} samples were let go before their labels came, because more waited than "
            "waiting_limit: raise it, or lower label_horizon"
        )
    return found


def counts_table(document: dict[str, Any]) -> Table:
    """What became of samples and labels; `document`: the key `labels` of `inspect --json`."""
    from rich.table import Table

    from streams.commands._check_retention import duration

    table = Table.grid(padding=(0, 2))
    limit, taken = document["redis"]["limit"], document["redis"]["waiting_bytes"]
    allowed = "" if limit is None else f" of {limit:,}"
    memory = "" if taken is None else f", {bytes_text(taken)} in Redis"
    table.add_row("waiting", f"{document['waiting']:,}{allowed}{memory}")
    for name in COUNTS:
        table.add_row(name, f"{document[name]:,}")
    table.add_row("lag of labels", "?" if document["lag"] is None else f"{document['lag']:,}")
    delays = document["delays"]
    if delays["count"]:
        names = ("mean", "p50", "p90", "p99")
        texts = [f"{name} {duration(delays[f'{name}_seconds'] * 1000)}" for name in names]
        table.add_row("delay", ", ".join(texts))
    return table


def partitions_table(counts: LabelCounts) -> Table:
    """What waits in each partition, and up to when its topics have come."""
    from streams.commands._common import plain_table

    numbers = ["waiting", "early labels"]
    table = plain_table("partition", *numbers, "samples until", "labels until", right=numbers)
    for name, at in sorted(counts.partitions.items()):
        clocks = [("-" if time is None else time_text(time)) for time in (at.sample_time, at.label_time)]
        table.add_row(name, f"{at.waiting:,}", f"{at.early_waiting:,}", *clocks)
    return table


def bytes_text(count: int) -> str:
    """A size in kB or MB."""
    return f"{count / 1e3:,.1f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def time_text(milliseconds: int) -> str:
    """A time in RFC 3339; beyond the year 9999 the number itself."""
    try:
        time = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
