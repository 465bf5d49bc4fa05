"""How much is redone when 1, 2, 4 and 8 workers share a model: python -m benchmarks.rebase -h.

Every worker redoes what it has pending when others' records come first. Measured is the share of samples
that were learned again, with a backlog and at a steady rate, and whether a worker that is stopped half of
the time (SIGSTOP, SIGCONT) holds up the others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click
import msgspec

from benchmarks.document import conditions, markdown_table, write_section
from benchmarks.fleet import Fleet, create_model, redone_share, seconds, servers, wait_learned
from benchmarks.peers import SETTINGS
from benchmarks.samples import FEATURES, LEARNING_RATE, encoded_samples
from benchmarks.stream import Stream
from models.errors import GradstreamError

PARTITIONS = 8
PAUSE_SECONDS = 1.0
TITLE = "Rebase under load"
TEXT = """\
`python -m benchmarks.rebase`: {samples:,} samples of ten numeric features on {partitions} partitions, real
worker processes, which share this machine's cores with the servers. Redone: samples learned again because
another worker's records came first, for each sample processed. Lame: one of the workers is stopped every
other second; others: samples a second of the other workers together, until all is learned.

{table}

{conditions}
"""


class Case(msgspec.Struct):
    """One measurement: so many workers, the rate offered (None: a backlog), one of them lame or not."""

    workers: int
    rate: float | None
    lame: bool


class Measured(msgspec.Struct):
    """What came of it."""

    case: Case
    samples_per_second: float
    others_per_second: float
    """Of all workers but the first, which is the lame one."""
    share_redone: float
    records_ignored: int
    samples_pending: float
    """Median over the workers of what each typically had pending."""


@contextmanager
def lame(process: subprocess.Popen[bytes], active: bool) -> Iterator[None]:
    """Stop and continue a process in turn as long as the block runs; does nothing unless `active`."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            process.send_signal(signal.SIGSTOP)
            ended.wait(PAUSE_SECONDS)
            process.send_signal(signal.SIGCONT)
            ended.wait(PAUSE_SECONDS)

    thread = threading.Thread(target=run, daemon=True)
    if active:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if active:
            thread.join()


async def measure(kafka: str, redis: str, folder: Path, values: list[bytes], case: Case) -> Measured:
    """One case, on a model and topics of its own; raises BenchmarkError."""
    name = f"rebase-{os.getpid()}-{case.workers}-{case.rate or 0:.0f}{'-lame' if case.lame else ''}"
    samples, features = f"{name}.samples", msgspec.json.encode(FEATURES).decode()
    text = SETTINGS.format(
        kafka=kafka, redis=redis, name=name, samples=samples, labels="", rate=LEARNING_RATE, features=features
    )
    config = folder / f"{name}.toml"
    create_model(config, text, PARTITIONS)
    stream = Stream(kafka, samples, PARTITIONS, case.rate)
    await stream.build(values)
    with Fleet(config, name, case.workers) as fleet:
        fleet.wait_assigned(PARTITIONS)
        with lame(fleet.processes[0], case.lame):
            await stream.send()
            wait_learned(fleet, redis, len(values), timeout=600)
        reports = fleet.stop()
    took = seconds(reports)
    others = reports[1:]
    return Measured(
        case,
        samples_per_second=len(values) / took,
        others_per_second=sum(one.samples for one in others) / seconds(others) if others else 0.0,
        share_redone=redone_share(reports),
        records_ignored=max(one.records_ignored for one in reports),
        samples_pending=median(one.samples_pending for one in reports),
    )


def _row(one: Measured) -> list[str]:
    case = one.case
    offered = "backlog" if case.rate is None else f"{case.rate:,.0f}/s"
    return [
        f"{case.workers}{', one lame' if case.lame else ''}",
        offered,
        f"{one.samples_per_second:,.0f}",
        f"{one.others_per_second:,.0f}" if case.workers > 1 else "",
        f"{one.share_redone:.2f}",
        f"{one.samples_pending:,.0f}",
        f"{one.records_ignored:,}",
    ]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--samples", type=click.IntRange(min=1), default=400_000, help="In the backlog.")
@click.option("--workers", default="1,2,4,8", help="How many, one measurement each.")
@click.option(
    "--rate", type=float, default=20_000.0, help="Samples a second where it is steady; 0: leave it out."
)
@click.option("--document/--no-document", default=True, help="Write the section in docs/results.md.")
def main(samples: int, workers: str, rate: float, document: bool) -> None:
    """The share of work that is redone by several workers on one model; JSON on standard output."""
    load = os.getloadavg()[0]
    counts = [int(one) for one in workers.split(",")]
    cases = [Case(count, None, False) for count in counts]
    cases += [Case(count, rate, False) for count in counts if rate]
    cases += [Case(count, None, True) for count in counts if count > 1]
    values = list(encoded_samples(samples))
    measured = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="gradstream-rebase-") as folder,
            servers(Path(folder)) as (k, r),
        ):
            for case in cases:
                one = asyncio.run(measure(k, r, Path(folder), values, case))
                click.echo("  ".join(_row(one)), err=True)
                measured.append(one)
                time.sleep(1)  # the servers come to rest
    except GradstreamError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
    header = ["workers", "offered", "samples/s", "others", "redone", "pending (median)", "records ignored"]
    table = markdown_table(header, list(map(_row, measured)))
    click.echo(f"\n{table}", err=True)
    if document:
        text = TEXT.format(samples=samples, partitions=PARTITIONS, table=table, conditions=conditions(load))
        write_section("rebase", TITLE, text)


if __name__ == "__main__":
    main()
