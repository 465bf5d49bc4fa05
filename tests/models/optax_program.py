"""Run in a process of its own: what optax's optimizers make of the samples of `test_optimizers`, by steps.

jax brings threads and warns at every fork of a process that has imported it; so it has one to itself.
Usage: python -m tests.models.optax_program FILE, which becomes an .npz of (N, C) weights by case name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.models.dense_samples import RATE, dense_samples

jax.config.update("jax_enable_x64", True)  # before anything is made: optax's schedules hold jax's numbers


def inverse_scaling(t: jax.Array) -> jax.Array:
    return RATE / (t + 1.0) ** 0.4


def warm_cosine(t: jax.Array) -> jax.Array:
    cosine = optax.cosine_decay_schedule(RATE, decay_steps=700, alpha=0.1)
    return cosine(t) * jnp.minimum(1.0, (t + 1.0) / 50)


def exponential(staircase: bool) -> Callable[[jax.Array], jax.Array]:
    schedule = optax.exponential_decay(RATE, transition_steps=250, decay_rate=0.3, staircase=staircase)
    return lambda t: schedule(t.astype(jnp.float64))  # jax divides its 32-bit count in float32


SCHEDULES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "inverse-scaling": inverse_scaling,
    "exponential": exponential(staircase=False),
    "step": exponential(staircase=True),
    "cosine": warm_cosine,
}

OPTIMIZERS: dict[str, Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.8),
    "nesterov": lambda rate: optax.sgd(rate, momentum=0.8, nesterov=True),
    "adagrad": lambda rate: optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-8),
    "rmsprop": lambda rate: optax.rmsprop(rate, decay=0.95, eps=1e-6, eps_in_sqrt=True),
    "adam": lambda rate: optax.adam(rate, b1=0.8, b2=0.99, eps=1e-6),
    # The intercept, which comes last, does not decay.
    "adamw": lambda rate: optax.adamw(
        rate, b1=0.8, b2=0.99, eps=1e-6, weight_decay=0.2, mask={"weights": True, "intercept": False}
    ),
}


def cases() -> dict[str, optax.GradientTransformation]:
    """Each optimizer with a constant rate, each schedule, and clipped."""
    result = {name: make(RATE) for name, make in OPTIMIZERS.items()}
    for name, make in OPTIMIZERS.items():
        result |= {f"{name}, {schedule}": make(rate) for schedule, rate in SCHEDULES.items()}
        result[f"{name}, clip_value"] = optax.chain(optax.clip(0.7), make(RATE))
        result[f"{name}, clip_norm"] = optax.chain(optax.clip_by_global_norm(1.1), make(RATE))
    return result


def trajectory(optimizer: optax.GradientTransformation) -> np.ndarray:
    """(N, C) weights after each sample of the squared loss, intercept last."""
    x, labels = dense_samples()
    params = {"weights": jnp.zeros(x.shape[1]), "intercept": jnp.zeros(())}

    def loss(params, x, y):
        return 0.5 * (x @ params["weights"] + params["intercept"] - y) ** 2

    def step(carry, sample):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, *sample), state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), jnp.append(params["weights"], params["intercept"])

    start = (params, optimizer.init(params))
    return np.asarray(jax.lax.scan(step, start, (jnp.asarray(x), jnp.asarray(labels)))[1])


if __name__ == "__main__":
    np.savez(sys.argv[1], **{name: trajectory(optimizer) for name, optimizer in cases().items()})
