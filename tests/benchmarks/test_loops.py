"""The loops of the suite do the work that they are timed for: real servers and processes, 500 samples."""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks.loops.vw import TABLES, text_of
from benchmarks.suite.contestants import Contestant, Loop
from benchmarks.suite.measured import Effort
from benchmarks.suite.paced import Paced
from benchmarks.suite.parts import DENSE, PARTS
from benchmarks.suite.place import Place
from benchmarks.suite.race import Race
from benchmarks.suite.saves import Saves
from tests.benchmarks.test_peers import read_predictions
from tests.servers import Servers

SAMPLES = 500
RACES = {part.name: part for part in PARTS if isinstance(part, Race)}
ALIKE = [("dense-10", "river"), ("dense-10", "kafka-python-river"), ("log-cost", "without-log")]
VALID = [("dense-10", "vw"), ("dense-10", "vw-api"), ("sparse-40", "vw")]
Served = list[dict[str, Any]]


@pytest.fixture(scope="module")
def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder, cores = tmp_path_factory.mktemp("loops"), sorted(os.sched_getaffinity(0))
    return Place(
        servers.kafka, servers.redis, folder, cores[-1], cores, f"{folder.name}-{os.getpid()}", keeps=True
    )


def contestant(race: str, name: str) -> Contestant:
    return next(one for one in RACES[race].entered if one.name == name)


def run(place: Place, race: str, name: str) -> Served:
    """The predictions of one run, in the order of their samples; `run` has checked that each has one."""
    found = RACES[race].run(place, contestant(race, name), SAMPLES)
    assert (found.peer, found.samples) == (name, SAMPLES)
    assert found.rate > 0
    return read_predictions(place.kafka, f"{place.prefix}-{race}-{name}-1.predictions")


@pytest.fixture(scope="module")
def expected(place: Place) -> Served:
    """As naive Faust and River serve them."""
    return run(place, "dense-10", "naive")


@pytest.mark.parametrize(("race", "name"), ALIKE)
def test_a_loop_predicts_what_naive_predicts(race: str, name: str, place: Place, expected: Served) -> None:
    for one, other in zip(run(place, race, name), expected, strict=True):
        assert one == other | {"probability": pytest.approx(other["probability"], rel=1e-9)}


@pytest.mark.parametrize(("race", "name"), VALID)
def test_vw_serves_each_sample_a_probability_and_learns(race: str, name: str, place: Place) -> None:
    found = run(place, race, name)
    assert [one["offset"] for one in found] == list(range(SAMPLES))
    probabilities = [one["probability"] for one in found]
    assert probabilities[0] == 0.5
    assert all(0.0 <= one <= 1.0 for one in probabilities)
    assert max(probabilities) - min(probabilities) > 0.5


@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_vw_gets_the_text_that_a_sample_says(kind: str) -> None:
    value = {
        "numbers": b'{"features":{"x0":-1.5,"x1":2e-7},"label":1}',
        "strings": b'{"features":{"c0":"c0_17","c1":"c1_4"},"label":0}',
    }[kind]
    text = {"numbers": "1 | x0:-1.5 x1:2e-7", "strings": "-1 | c0=c0_17 c1=c1_4"}[kind]
    assert text_of(value, TABLES[kind]) == text


@pytest.mark.parametrize("name", ["expert", "pass-through"])
def test_a_loop_writes_to_all_of_16_partitions(name: str, place: Place) -> None:
    RACES["dense-10-of-16"].run(place, contestant("dense-10-of-16", name), SAMPLES)  # counts them


def test_getmany_reads_all_and_writes_nothing(place: Place) -> None:
    RACES["dense-10"].run(place, contestant("dense-10", "getmany"), SAMPLES)
    assert not place.records(f"{place.prefix}-dense-10-getmany-1.predictions")


@pytest.mark.parametrize("echo", ["confluent", "aiokafka"])
def test_an_echo_comes_back_within_milliseconds(echo: str, place: Place) -> None:
    entered = (Loop(f"echo-{echo}", f"loops.echo_{echo}"),)
    part = Paced("paced", "", "", rate=500.0, seconds=0.3, warm=0.2, table=DENSE, entered=entered)
    rows, _ = part.measure(place, Effort(repeats=1))
    (p50,), (p99,) = rows[f"echo-{echo}"]["p50"], rows[f"echo-{echo}"]["p99"]
    assert 0.0 < p50 <= p99 < 5_000.0


def test_saves_are_timed_with_and_without_what_was_touched(place: Place) -> None:
    rows, _ = Saves(bits=12).measure(place, Effort(repeats=2))
    assert [len(rows[one]["milliseconds"]) for one in ("touched", "all")] == [2, 2]
    assert 0.0 < rows["touched"]["kilobytes"][0] <= rows["all"]["kilobytes"][0]
