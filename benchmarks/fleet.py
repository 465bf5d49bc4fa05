"""Several worker processes on one model, from outside: started, waited for, ended, their reports read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import redis

from benchmarks.peers import GRADSTREAM
from benchmarks.report import REPORT_VARIABLE
from benchmarks.watch import BenchmarkError, last_line
from infra.local import LocalStack
from infra.redis_store import model_key
from streams.demo.processes import own_environment

KAFKA_VARIABLE = "GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "GRADSTREAM_REDIS__URL"
JOIN_SECONDS = 90.0
END_SECONDS = 60.0


class WorkerReport(msgspec.Struct):
    """What one worker says of itself at its end; times by the clock of the reports, None: never happened."""

    samples: int
    """Predicted, and learned where labelled."""
    samples_redone: int
    """Learned again, because other workers' records came first."""
    samples_pending: float
    """Median of what was pending when a batch was processed."""
    records_ignored: int
    """Of the learning log, by everybody."""
    first_record: float | None = None
    last_append_acked: float | None = None


def redone_share(reports: Sequence[WorkerReport]) -> float:
    """Samples learned again, for each sample that was processed, over all workers."""
    return sum(one.samples_redone for one in reports) / max(1, sum(one.samples for one in reports))


def seconds(reports: Sequence[WorkerReport]) -> float:
    """From the first record that any worker received to the last append that was acknowledged."""
    first = min(one.first_record for one in reports if one.first_record is not None)
    return max(one.last_append_acked for one in reports if one.last_append_acked is not None) - first


class Fleet:
    """`count` workers of the model `name`, whose settings stand in `config`. A context manager.

    They end with the block, by force when it fails.
    """

    def __init__(self, config: Path, name: str, count: int, cores: Sequence[int] | None = None) -> None:
        """`cores`: that they share; None: this process's."""
        self.name = name
        self.processes: list[subprocess.Popen[bytes]] = []
        self._folder = config.parent
        for worker in range(count):
            with self.log(worker).open("wb") as log:
                process = subprocess.Popen(
                    [str(GRADSTREAM), "--config", str(config), "worker"],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**own_environment(), REPORT_VARIABLE: str(self._report(worker))},
                    preexec_fn=partial(os.sched_setaffinity, 0, cores or os.sched_getaffinity(0)),
                )
            self.processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def log(self, worker: int) -> Path:
        """Where a worker's log lines are."""
        return self._folder / f"{self.name}-{worker}.log"

    def check(self) -> None:
        """Raises BenchmarkError when one has ended."""
        for worker, process in enumerate(self.processes):
            if process.poll() is not None:
                raise BenchmarkError(f"worker {worker} ended: {last_line(self.log(worker))}")

    def wait_assigned(self, partitions: int) -> None:
        """Until the workers share all partitions, each with some where there are enough of them."""
        deadline = time.monotonic() + JOIN_SECONDS
        while True:
            self.check()
            owned = [len(self._owned(worker)) for worker in range(len(self.processes))]
            if sum(owned) == partitions and sum(map(bool, owned)) == min(len(owned), partitions):
                return
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the workers own {owned} partitions, expected {partitions} in all")
            time.sleep(0.1)

    def stop(self) -> list[WorkerReport]:
        """SIGTERM to all; their reports. Raises BenchmarkError when one does not end well."""
        self.check()
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        reports = []
        for worker, process in enumerate(self.processes):
            if process.wait(END_SECONDS):
                raise BenchmarkError(f"worker {worker} failed: {last_line(self.log(worker))}")
            reports.append(msgspec.json.decode(self._report(worker).read_bytes(), type=WorkerReport))
        return reports

    def _report(self, worker: int) -> Path:
        return self._folder / f"{self.name}-{worker}.json"

    def _owned(self, worker: int) -> dict[str, int]:
        """The partitions of a worker's last assignment."""
        owned: dict[str, int] = {}
        for line in self.log(worker).read_text(errors="replace").splitlines():
            if '"assigned"' in line:
                owned = json.loads(line)["partitions"]
        return owned


def checkpoint(redis_url: str, name: str) -> dict[str, str]:
    """The readable part of a model's checkpoint; empty before the first save."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        found: dict[str, str] = client.hgetall(model_key(name))
        return found


def wait_learned(fleet: Fleet, redis_url: str, count: int, timeout: float) -> dict[str, Any]:
    """Until the checkpoint has learned from `count` samples; the checkpoint. Raises BenchmarkError."""
    deadline = time.monotonic() + timeout
    while True:
        found = checkpoint(redis_url, fleet.name)
        learned = int(found.get("samples_learned", 0))
        if learned >= count:
            return found
        fleet.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{learned} samples learned after {timeout:.0f} s, expected {count}")
        time.sleep(0.2)


def create_model(config: Path, text: str, partitions: int) -> None:
    """Write a settings file and create its topics; raises BenchmarkError."""
    config.write_text(text, "utf-8")
    number = str(partitions)
    create = [str(GRADSTREAM), "topics", "create", "--config", str(config), "--partitions", number]
    done = subprocess.run(create, capture_output=True, text=True, timeout=60, env=own_environment())
    if done.returncode:
        raise BenchmarkError(f"{' '.join(create)} failed: {done.stderr.strip()}")


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """Kafka and Redis that answer: those that the environment names, else a local stack in `folder`."""
    kafka, url = os.environ.get(KAFKA_VARIABLE), os.environ.get(REDIS_VARIABLE)
    if kafka and url:
        yield kafka, url
        return
    with LocalStack(folder) as stack:
        status = stack.status()
        if status.kafka is None or status.redis is None:
            raise BenchmarkError(f"the local stack in {folder} does not answer")
        yield status.kafka, status.redis
