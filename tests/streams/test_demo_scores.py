"""The demo's own arithmetic, against scikit-learn and plain loops; and that it does not talk itself well."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from infra.local import Status
from infra.settings import load_settings
from models.kernels.fold import SERVE
from models.model import Model
from models.rows import Float64
from models.spec import ModelSpec
from streams.demo import config, report
from streams.demo.baselines import base_rate, encoded, frozen_after_january, in_order
from streams.demo.errors import DemoError
from streams.demo.scores import Score, score
from streams.demo.traffic import FEBRUARY, NEVER, Traffic, load


def some(n: int, seed: int) -> tuple[Float64, Float64]:
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), 2)  # with ties
    return (random.random(n) < p).astype(float), p


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    y, p = some(1_000, seed)
    found = score(y, np.clip(p, 0.001, 0.999))
    assert found.log_loss == pytest.approx(sklearn_metrics.log_loss(y, np.clip(p, 0.001, 0.999)), rel=1e-12)
    assert found.roc_auc == pytest.approx(sklearn_metrics.roc_auc_score(y, p), rel=1e-12)
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(y, p >= 0.5), rel=1e-12)


def test_samples_without_label_or_prediction_are_not_scored() -> None:
    y, p = some(100, 0)
    gaps_y, gaps_p = np.append(y, [np.nan, 1, np.nan]), np.append(p, [0.9, np.nan, np.nan])
    assert score(gaps_y, gaps_p) == score(y, p)


def test_scores_are_none_where_they_are_undefined() -> None:
    nothing = np.full(3, np.nan)
    assert score(nothing, nothing) == Score(None, None, None)
    assert score(np.ones(2), np.array([0.9, 0.4])).roc_auc is None


def test_a_certain_and_wrong_prediction_costs_a_lot_and_is_finite() -> None:
    found = score(np.array([1.0, 0.0]), np.array([0.0, 1.0])).log_loss
    assert found is not None
    assert 34 < found < 35


def test_the_base_rate_knows_only_what_has_landed_before_the_departure() -> None:
    random = np.random.default_rng(5)
    departed = np.sort(random.integers(0, 60, 50))
    landed = departed + random.integers(1, 30, 50)
    labels = random.integers(0, 2, 50).astype(float)
    labels[[3, 20]], landed[[3, 20]] = np.nan, NEVER
    expected = []
    for time in departed:
        before = [label for label, landing in zip(labels, landed, strict=True) if landing < time]
        expected.append((sum(before) + 0.5) / (len(before) + 1))
    assert base_rate(labels, departed, landed).tolist() == pytest.approx(expected, rel=1e-15)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return load(29_000)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("settings")
    path = config.write(folder, Status(folder, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    return load_settings(path, env={}).models[config.MODEL].spec()


def one_by_one(spec: ModelSpec, traffic: Traffic, until: int) -> list[float]:
    """Each flight predicted when it leaves, each label learned when it comes, one call for each."""
    rows = encoded(spec, traffic.samples)
    model, predictions = Model(spec), np.full((len(traffic), 1), np.nan)
    for i in traffic.order.tolist():
        if i >= 0:
            predictions[i] = model.predict(rows.slice(i, i + 1))[0]
        elif traffic.landed[~i] < until:
            row = rows.take(np.array([~i]))
            row.labels = traffic.labels[[~i]]
            model.learn(row, predictions[[~i]], keep_undo=False)
    return [float(p) for p in predictions[:, 0]]


def test_the_frozen_model_learns_what_lands_in_january_when_it_lands_and_never_again(
    spec: ModelSpec, traffic: Traffic
) -> None:
    frozen = frozen_after_january(spec, traffic)
    assert frozen.tolist() == one_by_one(spec, traffic, FEBRUARY)
    january = int((~traffic.after_january).sum())
    in_the_air = (traffic.landed[:january] >= FEBRUARY) & (traffic.landed[:january] != NEVER)
    assert 0 < in_the_air.sum() < 1_000
    live = one_by_one(spec, traffic, NEVER)
    assert frozen[:january].tolist() == live[:january]
    assert frozen[january:].tolist() != live[january:]


def test_rows_as_things_went_have_a_label_where_it_came(spec: ModelSpec, traffic: Traffic) -> None:
    rows = encoded(spec, traffic.samples[:3])
    labels, order = np.array([1.0, np.nan, 0.0]), np.array([0, 1, ~0, 2, ~2])
    went, origin = in_order(rows, labels, order)
    assert went.labels.tolist() == pytest.approx([np.nan, np.nan, 1, np.nan, 0], nan_ok=True)
    assert origin.tolist() == [SERVE, SERVE, 0, SERVE, 3]
    assert (went.numeric == rows.numeric[[0, 1, 0, 2, 2]]).all()


def scored(name: str, log_loss: float | None, later: float | None) -> report.Comparison:
    return report.Comparison(name, Score(log_loss, 0.9, 0.9), Score(later, 0.9, 0.9))


def test_a_model_that_does_not_beat_a_baseline_is_an_error() -> None:
    live = scored(report.LIVE, 0.25, 0.26)
    report.require_better([live, scored(report.FROZEN, 0.28, 0.29), scored(report.BASE_RATE, 0.5, 0.5)])
    with pytest.raises(DemoError, match=r"0\.2600 from February on does not beat 0\.2600 \(same learner"):
        report.require_better([live, scored(report.FROZEN, 0.28, 0.26)])
    with pytest.raises(DemoError, match=r"0\.2500 over all flights does not beat 0\.2400 \(running base"):
        report.require_better([live, scored(report.BASE_RATE, 0.24, 0.5)])


def test_before_february_only_the_base_rate_has_to_be_beaten() -> None:
    live = scored(report.LIVE, 0.25, None)
    report.require_better([live, scored(report.BASE_RATE, 0.5, None)])
    with pytest.raises(DemoError):
        report.require_better([live, scored(report.BASE_RATE, 0.25, None)])
