"""Contenders do the work that they are timed for, and a ratio is made of laps beside each other."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks.kernels.__main__ import main
from benchmarks.kernels.contest import OURS, Contest, Lap, Result, pinned, race
from benchmarks.kernels.contests import linear, machine, network, sparse_samples
from benchmarks.kernels.report import Kernels, cells
from benchmarks.kernels.torch_network import installed
from benchmarks.tables import model_spec, toml

RESULT = Result(
    "linear",
    {
        OURS: [Lap(100, 1e-4, 1e-4, 0.5), Lap(100, 2e-4, 2e-4, 0.5), Lap(100, 4e-4, 4e-4, 0.5)],
        "VW": [Lap(10, 2e-5, 2e-5, 0.5), Lap(10, 2e-5, 2e-5, 0.5), Lap(10, 4e-5, 4e-5, None)],
    },
    {"VW": 1.0},
)


def test_a_ratio_is_made_of_laps_beside_each_other() -> None:
    own = RESULT.microseconds(OURS)
    assert [own.median, own.min, own.max] == pytest.approx([2.0, 1.0, 4.0])
    found = RESULT.ratio("VW")  # 2 ÷ 1, 2 ÷ 2, 4 ÷ 4
    assert [found.median, found.min, found.max] == pytest.approx([1.0, 1.0, 2.0])


def test_the_table_has_a_row_for_each_peer_with_its_target() -> None:
    (row,) = cells([RESULT])
    assert row[:2] == ["linear", "VW"]
    assert row[-1] == "≥ 1 ×"
    assert row[-2].startswith("1.00 (1.00 – 2.00)")


def test_a_results_file_reads_back_as_it_was(tmp_path: Path) -> None:
    kept = Kernels("2026-01-02T03:04:05Z", {"cores": 2}, [RESULT])
    path = kept.write(tmp_path)
    assert msgspec.json.decode(path.read_bytes(), type=Kernels) == kept


def test_laps_run_on_one_core_in_turns_after_one_that_does_not_count() -> None:
    seen: list[str] = []

    class Contender:
        def __init__(self, name: str) -> None:
            self.name = name

        def lap(self) -> Lap:
            seen.append(self.name)
            assert os.sched_getaffinity(0) == {core}
            return Lap(1, 1.0, 1.0, 0.5)

    before, core = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
    with pinned(core):
        result = race(Contest("any", Contender(OURS), [Contender("VW")], {}), 2, print)
    assert seen == [OURS, "VW"] * 3
    assert os.sched_getaffinity(0) == before
    assert [len(laps) for laps in result.laps.values()] == [2, 2]


@pytest.mark.parametrize("nonzeros", [10, 40])
def test_vw_and_ours_learn_the_same_rows(nonzeros: int, tmp_path: Path) -> None:
    result = race(linear(tmp_path, 5_000, nonzeros), 1, print)
    assert list(result.laps) == [OURS, "VW"]
    (ours,), (theirs,) = result.laps.values()
    assert ours.rows == theirs.rows == 5_000
    assert min(ours.cpu_seconds, theirs.cpu_seconds) > 0.0
    assert ours.log_loss == pytest.approx(theirs.log_loss, rel=0.2)


def test_machines_learn_on_ten_fields(tmp_path: Path) -> None:
    result = race(machine(tmp_path, 2_000), 1, print)
    assert list(result.laps) == [OURS, "VW", "River"]
    losses = {name: lap.log_loss or 0.0 for name, (lap,) in result.laps.items()}
    assert 0.0 < losses[OURS] < 0.8
    assert 0.0 < losses["River"] < 0.8
    assert losses["VW"] > 0.0  # it draws its first factors from [0, 1), and needs longer to forget them


@pytest.mark.parametrize("batch", [1, 32])
def test_a_network_learns_products_beside_pytorch_where_that_is_installed(batch: int) -> None:
    result = race(network(20_000, batch), 1, print)
    assert list(result.laps) == [OURS, *["PyTorch"] * installed()]
    assert all(lap.log_loss is not None and lap.log_loss < 0.69 for (lap,) in result.laps.values())


def test_rows_are_the_same_at_every_run_and_labels_can_be_learned() -> None:
    indices, labels = sparse_samples(1_000, 10)
    again, labels_again = sparse_samples(1_000, 10)
    assert (indices == again).all()
    assert (labels == labels_again).all()
    assert 0.4 < labels.mean() < 0.6


def test_a_table_is_read_as_a_user_would_have_written_it() -> None:
    table = {
        "task": "binary",
        "features": {"numeric": ["a", 'b"c'], "scaling": "none"},
        "optimizer": {"name": "sgd", "learning_rate": 0.5},
    }
    assert toml(table["optimizer"]) == '{ name = "sgd", learning_rate = 0.5 }'
    spec = model_spec(table)
    assert [one.name for one in spec.features.numeric] == ["a", 'b"c']
    assert spec.optimizer.learning_rate == 0.5


def test_a_quick_look_prints_ratios_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.kernels.__main__.RESULTS", tmp_path)
    result = CliRunner().invoke(main, ["--rows", "10000", "--repeats", "1", "--quick"])
    assert result.exit_code == 0, result.output
    assert "hashed logistic regression, 10 non-zeros" in result.output
    assert ("PyTorch is not installed and was left out" in result.output) is not installed()
    assert not list(tmp_path.iterdir())
