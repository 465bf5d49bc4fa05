"""The demo's own arithmetic, against scikit-learn and plain loops; and that it does not talk itself well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from infra.local import Status
from infra.settings import load_settings
from models.model import Model
from models.rows import Float64
from streams.demo import config, report
from streams.demo.baselines import base_rate, encoded, frozen_after_january
from streams.demo.errors import DemoError
from streams.demo.flights import Flights, load
from streams.demo.scores import Score, score


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


def test_the_base_rate_knows_only_what_was_before() -> None:
    labels = np.array([1, np.nan, 0, 1, 1, np.nan, 0])
    expected, late, known = [], 0.0, 0
    for label in labels:
        expected.append((late + 0.5) / (known + 1))
        if label == label:
            late, known = late + label, known + 1
    assert base_rate(labels).tolist() == pytest.approx(expected, rel=1e-15)


@pytest.fixture(scope="module")
def flights() -> Flights:
    return load(29_000)


def test_the_frozen_model_is_the_live_one_in_january_and_never_learns_again(
    flights: Flights, tmp_path: Path
) -> None:
    path = config.write(tmp_path, Status(tmp_path, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    spec = load_settings(path, env={}).models[config.MODEL].spec()
    frozen = frozen_after_january(spec, flights)
    january = int((~flights.after_january).sum())
    assert 0 < january < len(flights)

    rows = encoded(spec, flights)
    live, still = Model(spec), Model(spec)
    assert frozen[:january].tolist() == live.predict_and_learn(rows.slice(0, january)).served[:, 0].tolist()
    still.predict_and_learn(rows.slice(0, january))
    one_by_one = [still.predict(rows.slice(i, i + 1))[0, 0] for i in range(january, len(flights))]
    assert frozen[january:].tolist() == one_by_one
    learning = live.predict_and_learn(rows.slice(january, len(flights))).served[:, 0]
    assert learning[1:].tolist() != frozen[january + 1 :].tolist()


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
