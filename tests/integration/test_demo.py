"""gradstream demo as a user runs it: in a process of its own, on a stack of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import redis

from infra.local import LocalStack, Status
from infra.settings import load_settings
from models.kernels.fold import SERVE
from models.model import Model
from streams.demo import config
from streams.demo.baselines import encoded, in_order
from streams.demo.scores import score
from streams.demo.traffic import MINUTE, NEVER, Traffic, load

BIN = Path(sys.executable).parent
FLIGHTS = 29_000  # two days of February, for the frozen model to differ
FEW = 1_000


@dataclass(frozen=True)
class Done:
    """A demo that has ended."""

    code: int
    out: str
    err: str


def demo(cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demo without terminal, in a session of its own: a Ctrl-C of ours is not meant for it."""
    return subprocess.Popen(
        [BIN / "gradstream", "demo", *arguments],
        cwd=cwd,
        env={**os.environ, "GRADSTREAM_REDIS__URL": "redis://127.0.0.1:1/0"},  # must not count
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=180)
    return Done(process.returncode, out, err)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Everything that runs with `folder` among its arguments: servers and workers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = " ".join(process.info["cmdline"] or [])
        if str(folder) in arguments and process.pid != os.getpid():
            found.append(process)
    return found


def worker_of(folder: Path) -> psutil.Process:
    """The demo's worker, once it runs."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        for process in processes_in(folder):
            arguments = process.info["cmdline"]
            if arguments[-1] == "worker" and "env" not in Path(arguments[0]).name:
                return process
        time.sleep(0.1)
    raise AssertionError("no worker")


@contextmanager
def running(cwd: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with demo(cwd, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Kept:
    """A demo that ended well and left its servers up."""

    cwd: Path
    done: Done

    @property
    def folder(self) -> Path:
        return self.cwd / ".gradstream" / "local"

    @property
    def client(self) -> redis.Redis:
        status = LocalStack(self.folder).status()
        assert status.redis is not None
        return redis.Redis.from_url(status.redis, decode_responses=True)

    def line(self, what: str) -> str:
        """The printed line to type next that contains `what`."""
        found = [
            line.strip() for line in self.done.out.splitlines() if line.startswith("  ") and what in line
        ]
        assert len(found) == 1, self.done.out
        return found[0]

    def type(self, what: str) -> str:
        """Type that line as it stands, in a shell where the user is."""
        done = subprocess.run(
            self.line(what), shell=True, cwd=self.cwd, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    cwd = tmp_path_factory.mktemp("kept")
    try:
        done = ended(demo(cwd, "--keep", "--flights", str(FLIGHTS)))
        assert done.code == 0, done.err
        yield Kept(cwd, done)
    finally:
        LocalStack(cwd / ".gradstream" / "local").stop()


@pytest.fixture(scope="module")
def sent() -> Traffic:
    """What that demo sends."""
    return load(FLIGHTS)


def scores(out: str, name: str) -> list[float | None]:
    """The numbers of one row of the table."""
    [row] = [line for line in out.splitlines() if line.startswith(name)]
    return [None if cell == "-" else float(cell) for cell in row.removeprefix(name).split()]


def test_the_model_beats_both_baselines(kept: Kept) -> None:
    live = scores(kept.done.out, "learning from every flight")
    frozen = scores(kept.done.out, "same learner, frozen after January")
    base_rate = scores(kept.done.out, "running base rate")
    for other in (frozen, base_rate):
        assert live[0] < other[0]
        assert live[3] < other[3]


def test_the_scores_are_those_that_inspect_tells(kept: Kept) -> None:
    gradstream = kept.line("inspect flights")
    told = subprocess.run(
        f"{gradstream} --json", shell=True, cwd=kept.cwd, capture_output=True, text=True, check=True
    )
    metrics = json.loads(told.stdout)["metrics"]
    log_loss, auc, accuracy, _ = scores(kept.done.out, "learning from every flight")
    assert metrics["log_loss"] == pytest.approx(log_loss, abs=6e-5)
    assert metrics["roc_auc"] == pytest.approx(auc, abs=2e-4)  # a histogram's against the exact one
    assert metrics["accuracy"] == pytest.approx(accuracy, abs=6e-5)


def test_every_label_is_joined_and_what_never_lands_is_given_up_a_day_later(
    kept: Kept, sent: Traffic
) -> None:
    labels = json.loads(kept.type('" labels'))
    never = sent.departed[sent.landed == NEVER]
    clock = max(int(sent.landed[sent.last_landing]), int(sent.departed[-1]))
    given_up = int((clock - 10 * MINUTE > never + config.HORIZON_HOURS * 60 * MINUTE).sum())
    assert 0 < given_up <= len(never)
    assert (labels["joined"], labels["expired"]) == (sent.labelled, given_up)
    assert labels["waiting"] == len(never) - given_up == int(kept.type("waiting:0"))
    assert [labels[name] for name in ("repeated", "unmatched", "corrections")] == [0, 0, 0]
    assert f"{sent.labelled:,} landed" in kept.done.out
    assert f"{given_up:,} given up" in kept.done.out
    assert f"{labels['waiting']:,} in the air when the stream ends" in kept.done.out


def test_the_delays_are_those_of_the_flights(kept: Kept, sent: Traffic) -> None:
    delays = (sent.landed - sent.departed)[sent.landed != NEVER] / 1000
    told = json.loads(kept.type('" labels'))["delays"]
    assert told["count"] == sent.labelled
    assert told["mean_seconds"] == pytest.approx(delays.mean(), rel=1e-9)
    for percent in (50, 90):
        assert told[f"p{percent}_seconds"] == pytest.approx(np.percentile(delays, percent), rel=0.126)


def test_nothing_is_learned_before_it_has_landed(kept: Kept, sent: Traffic, tmp_path: Path) -> None:
    """As good as a model that gets each label exactly when it comes; one that gets it at once is better."""
    path = config.write(tmp_path, Status(tmp_path, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    spec = load_settings(path, env={}).models[config.MODEL].spec()
    rows = encoded(spec, sent.samples)
    went, origin = in_order(rows, sent.labels, sent.order)
    on_time = Model(spec).join(went, np.zeros((len(went), 1)), origin).served[origin == SERVE, 0]
    rows.labels = sent.labels
    at_once = Model(spec).predict_and_learn(rows).served[:, 0]
    exact, cheating = (score(sent.labels, p).log_loss for p in (on_time, at_once))
    live = scores(kept.done.out, "learning from every flight")[0]
    assert exact is not None
    assert cheating is not None
    assert live is not None
    assert live == pytest.approx(exact, abs=2e-4)
    assert exact - cheating > 0.01


def test_the_weights_shown_are_those_in_redis(kept: Kept) -> None:
    table = kept.done.out.split("heaviest weights in Redis")[1].split("\n\n")[0].splitlines()[1:]
    shown = {name: float(weight) for name, weight in map(str.split, table)}
    with kept.client as client:
        stored = {k: float(v) for k, v in client.hgetall("gradstream:{flights}:weights").items()}
    assert len(shown) == 10
    assert shown == {name: pytest.approx(stored[name], abs=6e-5) for name in shown}
    assert min(map(abs, shown.values())) >= sorted(map(abs, stored.values()))[-10] - 6e-5


def test_the_lines_to_type_next_work_as_they_stand(kept: Kept) -> None:
    with kept.client as client:
        dep_delay = client.hget("gradstream:{flights}:weights", "dep_delay")
        samples = int(client.hget("gradstream:{flights}", "samples_learned") or 0)
    assert dep_delay is not None
    assert kept.type('weights" dep_delay').strip() == dep_delay
    assert f"dep_delay\n{dep_delay}\n" in kept.type("HGETALL")
    assert 0 < json.loads(kept.type("metrics"))["log_loss"] < 1
    tailed = kept.type("tail flights.predictions")
    assert len(tailed.splitlines()) == 5
    assert "UA-1545-EWR-2013-01-01" in tailed.splitlines()[0]
    assert f"{samples:,}" in kept.type("inspect flights")


def test_without_a_terminal_there_are_plain_lines(kept: Kept) -> None:
    for text in (kept.done.out, kept.done.err):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert f"{FLIGHTS:,} flights were scheduled" in kept.done.out
    at = r"2013-\d\d-\d\d \d\d:\d\d UTC"
    line = rf"{at}  [\d,]+ left  [\d,]+ landed  [\d,]+ in the air.*  log loss 0\.\d.*\(frozen 0\."
    times = [found[:20] for found in re.findall(line, kept.done.err)]
    assert times
    assert times == sorted(times)


def test_only_the_servers_stay_up(kept: Kept) -> None:
    status = LocalStack(kept.folder).status()
    assert status.ready
    commands = [process.info["cmdline"] for process in processes_in(kept.cwd)]
    assert not [command for command in commands if "worker" in command or "demo" in command]


def test_a_second_demo_starts_from_nothing_on_the_same_servers(kept: Kept) -> None:
    before = LocalStack(kept.folder).status()
    done = ended(demo(kept.cwd, "--keep", "--flights", str(FEW)))
    assert done.code == 0, done.err
    assert LocalStack(kept.folder).status() == before
    with kept.client as client:
        assert 900 < int(client.hget("gradstream:{flights}", "samples_learned") or 0) < FEW
    assert "same learner, frozen" not in done.out  # January has not ended


def test_a_topic_that_is_not_the_demos_is_left_alone(kept: Kept) -> None:
    file = kept.folder / config.FILE
    text = file.read_text()
    file.unlink()
    try:
        done = ended(demo(kept.cwd, "--keep", "--flights", str(FEW)))
        assert done.code == 1
        assert re.fullmatch(
            r"gradstream: topic flights.* is there already, and not from a demo; .*--dir", last(done.err)
        )
        assert not file.exists()
    finally:
        file.write_text(text)
    assert len(kept.type("tail flights.predictions").splitlines()) == 5


def test_a_demo_without_keep_leaves_nothing_behind(tmp_path: Path) -> None:
    done = ended(demo(tmp_path, "--flights", str(FEW)))
    assert done.code == 0, done.err
    folder = temporary_folder(done.err)
    assert not folder.exists()
    assert not processes_in(folder)
    assert not list(tmp_path.iterdir())
    assert "--keep" in done.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_ends_everything_that_it_started(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with running(tmp_path, "--dir", "here") as process:
        worker_of(tmp_path / "here")
        process.send_signal(number)
        done = ended(process)
    assert done.code == code
    assert "Traceback" not in done.err
    assert not processes_in(tmp_path)


def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    with running(tmp_path, "--dir", "here") as process:
        worker_of(tmp_path / "here")
        process.kill()
    until = time.monotonic() + 60
    while processes_in(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_worker_that_dies_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    with running(tmp_path, "--dir", "here") as process:
        worker_of(tmp_path / "here").kill()
        done = ended(process)
    assert done.code == 1
    assert last(done.err).startswith("gradstream: the worker ended early")
    assert "Traceback" not in done.err
    assert not processes_in(tmp_path)


def last(err: str) -> Any:
    return err.strip().splitlines()[-1]


def temporary_folder(err: str) -> Path:
    found = re.search(r"--config (\S+)/gradstream\.toml topics create", err)
    assert found is not None
    return Path(found[1])
