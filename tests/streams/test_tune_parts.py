"""The parts of a race of settings: the plan of rounds, the candidates, the trials, the TOML."""

from __future__ import annotations

import itertools
import math
import tomllib
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.model import Model
from models.rows import Rows
from models.spec import FeatureSpec, LossSpec, ModelSpec, OptimizerSpec
from streams.ingest import Ingest
from streams.tuning.candidates import Candidate, candidates, checked
from streams.tuning.criterion import QuantileLoss, criteria
from streams.tuning.held import Held
from streams.tuning.race import FEWEST, Round, plan, race
from streams.tuning.space import LEARNERS, OPTIMIZERS, Log, Pick
from streams.tuning.toml import model_toml
from tests.rows import assert_same_rows
from tests.streams.kafka_records import kafka_records
from tests.streams.recorded import flights

TABLE: dict[str, Any] = {
    "samples": "flights",
    "task": "binary",
    "features": {"numeric": ["distance", "hour"], "categorical": ["carrier"], "hash_bits": 10},
}


def candidate(**changes: Any) -> Candidate:
    found = checked("delay", {**TABLE, **changes})
    assert found is not None
    return found


def rows_of(count: int) -> Rows:
    ingest = Ingest("delay", candidate().spec)
    return ingest.decode("flights", 0, kafka_records(map(msgspec.json.encode, flights(count)))).rows


def held(count: int) -> Held:
    whole, found = rows_of(count), Held()
    chunks = [whole.slice(start, min(count, start + 700)) for start in range(0, count, 700)]
    assert len(list(found.fill(chunks))) == len(chunks)
    return found


# the plan


@given(st.integers(2, 400), st.integers(1, 10**7))
def test_by_default_the_last_two_see_all_of_the_recording(count: int, samples: int) -> None:
    rounds = plan(count, samples)
    assert rounds[0].candidates == count
    assert rounds[-1].until == samples
    for one, following in itertools.pairwise(rounds):
        assert following.candidates <= math.ceil(one.candidates / 2)
        assert one.until < following.until
    if rounds[0].until > FEWEST:
        assert rounds[-1].candidates == 2


@given(st.integers(2, 400), st.integers(10**4, 10**7), st.floats(0.01, 500))
def test_a_race_costs_no_more_than_its_budget(count: int, samples: int, budget: float) -> None:
    rounds = plan(count, samples, budget)
    untils = [0, *(one.until for one in rounds)]
    cost = sum(one.candidates * (one.until - before) for one, before in zip(rounds, untils, strict=False))
    # The halves are rounded up, and nobody is judged by less than FEWEST samples.
    assert cost <= budget * samples * 1.0001 + count * FEWEST
    assert [one.until for one in rounds] == sorted(one.until for one in rounds)


def test_a_budget_for_everything_drops_nobody() -> None:
    assert plan(8, 5_000, budget=100) == [Round(8, 5_000)]


def test_rounds_cost_about_the_same() -> None:
    rounds = plan(64, 1_000_000)
    untils = [0, *(one.until for one in rounds)]
    costs = [one.candidates * (one.until - at) for one, at in zip(rounds, untils, strict=False)]
    assert max(costs) - min(costs) < 200


# the candidates


def test_every_optimizer_and_learner_of_the_space_is_one_of_the_settings() -> None:
    regression = {**TABLE, "task": "regression"}
    for name in OPTIMIZERS:
        assert checked("m", {**regression, "optimizer": {"name": name}}) is not None, name
    for name in LEARNERS:
        assert checked("m", {**regression, "learner": {"name": name}}) is not None, name


@pytest.mark.parametrize("learner", list(LEARNERS))
def test_every_key_of_the_space_is_drawn_into_a_valid_candidate(learner: str) -> None:
    base = {**TABLE, "task": "regression", "learner": {"name": learner}}
    found = candidates("m", base, 400, seed=3)
    assert len(found) == 400
    assert len({one.spec.to_json() for one in found}) == 400
    drawn = [one.table["optimizer"] for one in found if "optimizer" in one.table]
    usable = {name for name in OPTIMIZERS if checked("m", {**base, "optimizer": {"name": name}})}
    assert usable == set(OPTIMIZERS) or learner != "linear"
    for name, space in OPTIMIZERS.items():
        if name not in usable:
            continue
        keys = {key for table in drawn if table["name"] == name for key in table}
        assert keys >= set(space), name
    for key in LEARNERS[learner]:
        assert len({str(one.table["learner"].get(key)) for one in found}) > 1, key
    assert {one.spec.update.name for one in found} == {"sample", "batch"}


def test_candidates_differ_in_nothing_but_what_is_tuned() -> None:
    table = {**TABLE, "halt_after": 5, "optimizer": {"name": "ftrl-proximal", "beta": 0.5}}
    first, *others = candidates("m", table, 64, seed=1)
    assert first.table == table
    assert first.is_current
    for one in others:
        assert not one.is_current
        assert (one.spec.features, one.spec.task, one.spec.halt_after) == (first.spec.features, "binary", 5)
        assert {k: v for k, v in one.table.items() if k not in ("learner", "optimizer", "update")} == {
            k: v for k, v in table.items() if k != "optimizer"
        }


def test_fewer_candidates_are_the_first_of_more() -> None:
    many = candidates("m", TABLE, 40, seed=5)
    assert candidates("m", TABLE, 15, seed=5) == many[:15]


def test_draws_stay_in_their_bounds() -> None:
    rng = Random(0)
    values = [Log(1e-4, 0.3).draw(rng) for _ in range(2_000)]
    assert all(value is not None and 1e-4 <= value <= 0.3 for value in values)
    decades = {math.floor(math.log10(value or 1.0)) for value in values}
    assert decades == {-4, -3, -2, -1}
    assert {Pick((1, 2, 3)).draw(rng) for _ in range(100)} == {1, 2, 3}
    left_out = sum(Log(1, 2, left_out=0.8).draw(rng) is None for _ in range(1_000))
    assert 750 < left_out < 850


# the race


def settings(*rates: float) -> list[Candidate]:
    made = [candidate(optimizer={"name": "adagrad", "learning_rate": rate}) for rate in rates]
    return [Candidate(made[0].table, made[0].spec, is_current=True), *made[1:]]


def test_the_best_of_clearly_different_settings_wins() -> None:
    recording = held(6_000)
    raced = settings(1e-6, 1e-5, 0.2, 1e-4, 1e-3, 1e-6 * 3, 1e-4 * 3, 50.0)
    ranked = race(raced, recording, "log_loss", plan(8, recording.samples), lambda share, text: None)
    assert ranked[0].candidate is raced[2]
    assert len(ranked) == 8
    assert {id(trial.candidate) for trial in ranked} == {id(one) for one in raced}
    assert any(trial.candidate.is_current and trial.samples == recording.samples for trial in ranked)


def test_models_that_were_let_go_give_the_same_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, raced = held(4_000), settings(0.001, 0.01, 0.1, 1.0, 0.03, 0.3)
    rounds = plan(6, recording.samples)
    assert len(rounds) > 1

    def outcome() -> list[Any]:
        ranked = race(raced, recording, "log_loss", rounds, lambda share, text: None)
        return [(one.candidate.table, one.samples, one.metrics) for one in ranked]

    kept = outcome()
    monkeypatch.setattr("streams.tuning.race.KEPT_BYTES", 0)
    assert outcome() == kept


def test_progress_grows_to_the_end() -> None:
    recording, shares = held(4_000), []
    race(
        settings(0.01, 0.1, 1.0, 0.5), recording, "log_loss", plan(4, recording.samples),
        lambda share, text: shares.append(share),
    )  # fmt: skip
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_who_refuses_the_hard_samples_does_not_win() -> None:
    spec = {"features": {"numeric": ["distance"], "scaling": "none"}, "task": "regression", "halt_after": 0}
    calm, wild = (
        checked("m", {**TABLE, **spec, "optimizer": {"name": "sgd", "learning_rate": rate}})
        for rate in (1e-221, 1e6)
    )
    assert calm is not None
    assert wild is not None
    n = 2_000
    hard = np.arange(n) % 2 == 0  # learned by tiny steps only; the others are predicted by knowing nothing
    rows = Rows(
        numeric=np.where(hard, 1e70, 0.0)[:, None], labels=hard.astype(float),
        indptr=np.zeros(n + 1, np.int64), indices=np.zeros(0, np.uint32), values=np.zeros(0),
        scaled_by=np.zeros(0, np.int16), weights=np.where(hard, 1e78, 1.0),
        timestamps=np.zeros(n, np.int64), offsets=np.arange(n),
    )  # fmt: skip
    recording = Held()
    list(recording.fill([rows]))
    ranked = race([wild, calm], recording, "rmse", plan(2, n), lambda share, text: None)
    assert [trial.candidate for trial in ranked] == [calm, wild]
    assert ranked[1].value("rmse") < ranked[0].value("rmse")
    assert [trial.refused for trial in ranked] == [0, n / 2]


# the criterion


@pytest.mark.parametrize(
    ("task", "loss", "default"),
    [
        ("regression", "squared", "rmse"),
        ("regression", "poisson", "rmse"),
        ("regression", "absolute", "mae"),
        ("regression", "huber", "mae"),
        ("regression", "quantile", "quantile_loss"),
        ("binary", "log", "log_loss"),
        ("binary", "hinge", "accuracy"),
        ("multiclass", "cross-entropy", "log_loss"),
    ],
)
def test_settings_are_compared_by_what_the_loss_is_about(task: Any, loss: Any, default: str) -> None:
    spec = ModelSpec(task, FeatureSpec(hash_bits=8), classes=("a", "b"), loss=LossSpec(loss))
    names = criteria(spec)
    assert names[0] == default
    assert len(set(names)) == len(names)
    assert set(names) - {"quantile_loss"} == set(Model(spec).metrics()) - {"recent"}


def test_the_quantiles_loss_is_the_weighted_mean_of_what_is_minimised() -> None:
    rows = rows_of(500)
    rows = rows.select(~np.isnan(rows.labels))
    rows.weights[:] = np.arange(len(rows)) % 3
    served = np.sin(np.arange(len(rows)))[:, None]
    loss = QuantileLoss(0.9)
    assert math.isnan(loss.value())
    loss.add(rows.slice(0, 100), served[:100])
    loss.add(rows.slice(100, len(rows)), served[100:])
    each = [
        w * (0.9 * (y - p) if y > p else 0.1 * (p - y))
        for w, y, p in zip(rows.weights, rows.labels, served[:, 0], strict=True)
    ]
    assert loss.value() == pytest.approx(sum(each) / rows.weights.sum(), rel=1e-12)


def test_a_quantile_is_raced_by_its_own_loss() -> None:
    spec = ModelSpec("regression", candidate().spec.features, loss=LossSpec("quantile", quantile=0.9))
    raced = [
        Candidate({}, msgspec.structs.replace(spec, optimizer=OptimizerSpec("sgd", rate)), rate == 1e-9)
        for rate in (1e-9, 0.01)
    ]
    recording = held(3_000)
    ranked = race(raced, recording, "quantile_loss", plan(2, recording.samples), lambda share, text: None)
    assert ranked[0].candidate is raced[1]
    knowing_nothing = 0.9 * np.concatenate([r.labels for r in recording.between(0, recording.samples)]).mean()
    assert ranked[1].value("quantile_loss") == pytest.approx(knowing_nothing, rel=1e-3)
    assert ranked[0].value("quantile_loss") < 0.5 * knowing_nothing


# the recording in memory


def test_what_is_held_is_the_labelled_samples_in_order() -> None:
    whole, found = rows_of(2_000), held(2_000)
    labelled = whole.select(~np.isnan(whole.labels))
    assert found.samples == len(labelled) == 1_800
    for start, stop in [(0, 1_800), (0, 1), (629, 631), (1_799, 1_800), (100, 1_700)]:
        assert_same_rows(Rows.concatenate(list(found.between(start, stop))), labelled.slice(start, stop))


def test_chunks_are_taken_until_the_next_would_not_fit() -> None:
    whole, found = rows_of(2_000), Held()
    chunks = [whole.slice(start, start + 500) for start in range(0, 2_000, 500)]
    labelled = [chunk.select(~np.isnan(chunk.labels)) for chunk in chunks]
    most = labelled[0].nbytes + labelled[1].nbytes
    assert len(list(found.fill(chunks, most))) == 2
    assert (found.samples, found.nbytes, found.is_cut) == (900, most, True)


# TOML

Scalars = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
Values = st.recursive(
    Scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1), st.dictionaries(st.text(), Values, max_size=5))
def test_any_table_is_written_so_that_toml_reads_it_back(name: str, table: dict[str, Any]) -> None:
    table = {key: value for key, value in table.items() if key != "features"}
    features = {"features": {"numeric": ["a"]}}
    read = tomllib.loads(model_toml(name, table | features))
    assert read == {"models": {name: table | features}}


def test_a_table_is_written_as_people_write_it() -> None:
    table = {
        "samples": "flights",
        "features": {"numeric": ["distance", {"name": "v", "size": 2}]},
        "optimizer": {"name": "sgd", "schedule": {"name": "constant"}, "l2": 1e-06},
        "update": {"name": "batch"},
    }
    assert model_toml("delay", table) == (
        "[models.delay]\n"
        'samples = "flights"\n'
        'optimizer = { name = "sgd", schedule = "constant", l2 = 1e-06 }\n'
        'update = "batch"\n'
        "\n"
        "[models.delay.features]\n"
        'numeric = ["distance", { name = "v", size = 2 }]\n'
    )
