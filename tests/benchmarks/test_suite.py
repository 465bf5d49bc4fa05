"""The suite's figures are what they say: ratios of neighbours, goals by their medians, one section."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from benchmarks.bars import Bar
from benchmarks.bars import svg as bars
from benchmarks.results import Spread
from benchmarks.suite.__main__ import main
from benchmarks.suite.goals import GOALS, Goal
from benchmarks.suite.measured import MEASURES, Measured, Rows, keep, load
from benchmarks.suite.paced import latencies
from benchmarks.suite.parts import PARTS
from benchmarks.suite.report import cells, document, header
from benchmarks.suite.streams import DENSE_10, FLIGHTS, FLIGHTS_LATE, LABELS, SPARSE_40, Stream
from benchmarks.watch import BenchmarkError

MACHINE: dict[str, object] = {"cpu": "a", "cores": 2, "kafka": "4"}


def measured(name: str, rows: Rows) -> Measured:
    return Measured(name, "2026-01-02T03:04:05Z", (0.5, 1.5), {"samples": 1_000}, MACHINE, rows)


RACE = measured("race", {"ours": {"rate": [100.0, 50.0, 30.0]}, "peer": {"rate": [50.0, 50.0, 10.0]}})


def goal(least: float | None = None, most: float | None = None, aim: float | None = None) -> Goal:
    return Goal("fast", "race", ("ours", "rate"), ("peer", "rate"), least=least, most=most, aim=aim)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (goal(least=2.0), "met"),
        (goal(least=2.1), "not met"),
        (goal(least=1.5, aim=2.0), "met, and the aim"),
        (goal(least=1.5, aim=2.5), "met"),
        (goal(most=2.0), "met"),
        (goal(most=1.9), "not met"),
        (goal(most=3.0, aim=2.0), "met, and the aim"),
        (goal(most=3.0, aim=1.0), "met"),
    ],
)
def test_a_goal_is_met_by_the_median_of_ratios_of_neighbours(asked: Goal, verdict: str) -> None:
    found = asked.found({"race": RACE})
    assert found == Spread(2.0, 1.0, 3.0)  # 100 ÷ 50, 50 ÷ 50, 30 ÷ 10
    assert asked.verdict(found) == verdict


def test_a_goal_about_a_figure_alone_has_its_unit() -> None:
    asked = Goal("fold", "race", ("ours", "rate"), least=2.0, factor=0.1, unit="M", digits=1)
    assert asked.row({"race": RACE}) == ["fold", "≥ 2 M", "5.0 (3.0 – 10.0) M", "met"]


@pytest.mark.parametrize("known", [{}, {"race": measured("race", {"ours": RACE.rows["ours"]})}])
def test_what_was_not_measured_is_not_met_and_not_missed(known: dict[str, Measured]) -> None:
    assert goal(least=1.0).row(known) == ["fast", "≥ 1 ×", "", "not measured"]


def test_every_goal_is_about_something_that_the_suite_measures() -> None:
    parts = {part.name: part for part in PARTS}
    assert len(parts) == len(PARTS)
    for one in GOALS:
        assert (one.least is None) is not (one.most is None)
        for who, measure in filter(None, (one.figure, one.against)):
            assert who in parts[one.part].contestants
            assert measure in MEASURES


def test_a_table_has_figures_and_the_ratios_to_the_first() -> None:
    assert header(RACE, ("rate",)) == ["", "samples/s", "ours ÷ it, samples/s"]
    ours, peer = cells(RACE, ("rate",))
    assert ours == ["ours", "50 (30 – 100)", ""]
    assert peer == ["peer", "50 (10 – 50)", "2.00 (1.00 – 3.00) ×"]


def test_a_part_that_is_measured_again_takes_the_place_of_its_last_figures(tmp_path: Path) -> None:
    path, other = tmp_path / "suite.json", measured("other", {})
    assert load(path) == {}
    keep(path, {"race": measured("race", {}), "other": other})
    assert keep(path, {"race": RACE}) == load(path) == {"race": RACE, "other": other}


def test_the_section_has_each_measured_part_with_its_picture_and_the_goals(tmp_path: Path) -> None:
    part = PARTS[0]
    figures = {name: {"rate": [3e5, 4e5], "cpu": [2.0, 3.0]} for name in part.contestants}
    path = tmp_path / "results.md"
    document(PARTS, {part.name: measured(part.name, figures)}, path)
    text = path.read_text()
    assert part.title in text
    assert PARTS[1].title not in text
    assert text.count("not measured") == sum(one.part != part.name for one in GOALS)
    picture = tmp_path / "images" / f"suite-{part.name}.svg"
    assert f"images/{picture.name}" in text
    assert ElementTree.parse(picture).getroot() is not None


def test_bars_stand_in_their_picture_and_are_as_long_as_they_say() -> None:
    drawn = bars([Bar("a", Spread(10.0, 9.0, 12.0)), Bar("b", Spread(5.0, 5.0, 5.0))], "samples/s", 0)
    root = ElementTree.fromstring(drawn)
    width = float(root.attrib["viewBox"].split()[2])
    long, short = (one.attrib for one in root.iter() if one.get("class") == "bar")
    assert float(long["width"]) == pytest.approx(2 * float(short["width"]), abs=0.2)
    assert float(long["x"]) + float(long["width"]) < width


def test_latency_is_that_of_a_samples_first_prediction_and_echoes_count_in_order() -> None:
    sent = [0.0, 1.0, 2.0]
    predictions = [
        (0.5, b'{"offset":0}'),
        (2.25, b'{"offset":2}'),
        (2.5, b'{"offset":1}'),
        (9.0, b'{"offset":1}'),
    ]
    assert latencies(sent, predictions, skipped=1) == [1_500.0, 250.0]
    echoes = [(at, b'{"label":1}') for at in (0.5, 1.25, 2.5)]
    assert latencies(sent, echoes, skipped=1) == [250.0, 500.0]
    with pytest.raises(BenchmarkError, match="1 of 3 samples have no prediction, the first: 2"):
        latencies(sent, echoes[:2], skipped=1)


@pytest.mark.parametrize("stream", [DENSE_10, SPARSE_40, FLIGHTS], ids=lambda one: one.name)
def test_a_stream_is_the_same_at_every_run_and_a_shorter_one_is_its_beginning(stream: Stream) -> None:
    longer = list(stream.records(400))
    assert list(stream.records(400)) == longer
    shorter = list(stream.records(300))
    assert shorter == longer[: len(shorter)]
    assert len(shorter) > 290  # of flights some have no label


def test_late_labels_stand_on_a_topic_of_their_own() -> None:
    endings = [ending for ending, _, _ in FLIGHTS_LATE.records(300)]
    assert 0 < endings.count(LABELS) <= endings.count("") < 300  # some never left


@pytest.mark.parametrize(
    "arguments", [["--workloads", "nothing"], ["--peers", "nobody"], ["--workloads", "fm,fm"]]
)
def test_what_the_suite_does_not_have_is_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "expected" in result.output
