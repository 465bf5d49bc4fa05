"""The formulas are what they say, by hand; costs, sizes and the page follow from them."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks.scaling import __main__ as command
from benchmarks.scaling.client import with_client
from benchmarks.scaling.costs import measure
from benchmarks.scaling.live import Run
from benchmarks.scaling.log_speed import Log
from benchmarks.scaling.model import (
    CPU,
    FOLD,
    LEADER,
    LOG,
    NETWORK,
    STAGES,
    Costs,
    Line,
    Place,
    Save,
    binding,
    fold_limit,
    limits,
    load,
    own_microseconds,
)
from benchmarks.scaling.report import document
from benchmarks.scaling.sizing import size
from benchmarks.scaling.study import QUICK, Study, beyond, compare
from benchmarks.scaling.tables import parts
from benchmarks.scaling.workloads import DENSE_10, SPARSE_40, fetched

PLACE = Place(log=200e6, network=1000e6, replicas=3, save_every=1.0, round_trip=0.002)
COSTS = Costs(
    name="by hand",
    stages={
        "parse": Line(0, 1.0),
        "learn": Line(100, 0.5),
        "write": Line(0, 0.25),
        "encode": Line(100, 0.05),
        "transport": Line(800, 0.7),
        "read": Line(0, 0.1),
        "decode": Line(100, 0.1),
        "fold": Line(0, 0.3),
        "undo": Line(0, 0.1),
        "redo": Line(0, 0.4),
    },
    log_bytes=Line(1000, 100.0),
    sample_bytes=250.0,
    prediction_bytes=150.0,
    save=Save(microseconds=10_000, bytes=1e6, stored=2e6),
    idle=10_000.0,
)
RUN = Run("dense-10", 1, 100_000, None, 50_000.0, 5.0, 1_000.0, 0.0, 4.0, 100.0, 3_000_000, 1_000.0, 200.0)


def test_a_line_goes_through_both_batches_and_has_no_negative_part() -> None:
    line = Line.through(100, 150.0, 1_100, 650.0)
    assert (line.fixed, line.each) == (100.0, 0.5)
    assert (line.of(200), line.share(200)) == (200.0, 1.0)
    assert Line.through(100, 10.0, 1_000, 1_000.0) == Line(0.0, 1.0)
    assert Line.through(100, 10.0, 1_000, 5.0) == Line(10.0, 0.0)


def test_the_load_of_a_worker_by_hand() -> None:
    # own: 1 + 0.6 + 0.25 + 0.15 + 1.5 + 0.1 µs, foreign: 0.1 + 0.2 + 0.3 µs, again: 0.5 µs, at 1,000 a batch
    found = load(COSTS, PLACE, workers=4, rate=400_000, n=1_000)
    assert found.own == pytest.approx(0.1 * 3.6)
    assert found.foreign == pytest.approx(0.3 * 0.6)
    assert found.again == pytest.approx(0.1 * 2 * 0.5)  # taken back twice at most
    assert found.still == pytest.approx(0.02)
    assert own_microseconds(COSTS, 4, 1_000) == pytest.approx(3.6 + 3 * 0.6 + 1.0)


def test_the_limits_by_hand() -> None:
    found = limits(COSTS, PLACE, workers=8, n=1_000)  # 101 bytes a sample on the log
    assert found[LOG] == pytest.approx(200e6 / 101)
    assert found[LEADER] == pytest.approx(1000e6 / (101 * 10))
    assert found[NETWORK] == pytest.approx(1000e6 / (101 + 250 / 8))
    assert found[CPU] == pytest.approx(0.98 * 8e6 / (3.6 + 7 * 0.6 + 1.0))
    assert binding(found) == (CPU, found[CPU])
    assert binding(limits(COSTS, PLACE, workers=9, n=1_000))[0] == LEADER


def test_cpu_grows_with_workers_towards_the_fold_and_the_leader_allows_less() -> None:
    each = [limits(COSTS, PLACE, workers, n=1_000) for workers in range(1, 65)]
    cpu = [next(iter(found.values())) for found in each]
    assert all(a < b for a, b in pairwise(cpu))
    assert cpu[-1] < fold_limit(COSTS, 1_000) == pytest.approx(1e6 / 0.6)
    assert all(a[LEADER] > b[LEADER] for a, b in pairwise(each))
    assert len({found[LOG] for found in each}) == 1
    assert next(iter(each[0])) == CPU
    assert next(iter(each[-1])) == FOLD


def test_one_worker_takes_nothing_back() -> None:
    found = load(COSTS, PLACE, 1, 1e5, 1_000)
    assert found.foreign == found.again == 0


def test_a_size_uses_no_limit_by_more_than_it_may_and_one_log_more_only_when_it_must() -> None:
    for rate in (1e3, 1e5, 1e6, 1e7):
        found = size(COSTS, PLACE, rate, used=0.6)
        by, most = binding(limits(COSTS, PLACE, found.workers))
        assert found.by == by
        assert rate / found.models <= 0.6 * most
        assert found.day == pytest.approx(found.models * found.log * 86_400)
        assert found.cores < found.models * found.workers
    assert size(COSTS, PLACE, 1e3).models == size(COSTS, PLACE, 1e3).workers == 1
    assert size(COSTS, PLACE, 1e7).models > 1


def test_what_does_not_keep_up_is_shared_by_one_model_more() -> None:
    found = size(COSTS, PLACE, 1e6, holds=lambda workers, rate: workers == 1)
    assert found.workers == 1
    most = binding(limits(COSTS, PLACE, 1))[1]
    assert 1e6 / found.models <= 0.6 * most < 1e6 / (found.models - 1)


def test_what_the_clients_cost_is_what_is_left_of_a_real_worker() -> None:
    bare = msgspec.structs.replace(
        COSTS, stages={k: v for k, v in COSTS.stages.items() if k not in ("transport", "read")}
    )
    paced = msgspec.structs.replace(RUN, cpu=20.0, record=200.0, read=110.0)
    found = with_client(bare, Log(1e8, 0.001, 50.0), RUN, paced)
    assert found.stages["read"] == Line.through(200, 110.0, 1_000, 200.0)
    # parse, learn and write of batches of 100, encode, fetch and read of records of 200, saves, and the rest
    explained = 1.0 + 1.5 + 0.25 + 0.55 + 0.25 + 0.55 + 10_000 / RUN.rate
    assert found.stages["transport"].of(100) == pytest.approx(100 * (20.0 - explained))
    assert (found.idle, found.save.stored) == (1_000.0, 3e6)
    other = with_client(bare, Log(1e8, 0.001, 50.0), RUN, None, found)
    assert other.stages["transport"].fixed <= found.stages["transport"].fixed
    assert other.stages["transport"].of(other.full) == pytest.approx(found.stages["transport"].of(found.full))


def test_stages_are_measured_and_every_sample_reaches_the_log() -> None:
    found = measure(DENSE_10, samples=2_000, repeats=1)
    assert set(found.stages) == set(STAGES) - {"transport", "fetch", "read"}
    assert all(line.share(1_000) > 0 for line in found.stages.values())
    assert 110 < found.log_bytes.each < 130, "15 numbers of 8 bytes"
    assert 180 < found.sample_bytes < 210


def test_records_that_were_not_fetched_look_as_if_they_had_been() -> None:
    values = SPARSE_40.values(3)
    records, size_ = fetched(values, first=7)
    assert [record.offset for record in records] == [7, 8, 9]
    assert [record.value for record in records] == values
    assert size_ > sum(map(len, values))


def test_tables_page_and_picture_are_made_of_one_study(tmp_path: Path) -> None:
    costs = msgspec.structs.replace(
        COSTS, name="dense-10", stages={name: COSTS.stages.get(name, Line()) for name in STAGES}
    )
    log = Log(2e8, 0.002, 100.0)
    effort = dataclasses.replace(QUICK, few=0.05, many=0.02)
    more = beyond(costs, PLACE, effort, lambda _: None)
    sized = [size(costs, PLACE, rate) for rate in (1e3, 1e7)]
    study = Study([costs], log, [compare(costs, log, RUN)], more, sized)
    page = tmp_path / "scaling.md"
    page.write_text("# Scaling\n\nWords.\n")
    for _ in range(2):
        document(study, "a machine", page)
    text = page.read_text()
    assert text.startswith("# Scaling\n\nWords.\n")
    assert text.count("<!-- scaling: begin -->") == 1
    assert all(text.count(f"### {part.title}\n") == 1 for part in parts(study))
    assert all(len(row) == len(part.header) for part in parts(study) for row in part.rows)
    ElementTree.fromstring((tmp_path / "images" / "scaling.svg").read_text())


def test_the_command_says_what_it_does() -> None:
    result = CliRunner().invoke(command.main, ["--help"])
    assert result.exit_code == 0
    assert "--quick" in result.output
