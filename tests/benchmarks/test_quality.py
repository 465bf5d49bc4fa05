"""Everybody learns the same samples and is judged by the same code."""

from __future__ import annotations

import math
import tomllib
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from river import preprocessing

from benchmarks.quality import settings
from benchmarks.quality.__main__ import main, merged
from benchmarks.quality.named import Named
from benchmarks.quality.ours import Ours, OursSetting
from benchmarks.quality.race import Outcome, Tried, run
from benchmarks.quality.report import Comparison, comparisons, table, verdict
from benchmarks.quality.river_peer import River, RiverSetting
from benchmarks.quality.scores import score
from benchmarks.quality.settings import FAMILIES, Family
from benchmarks.quality.streams import SOURCES, Source, Stream
from benchmarks.quality.vw_peer import VW, VWSetting, _driven, _one_by_one
from models.features import Encoder
from models.rows import Float64
from models.spec import Task
from streams.demo import config


def make_stream(task: Task, n: int = 400) -> Stream:
    """Two numbers far from standard, two categories and their cross; labels depend on all of them."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(50.0, 20.0, n), rng.exponential(2.0, n)
    colours, sizes = rng.integers(0, 3, n), rng.integers(0, 4, n)
    raw = (a - 50) / 20 + colours - sizes / 2 + rng.normal(0, 0.5, n)
    samples = [
        {"a": x, "b": y, "colour": f"c{c}", "size": int(s)}
        for x, y, c, s in zip(a.tolist(), b.tolist(), colours, sizes, strict=True)
    ]
    features = {
        "numeric": ["a", "b"],
        "categorical": ["colour", "size"],
        "interactions": [["colour", "size"]],
        "hash_bits": 18,
    }
    labels = {"regression": raw, "binary": raw > 0, "multiclass": np.digitize(raw, [-0.5, 0.5])}[task]
    return Stream(
        task, features, samples, labels.astype(np.float64), {"binary": 2, "multiclass": 3}.get(task, 0)
    )


# One code judges


def test_log_loss_is_of_what_happened_and_certainty_is_clipped_for_everybody() -> None:
    probabilities = np.array([[0.8], [0.8], [0.0], [1.0]])
    found = score("binary", probabilities, np.array([1.0, 0.0, 1.0, 1.0]))
    expected = -(math.log(0.8) + math.log(0.2) + math.log(1e-15) + math.log(1 - 1e-15)) / 4
    assert found == {"log_loss": pytest.approx(expected), "error": 0.5}


def test_of_several_classes_the_true_ones_probability_counts() -> None:
    found = score("multiclass", np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), np.array([1.0, 2.0]))
    assert found == {"log_loss": pytest.approx(-(math.log(0.3) + math.log(0.8)) / 2), "error": 0.5}


def test_numbers_are_judged_by_root_mean_square_and_mean() -> None:
    found = score("regression", np.array([[1.0], [5.0]]), np.array([1.0, 1.0]))
    assert found == {"rmse": pytest.approx(math.sqrt(8.0)), "mae": 2.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e200])
def test_a_learner_that_diverged_has_no_score_and_loses(bad: float) -> None:
    found = score("regression", np.array([[1.0], [bad]]), np.array([1.0, 1.0]))
    assert found == {"rmse": None, "mae": None}
    assert Tried("fast", found).loss("rmse") == math.inf


# The same samples, the same features, the same arithmetic where it is the same algorithm


def test_peers_get_the_features_that_our_encoder_makes() -> None:
    stream = make_stream("binary")
    named = Named(stream)
    encoder = Encoder(Ours(stream).spec("linear", OursSetting()).features)
    for i, sample in enumerate(stream.samples[:50]):
        numbers = zip(named.columns, named.numeric[i].tolist(), strict=True)
        marks = ((name, 1.0) for name in named.indicators[i])
        assert [*numbers, *marks] == encoder.pairs(encoder.build(sample))


def test_numbers_standardised_for_vw_are_what_rivers_scaler_makes() -> None:
    named = Named(make_stream("binary"))
    scaler: Any = preprocessing.StandardScaler()
    rows = zip(*(m.tolist() for m in (named.numeric, named.scaled(False), named.scaled(True))), strict=True)
    for row, before, after in rows:
        x = dict(zip(named.columns, row, strict=True))
        assert list(scaler.transform_one(x).values()) == pytest.approx(before, abs=1e-9)
        scaler.learn_one(x)
        assert list(scaler.transform_one(x).values()) == pytest.approx(after, abs=1e-9)


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.03), ("adagrad", 0.1)])
def test_river_and_ours_predict_the_same_with_the_same_optimizer(name: str, rate: float) -> None:
    stream = make_stream("binary")
    optimizer = {"sgd": "SGD", "adagrad": "AdaGrad"}[name]
    theirs = River(stream).predict("linear", RiverSetting(optimizer, rate, constant=True), 400)
    ours = Ours(stream).predict(
        "linear", OursSetting({"optimizer": {"name": name, "learning_rate": rate}}), 400
    )
    assert ours == pytest.approx(theirs, rel=1e-7)


def test_vw_and_ours_predict_the_same_with_the_same_optimizer() -> None:
    stream = make_stream("binary")
    theirs = VW(stream).predict("linear", VWSetting("--sgd --power_t 0 -l 0.03", scaled=True), 400)
    ours = Ours(stream).predict(
        "linear", OursSetting({"optimizer": {"name": "sgd", "learning_rate": 0.03}}), 400
    )
    assert ours == pytest.approx(theirs, abs=1e-4)  # VW computes in float32


def test_vws_driver_and_its_single_calls_predict_the_same() -> None:
    vw = VW(make_stream("binary"))
    lines = vw._lines(scaled=True, own=True)
    arguments = "--quiet --loss_function logistic"
    assert _driven(arguments, lines) == pytest.approx(_one_by_one(arguments, lines, lines), abs=1e-5)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("system", [Ours, River, VW])
def test_every_system_learns_every_task_in_every_family_it_has(system: Any, task: Task) -> None:
    stream = make_stream(task)
    tables: dict[Any, dict[str, list[Any]]] = {Ours: settings.OURS, River: settings.RIVER, VW: settings.VW}
    unlearned = score(task, _mean_prediction(stream), stream.labels)
    for family, tried in tables[system].items():
        losses = []
        for setting in tried:
            predictions = system(stream).predict(family, setting, 400)
            assert predictions.shape == (400, stream.classes if task == "multiclass" else 1)
            losses.append(Tried("", score(task, predictions, stream.labels)).loss(_counted(task)))
        assert min(losses) < 0.9 * Tried("", unlearned).loss(_counted(task)), family


def _counted(task: Task) -> str:
    return "rmse" if task == "regression" else "log_loss"


def _mean_prediction(stream: Stream) -> Float64:
    """What somebody says who knows nothing but how often each label comes."""
    n = len(stream)
    if stream.task == "multiclass":
        return np.tile(np.bincount(stream.labels.astype(int)) / n, (n, 1))
    return np.full((n, 1), stream.labels.mean())


@pytest.mark.parametrize("system", [Ours, River, VW])
def test_everybody_knows_all_classes_before_the_first_sample(system: Any) -> None:
    stream = make_stream("multiclass")
    setting = {Ours: OursSetting(), River: RiverSetting(), VW: VWSetting()}[system]
    first = system(stream).predict("linear", setting, 5)[0]
    assert first == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_flights_have_exactly_the_demos_features_and_both_outcomes() -> None:
    late, delay = (source.load(0) for source in SOURCES[:2])
    table = tomllib.loads(config.TEXT.format(kafka="", redis=""))["models"][config.MODEL]
    assert late.features == delay.features == table["features"]
    assert len(late) == len(delay) == 327_346
    assert late.samples[:100] == delay.samples[:100]
    assert ((delay.labels > 15) == late.labels).all()


@pytest.mark.parametrize("source", SOURCES[2:], ids=lambda source: source.name)
def test_a_stream_is_the_same_at_every_run_and_has_what_it_declares(source: Source) -> None:
    first, again = source.load(source.seeds[0]), source.load(source.seeds[0])
    assert first.samples == again.samples
    assert (first.labels == again.labels).all()
    declared = [*first.features["numeric"], *first.features.get("categorical", [])]
    assert sorted(declared) == sorted(first.samples[0])
    assert first.classes == (0 if first.task == "regression" else len(np.unique(first.labels)))


def test_each_system_may_try_equally_many_settings_of_a_family() -> None:
    for family in FAMILIES:
        tables = (settings.OURS, settings.RIVER, settings.VW)
        sizes = {len(one[family.name]) for one in tables if family.name in one}
        assert len(sizes) == 1, family.name


def test_the_untuned_setting_names_no_optimizer_and_no_rate() -> None:
    for family in FAMILIES:
        assert settings.OURS[family.name][0] == OursSetting()
        assert "-l " not in settings.VW[family.name][0].arguments
    assert all(tried[0] == RiverSetting() for tried in settings.RIVER.values())


# The race


class Guess:
    """A system that is told how far it is off, in the first ten samples and later."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def predict(self, family: str, setting: Any, count: int) -> Float64:
        """Labels moved by what the setting says."""
        off = np.where(np.arange(count) < 10, setting.first, setting.later)
        return (self.stream.labels[:count] + off)[:, None]


class Off(msgspec.Struct, frozen=True):
    """A setting of Guess."""

    first: float
    later: float

    @property
    def text(self) -> str:
        """As one line."""
        return f"{self.first:g} then {self.later:g}"


def raced(family: Family) -> Outcome:
    stream = make_stream("regression")
    source = Source("made", "", partial(make_stream, "regression"))
    tried = [Off(3.0, 1.0), Off(1.0, 2.0), Off(2.0, 0.5)]
    return run(source, [stream], [Guess(stream)], family, tried, ("gradstream", "1"))


def test_a_setting_is_chosen_by_its_loss_over_everything() -> None:
    outcome = raced(Family("any"))
    assert outcome.samples == 400
    assert outcome.best.text == "2 then 0.5"
    assert outcome.untuned.text == "3 then 1"
    assert len(outcome.tried) == 3


def test_or_over_as_much_of_it_as_there_is_time_for() -> None:
    outcome = raced(Family("any", most=10))
    assert outcome.samples == 10
    assert outcome.best.text == "1 then 2"
    assert outcome.best.loss("rmse") == pytest.approx(1.0)
    assert outcome.untuned.loss("rmse") == pytest.approx(3.0)


# The report


def outcome(
    system: str, untuned: float | None, best: float, source: str = "iris", version: str = "1"
) -> Outcome:
    first, chosen = Tried("as it is", {"log_loss": untuned}), Tried("tuned", {"log_loss": best})
    return Outcome(
        source, "", "linear", system, version, "log_loss", 150, 5, first, chosen, [first, chosen], 1.0
    )


def test_a_ratio_is_ours_by_the_better_peer() -> None:
    both = Comparison(
        {
            o.system: o
            for o in (outcome("gradstream", 0.4, 0.3), outcome("VW", None, 0.2), outcome("River", 0.8, 0.6))
        }
    )
    assert both.ratio("untuned") == pytest.approx(0.5)
    assert both.ratio("best") == pytest.approx(1.5)
    assert math.isnan(Comparison({"VW": outcome("VW", 0.1, 0.1)}).ratio("best"))


def test_the_table_marks_who_is_best_and_who_diverged() -> None:
    outcomes = [outcome("gradstream", 0.4, 0.3), outcome("VW", None, 0.2)]
    row = table(outcomes, "linear").splitlines()[-1]
    assert row == "| iris | log loss | 150 | **0.4** | – | diverged | 0.000 | 0.3 | – | **0.2** | 1.500 |"


def test_the_verdict_counts_where_ours_is_better_close_or_worse() -> None:
    outcomes = [
        *(
            outcome("gradstream", 1.0, loss, source)
            for source, loss in (("iris", 0.9), ("wine", 1.005), ("digits", 1.2))
        ),
        *(outcome("VW", 1.0, 1.0, source) for source in ("iris", "wine", "digits")),
    ]
    told = verdict(outcomes)
    assert (
        "better than both peers 1 times, within 1 % of the better one 1 times, and worse than that 1 times"
        in told
    )
    assert told.splitlines()[-1] == "- digits, linear: 1.200"


def test_what_was_not_run_again_stays_unless_its_version_changed() -> None:
    old = [outcome("River", 0.9, 0.8, version=River.version), outcome("VW", 0.9, 0.8, version="0.1")]
    new = [outcome("gradstream", 0.5, 0.4, version=Ours.version)]
    assert merged(old, new) == [new[0], old[0]]
    assert len(comparisons(merged(old, new), "linear")) == 1


@pytest.mark.parametrize("option", ["--systems", "--families", "--streams"])
def test_an_unknown_name_is_wrong_usage(option: str) -> None:
    result = CliRunner().invoke(main, [option, "nobody"])
    assert result.exit_code == 2
    assert "'nobody'" in result.output
