"""The kernels agree with scikit-learn's stochastic gradient descent, one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier, SGDRegressor

from models.model import Model
from models.spec import OptimizerSpec
from tests.models.samples import make_rows, model_spec, weights_of

N, COLUMNS = 3_000, 6


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_weights_are_those_of_partial_fit(task):
    spec = model_spec(task, COLUMNS, scaling="none", optimizer=OptimizerSpec("sgd", 0.02))
    rows = make_rows(spec, N, seed=7, missing=0.0, unlabelled=0.0)
    rows.weights[:] = np.maximum(rows.weights, 0.5)  # scikit-learn takes no sample of weight 0
    given = {"penalty": None, "learning_rate": "constant", "eta0": 0.02, "shuffle": False}
    theirs = SGDClassifier(loss="log_loss", **given) if task == "binary" else SGDRegressor(**given)
    classes = {"classes": [0.0, 1.0]} if task == "binary" else {}
    for i in range(N):
        one = slice(i, i + 1)
        theirs.partial_fit(rows.numeric[one], rows.labels[one], sample_weight=rows.weights[one], **classes)
    model = Model(spec)
    model.predict_and_learn(rows)
    expected = np.concatenate([theirs.coef_.ravel(), theirs.intercept_])
    np.testing.assert_allclose(weights_of(model)[:, 0], expected, rtol=1e-9)
