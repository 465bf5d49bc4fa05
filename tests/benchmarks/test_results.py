"""The stream is the same for everybody, and the numbers in the table are what they say."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks.peers import Run
from benchmarks.report import Report
from benchmarks.results import Results, Spread, summarise
from benchmarks.run import main
from benchmarks.samples import FEATURES, encoded_samples


def test_the_stream_is_the_same_at_every_run_and_a_shorter_one_is_its_beginning() -> None:
    longer = list(encoded_samples(10_500))
    assert list(encoded_samples(10_500)) == longer
    assert list(encoded_samples(300)) == longer[:300]


def test_a_sample_is_about_181_bytes_of_ten_named_numbers_and_a_label() -> None:
    encoded = list(encoded_samples(5_000))
    assert 179 < sum(map(len, encoded)) / len(encoded) < 183
    decoded = [msgspec.json.decode(value) for value in encoded]
    assert all(list(sample["features"]) == list(FEATURES) for sample in decoded)
    assert {sample["label"] for sample in islice(decoded, 100)} == {0, 1}


def test_the_end_is_the_later_of_last_prediction_and_last_append() -> None:
    assert Report(1.0, 3.0, samples=10).seconds == 2.0
    assert Report(1.0, 3.0, samples=10, last_append_acked=4.5).seconds == 3.5
    assert Report(1.0, 3.0, samples=10, last_append_acked=2.0).seconds == 2.0


RUNS = [
    Run("ours", samples=100, seconds=1.0, cpu_seconds=0.5, peak_bytes=300_000_000),
    Run("naive", samples=10, seconds=4.0, cpu_seconds=3.0, peak_bytes=200_000_000),
    Run("ours", samples=100, seconds=2.0, cpu_seconds=0.7, peak_bytes=310_000_000),
    Run("naive", samples=10, seconds=5.0, cpu_seconds=3.5, peak_bytes=200_000_000),
    Run("ours", samples=100, seconds=4.0, cpu_seconds=0.6, peak_bytes=320_000_000),
    Run("naive", samples=10, seconds=2.0, cpu_seconds=2.5, peak_bytes=200_000_000),
]


def test_a_ratio_is_made_of_runs_that_stood_beside_each_other() -> None:
    ours, naive = summarise(RUNS)
    assert ours.rate == Spread(50.0, 25.0, 100.0)
    assert ours.ratio is None
    assert naive.rate == Spread(2.5, 2.0, 5.0)
    assert naive.ratio == Spread(25.0, 5.0, 40.0)  # 100 ÷ 2.5, 50 ÷ 2, 25 ÷ 5
    assert naive.target == 30.0
    assert ours.cpu_microseconds.median == pytest.approx(6_000.0)
    assert ours.peak_megabytes == Spread(310.0, 300.0, 320.0)


def test_without_ours_there_is_no_ratio() -> None:
    (naive,) = summarise([run for run in RUNS if run.peer == "naive"])
    assert naive.ratio is None
    assert naive.target is None


def test_a_results_file_reads_back_as_it_was(tmp_path: Path) -> None:
    results = Results("2026-01-02T03:04:05Z", {"repeats": 3}, {"cores": 2}, summarise(RUNS), RUNS)
    path = results.write(tmp_path / "results")
    assert path.name == "2026-01-02T030405Z.json"
    assert msgspec.json.decode(path.read_bytes(), type=Results) == results


@pytest.mark.parametrize("peers", ["ours,theirs", "", "naive,naive"])
def test_unknown_no_or_repeated_peers_are_wrong_usage(peers: str) -> None:
    result = CliRunner().invoke(main, ["--peers", peers])
    assert result.exit_code == 2
    assert "peer" in result.output
