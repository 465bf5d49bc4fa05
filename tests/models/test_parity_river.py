"""The kernels agree with River on 10,000 samples.

Conventions: River's intercept is a constant feature here (`intercept_lr` 0); its squared error is twice
ours, so its samples weigh one half; its FTRL computes weights at the start of the next step, so a sample
of weight 0 before each prediction makes them up to date (it changes nothing else).
"""

from __future__ import annotations

import numpy as np
import pytest
from river import linear_model, optim, preprocessing

from models.model import Model
from models.spec import OptimizerSpec, ScheduleSpec
from tests.models.samples import make_rows, model_spec, weights_of

N, COLUMNS = 10_000, 5

CASES = {
    "sgd": (OptimizerSpec("sgd", 0.02), lambda: optim.SGD(0.02)),
    "sgd-inverse-scaling": (
        OptimizerSpec("sgd", 0.1, ScheduleSpec("inverse-scaling", 0.4)),
        lambda: optim.SGD(optim.schedulers.InverseScaling(0.1, 0.4)),
    ),
    "adagrad": (OptimizerSpec("adagrad", 0.1), lambda: optim.AdaGrad(0.1)),
    "momentum": (OptimizerSpec("momentum", 0.002, momentum=0.9), lambda: optim.Momentum(0.002, rho=0.9)),
    "rmsprop": (
        OptimizerSpec("rmsprop", 0.01, rho=0.9, epsilon=1e-8),
        lambda: optim.RMSProp(0.01, rho=0.9, eps=1e-8),
    ),
    "ftrl": (
        OptimizerSpec("ftrl-proximal", 0.1, beta=1.0),
        lambda: optim.FTRLProximal(alpha=0.1, beta=1.0, l1=0.0, l2=0.0),
    ),
}


def river_run(task, rows, scaling, optimizer, lagging):
    """River's predictions and final weights, intercept last."""
    scaler = preprocessing.StandardScaler()
    if task == "binary":
        model = linear_model.LogisticRegression(optimizer, intercept_lr=0.0)
    else:
        model = linear_model.LinearRegression(optimizer, intercept_lr=0.0)
    names = [f"x{i}" for i in range(COLUMNS)]
    served = []
    for values, label in zip(rows.numeric.tolist(), rows.labels.tolist(), strict=True):
        raw = dict(zip(names, values, strict=True))
        x = {**(scaler.transform_one(raw) if scaling == "standard" else raw), "1": 1.0}
        if lagging:
            model.learn_one(x, label, w=0.0)
        served.append(model.predict_proba_one(x)[True] if task == "binary" else model.predict_one(x))
        if scaling == "standard":
            scaler.learn_one(raw)
            x = {**scaler.transform_one(raw), "1": 1.0}
        model.learn_one(x, label, w=1.0 if task == "binary" else 0.5)
    if lagging:
        model.learn_one(x, label, w=0.0)
    return np.array(served), np.array([model.weights[name] for name in [*names, "1"]])


@pytest.mark.parametrize("scaling", ["standard", "none"])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("case", CASES)
def test_predictions_and_weights_are_rivers(case, task, scaling):
    ours, theirs = CASES[case]
    spec = model_spec(task, COLUMNS, scaling=scaling, optimizer=ours)
    rows = make_rows(spec, N, seed=5, missing=0.0, unlabelled=0.0, weighted=False)
    served, weights = river_run(task, rows, scaling, theirs(), lagging=case == "ftrl")
    model = Model(spec)
    learned = model.predict_and_learn(rows)
    np.testing.assert_allclose(weights_of(model)[:, 0], weights, rtol=1e-9)
    np.testing.assert_allclose(learned.served[:, 0], served, rtol=1e-9, atol=1e-12)
