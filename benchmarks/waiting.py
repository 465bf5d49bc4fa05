"""A million samples that wait for labels: memory, and a start from there: python -m benchmarks.waiting -h.

The samples have no labels, and none comes. A worker reads them all and stops; then it is started again, and
the time until it has predicted one more sample is compared with that of a model of which nothing waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import msgspec
import psutil
import redis
from confluent_kafka import Consumer, TopicPartition

from benchmarks.backlog import drain, fill
from benchmarks.document import conditions, markdown_table, write_section
from benchmarks.fleet import create_model, servers
from benchmarks.peers import GRADSTREAM, SETTINGS
from benchmarks.samples import FEATURES, LEARNING_RATE, QUIET
from benchmarks.watch import BenchmarkError
from models.errors import GradstreamError
from streams.demo.processes import own_environment

SECONDS = 120.0
TEXT = """\
`python -m benchmarks.waiting`: samples of ten numeric features that wait for labels which never come, on one
partition. `start`: from the start of the process to the first prediction, Python and all libraries included;
median of {repeats}.

{table}

While the worker read them, its resident memory was {peak:.0f} MB at most; Redis holds {stored:.0f} MB of
them.

{conditions}
"""


@dataclass(frozen=True)
class Model:
    """A late-label model of its own."""

    kafka: str
    name: str
    config: Path

    @property
    def samples(self) -> str:
        """Its samples topic."""
        return f"{self.name}.samples"

    @classmethod
    def made(cls, kafka: str, url: str, folder: Path, name: str) -> Model:
        """With its topics, on one partition."""
        model = cls(kafka, name, folder / f"{name}.toml")
        text = SETTINGS.format(
            kafka=kafka,
            redis=url,
            name=name,
            samples=model.samples,
            labels=f'labels = "{name}.labels"\nlabel_horizon = "1d"\nwaiting_limit = 10_000_000\n',
            rate=LEARNING_RATE,
            features=msgspec.json.encode(FEATURES).decode(),
        )
        create_model(model.config, text, partitions=1)
        return model

    def predicted(self) -> int:
        """How many predictions there are."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "waiting", **QUIET})
        try:
            _, high = consumer.get_watermark_offsets(
                TopicPartition(f"{self.name}.predictions", 0), timeout=30
            )
        finally:
            consumer.close()
        return int(high)

    def start(self) -> tuple[float, int]:
        """One more sample, and a worker: seconds to its prediction, and memory of the process then."""
        fill(self.kafka, self.samples, 1, invalid=False, label=False)
        before, begun = self.predicted(), time.monotonic()
        process = subprocess.Popen(
            [str(GRADSTREAM), "--config", str(self.config), "worker"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=own_environment(),
        )
        try:
            while self.predicted() == before:
                if process.poll() is not None or time.monotonic() - begun > SECONDS:
                    raise BenchmarkError(f"{self.name}: no prediction within {SECONDS:.0f} s")
                time.sleep(0.01)
            return time.monotonic() - begun, psutil.Process(process.pid).memory_info().rss
        finally:
            process.terminate()
            process.wait(30)


def measure(samples: int, repeats: int) -> tuple[str, float, float]:
    """The table, MB of the worker at most, MB in Redis."""
    with tempfile.TemporaryDirectory(prefix="gradstream-waiting-") as folder, servers(Path(folder)) as (k, r):
        models = {0: Model.made(k, r, Path(folder), "empty"), samples: Model.made(k, r, Path(folder), "full")}
        full = models[samples]
        fill(k, full.samples, samples, invalid=False, label=False)
        peak = max(drain(full.config, samples).memory)
        starts = {count: [model.start() for _ in range(repeats)] for count, model in models.items()}
        with redis.Redis.from_url(r) as client:
            stored = int(client.memory_usage("gradstream:{full}:waiting:0") or 0)
    seconds = {count: median(one for one, _ in found) for count, found in starts.items()}
    rows = [
        [
            f"{count:,}",
            f"{seconds[count]:.1f}",
            f"{seconds[count] / seconds[0]:.1f} ×",
            f"{median(one for _, one in starts[count]) / 1e6:.0f}",
        ]
        for count in models
    ]
    header = ["samples that wait", "start, s", "of an empty one's", "memory then, MB"]
    return markdown_table(header, rows), peak / 1e6, stored / 1e6


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--samples", type=click.IntRange(min=1), default=1_000_000, help="That wait.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, help="Starts of each.")
@click.option("--document/--no-document", default=True, help="Write the section in docs/results.md.")
def main(samples: int, repeats: int, document: bool) -> None:
    """Memory and starts of a worker whose samples wait for their labels."""
    load = os.getloadavg()[0]
    try:
        table, peak, stored = measure(samples, repeats)
    except GradstreamError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(f"{table}\n{peak:.0f} MB at most, {stored:.0f} MB in Redis")
    if document:
        text = TEXT.format(
            repeats=repeats, table=table, peak=peak, stored=stored, conditions=conditions(load)
        )
        write_section("waiting", "A million samples that wait for their labels", text)


if __name__ == "__main__":
    main()
