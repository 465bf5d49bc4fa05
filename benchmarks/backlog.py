"""Memory of one worker through a backlog of 10 million records: python -m benchmarks.backlog -h.

Resident memory is read once a second until the worker has drained the topic. With --dead-letters every record
is invalid, so that each becomes a dead letter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from statistics import median

import click
import msgspec
import psutil
from confluent_kafka import Producer

from benchmarks.document import RESULTS, conditions, markdown_table, write_section
from benchmarks.fleet import WorkerReport, create_model, seconds, servers
from benchmarks.peers import GRADSTREAM, SETTINGS
from benchmarks.plot import Line, svg
from benchmarks.report import REPORT_VARIABLE
from benchmarks.samples import FEATURES, LEARNING_RATE, QUIET, encoded_samples
from benchmarks.watch import BenchmarkError, last_line
from models.errors import GradstreamError
from streams.demo.processes import own_environment

REPEATED = 200_000
"""Different samples; a larger backlog says them again."""
WARM_SECONDS = 10
INVALID = b'{"features": {"x0": "far", "x1": 1.5}, "label": 1, "note": "%s"}' % (b"-" * 120)
TEXT = """\
`{command}`: one worker on {records:,} records of {size:.0f} bytes that wait on one partition, {what}.
Resident memory of the process, Python and all libraries included, read once a second.

{table}

![Resident memory](images/{image})

{conditions}
"""


class Drained(msgspec.Struct):
    """One drained backlog. memory: bytes, once a second."""

    records: int
    seconds: float
    memory: list[int]

    @property
    def steady(self) -> list[int]:
        """Memory after the start, all of it if there is no more."""
        return self.memory[WARM_SECONDS:] or self.memory


def values(records: int, invalid: bool, label: bool = True) -> Iterator[bytes]:
    """The records' values."""
    if invalid:
        yield from repeat(INVALID, records)
        return
    known = list(encoded_samples(min(records, REPEATED), label=label))
    for i in range(records):
        yield known[i % len(known)]


def fill(kafka: str, topic: str, records: int, invalid: bool, label: bool = True) -> int:
    """Put the backlog on the topic, with or without labels; its size in bytes. Raises BenchmarkError."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "linger.ms": 20,
            "batch.size": 900_000,
            "queue.buffering.max.messages": 200_000,
            **QUIET,
        }
    )
    size = 0
    for i, value in enumerate(values(records, invalid, label)):
        while True:
            try:
                producer.produce(topic, value, partition=0)
                break
            except BufferError:
                producer.poll(0.1)
        size += len(value)
        if i % 50_000 == 0:
            producer.poll(0)
    if left := producer.flush(120):
        raise BenchmarkError(f"{left} records were not acknowledged within two minutes")
    return size


def drain(config: Path, records: int) -> Drained:
    """Run a worker until it has drained the topic; raises BenchmarkError when it fails."""
    report, log = config.with_suffix(".json"), config.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(GRADSTREAM), "--config", str(config), "worker", "--drain"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**own_environment(), REPORT_VARIABLE: str(report)},
        )
    memory, watched = [], psutil.Process(process.pid)
    try:
        while process.poll() is None:
            memory.append(watched.memory_info().rss)
            time.sleep(1.0)
    except psutil.NoSuchProcess:
        process.wait()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BenchmarkError(f"the worker ended with status {process.returncode}: {last_line(log)}")
    found = msgspec.json.decode(report.read_bytes(), type=WorkerReport)
    return Drained(records, seconds([found]), [one for one in memory if one])


def measure(records: int, invalid: bool) -> tuple[Drained, int]:
    """Fill, drain; what was seen, and the size of the backlog in bytes."""
    with tempfile.TemporaryDirectory(prefix="gradstream-backlog-") as folder, servers(Path(folder)) as (k, r):
        name = f"backlog-{os.getpid()}"
        samples, features = f"{name}.samples", msgspec.json.encode(FEATURES).decode()
        config = Path(folder) / f"{name}.toml"
        text = SETTINGS.format(
            kafka=k, redis=r, name=name, samples=samples, labels="", rate=LEARNING_RATE, features=features
        )
        create_model(config, text, partitions=1)
        begun = time.monotonic()
        size = fill(k, samples, records, invalid)
        click.echo(f"{records:,} records are on the topic after {time.monotonic() - begun:.0f} s", err=True)
        return drain(config, records), size


def _table(drained: Drained) -> str:
    steady: Sequence[float] = [one / 1e6 for one in drained.steady]
    cells = [
        f"{drained.records:,}",
        f"{drained.seconds:.1f}",
        f"{drained.records / drained.seconds:,.0f}",
        *(f"{value:.0f}" for value in (min(steady), median(steady), max(steady))),
    ]
    after = f"after {WARM_SECONDS} s" if len(drained.memory) > WARM_SECONDS else "all the time"
    header = ["records", "seconds", "records/s", f"least MB ({after})", "median MB", "most MB"]
    return markdown_table(header, [cells])


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--records", type=click.IntRange(min=1), help="[default: 10000000; 200000 with --dead-letters]")
@click.option("--dead-letters", is_flag=True, help="Every record is invalid.")
@click.option(
    "--document/--no-document", default=True, help="Write the section in docs/results.md, and the plot."
)
def main(records: int | None, dead_letters: bool, document: bool) -> None:
    """Resident memory and speed of one worker that drains a backlog."""
    load = os.getloadavg()[0]
    count = records or (200_000 if dead_letters else 10_000_000)
    try:
        drained, size = measure(count, dead_letters)
    except GradstreamError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    table = _table(drained)
    click.echo(table)
    if not document:
        return
    name = "dead-letters" if dead_letters else "backlog"
    image = f"{name}-memory.svg"
    line = Line("resident memory", [(float(second), one / 1e6) for second, one in enumerate(drained.memory)])
    picture = RESULTS.parent / "images" / image
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(svg([line], "seconds", "MB", limit=500.0), "utf-8")
    text = TEXT.format(
        command=f"python -m benchmarks.backlog{' --dead-letters' if dead_letters else ''}",
        records=count,
        size=size / count,
        what="every one of them invalid" if dead_letters else "samples of ten numeric features",
        table=table,
        image=image,
        conditions=conditions(load),
    )
    title = "Memory when every record is a dead letter" if dead_letters else "Memory through a backlog"
    write_section(name, title, text)


if __name__ == "__main__":
    main()
