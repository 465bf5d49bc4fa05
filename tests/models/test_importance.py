"""The importance-aware step of each loss is the flow that its paper defines, followed to the end.

Its closed forms are compared with the same in higher care (reference_normalized), and with the differential
equation itself, integrated without knowing them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from models.losses import make_loss
from models.optimizers import importance
from models.optimizers.importance import TINY
from models.spec import LOSSES_OF, LossSpec
from tests.models import reference_normalized
from tests.models.compiled import compiled
from tests.models.reference_losses import gradient

importance_step = compiled(importance.importance_step)
LOSSES = [*LOSSES_OF["regression"], *LOSSES_OF["binary"]]
SMOOTH = ("squared", "poisson", "log", "squared-hinge", "huber")

scores = st.floats(-8, 8)
positive = st.floats(1e-3, 20)


def a_label(name):
    if name in LOSSES_OF["binary"]:
        return st.sampled_from([0.0, 1.0])
    return st.floats(0, 8).filter(lambda y: y == 0 or y > 1e-6) if name == "poisson" else st.floats(-8, 8)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=300, deadline=None)
@given(
    data=st.data(), p=scores, h=st.floats(1e-9, 100), q=st.floats(1e-9, 100), tau=st.sampled_from([0.2, 0.9])
)
def test_the_closed_form_is_the_reference(name, data, p, h, q, tau):
    spec, label = LossSpec(name, delta=0.7, quantile=tau), data.draw(a_label(name))
    found = importance_step(make_loss(spec), p, label, h, q)
    expected = reference_normalized.importance_step(spec, p, label, h, q)
    # What counts is by how much the score moves, Q s: to the last digits of the score itself.
    least = 1e-9 if h * q < TINY else 1e-13 * max(1.0, abs(p))
    assert found * q == pytest.approx(expected * q, rel=1e-11, abs=least)


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), p=scores, h=positive, q=st.floats(1e-2, 3))
def test_a_smooth_loss_follows_the_differential_equation(name, data, p, h, q):
    spec, label = LossSpec(name, delta=0.7), data.draw(a_label(name))

    def flow(_, p):
        return -q * gradient(spec, p, label)

    end = solve_ivp(flow, (0.0, h), [p], method="LSODA", rtol=1e-11, atol=1e-12).y[0, -1]
    assert p - q * importance_step(make_loss(spec), p, label, h, q) == pytest.approx(end, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("name", ["absolute", "quantile", "hinge"])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), p=scores, h=positive, q=st.floats(1e-2, 3))
def test_a_loss_with_a_kink_follows_many_small_steps_until_it_arrives(name, data, p, h, q):
    spec, label, steps = LossSpec(name, quantile=0.2), data.draw(a_label(name)), 500
    end = np.array([p])
    for _ in range(steps):
        slope = gradient(spec, end, label)
        if slope * gradient(spec, np.array([p]), label) <= 0.0:
            break  # over the kink, where the flow rests
        end = end - q * h / steps * slope
    found = p - q * importance_step(make_loss(spec), p, label, h, q)
    assert found == pytest.approx(end[0], abs=1.1 * q * h / steps)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), p=scores, h=st.floats(1e-6, 1e6), q=st.floats(1e-6, 1e6))
def test_no_step_overshoots_however_heavy_the_sample(name, data, p, h, q):
    spec, label = LossSpec(name, delta=0.7, quantile=0.2), data.draw(a_label(name))
    assume(abs(p - label) > 1e-8)  # so near, a plain step may go over by less than that
    after = p - q * importance_step(make_loss(spec), p, label, h, q)
    assert np.isfinite(after)
    after += np.clip(p - after, -1e-9, 1e-9)  # an arrival at a kink may be off by a rounding
    before, later = (float(gradient(spec, np.array([s]), label)[0]) for s in (p, after))
    assert later * before >= -1e-9
    assert abs(later) <= abs(before) + 1e-9


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), p=scores, h=st.floats(1e-2, 10), q=st.floats(1e-2, 10))
def test_a_weight_of_two_is_the_same_sample_twice(name, data, p, h, q):
    spec, label = LossSpec(name, delta=0.7, quantile=0.2), data.draw(a_label(name))
    loss = make_loss(spec)
    between = p - q * importance_step(loss, p, label, h, q)
    twice = between - q * importance_step(loss, between, label, h, q)
    assert p - q * importance_step(loss, p, label, 2 * h, q) == pytest.approx(twice, rel=1e-10, abs=1e-10)
