"""The simulation loses nothing, is held up by what is slow, and agrees with the formulas where it must."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.scaling.model import binding, limits, load
from benchmarks.scaling.sim_parts import Setup
from benchmarks.scaling.simulate import simulate
from streams.pacing import TARGET
from tests.benchmarks.test_scaling import COSTS, PLACE


def setup(workers: int, rate: float, **more: float | int | None) -> Setup:
    return dataclasses.replace(Setup(COSTS, workers, rate, seconds=1.0, until=60.0, warm=60.0), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("rate", [10_003, 1e6])
def test_all_samples_are_learned_once_by_every_worker(workers: int, rate: float) -> None:
    found = simulate(setup(workers, rate, seconds=0.2))
    count = int(0.2 * rate)
    assert found.processed == found.logged == count
    assert found.folded == (count,) * workers
    assert 0 < found.busy <= 1
    assert found.redone <= 1.25 * TARGET
    assert (found.redone == found.unseen == 0) == (workers == 1)


def test_what_is_overloaded_is_never_used_more_than_all_the_time() -> None:
    for workers in (1, 4, 16):
        found = simulate(setup(workers, 1e7, seconds=2.0, until=2.0, warm=0.5, network=200e6, bandwidth=50e6))
        assert found.log_busy <= 1.0 + 1e-9
        assert max(found.busy, found.log_busy) > 0.5
        assert found.busy <= 1.1, "what is begun before the end is counted as a whole"
        assert found.logged <= found.processed
        assert max(found.folded) <= found.logged
        assert found.throughput <= 1.1 * 200e6 / (100 * (workers + 2))


def test_at_a_low_load_it_agrees_with_the_formula() -> None:
    for workers in (1, 4):
        found = simulate(setup(workers, 20_000, seconds=2.0, until=2.0, warm=0.5))
        computed = load(COSTS, PLACE, workers, 20_000, found.batch)
        again = computed.again * found.redone
        assert found.throughput == pytest.approx(20_000, rel=0.03)
        assert found.busy == pytest.approx(computed.total - computed.again + again, rel=0.1)


def test_one_worker_on_its_core_comes_to_what_the_formula_allows() -> None:
    found = simulate(setup(1, 1e7, seconds=3.0, until=3.0, warm=1.0))
    assert found.throughput == pytest.approx(binding(limits(COSTS, PLACE, 1))[1], rel=0.05)


def test_the_log_of_a_slow_partition_and_a_slow_leader_is_what_holds_up() -> None:
    slow = simulate(setup(4, 1e6, seconds=6.0, until=6.0, warm=3.0, bandwidth=10e6))
    assert slow.throughput == pytest.approx(10e6 / 102, rel=0.15)
    leader = simulate(setup(4, 1e6, seconds=6.0, until=6.0, warm=3.0, network=60e6))
    assert leader.throughput == pytest.approx(60e6 / (102 * 6), rel=0.15)


def test_workers_that_share_cores_with_the_servers_are_slower() -> None:
    apart = simulate(setup(2, 1e7, seconds=0.05))
    shared = simulate(setup(2, 1e7, seconds=0.05, cores=1, servers=4.0))
    assert shared.folded == apart.folded
    assert shared.throughput < 0.6 * apart.throughput


def test_the_same_setup_gives_the_same_figures() -> None:
    assert simulate(setup(3, 1e5)) == simulate(setup(3, 1e5))
