"""Small numbers to begin with, the same on every machine: a function of the seed and a position alone.

splitmix64 (Steele, Lea & Flood, OOPSLA 2014) of seed and position gives 53 bits, these a uniform number.
"""

from __future__ import annotations

import math

import numpy as np

from models.learners import Shape
from models.rows import Float64
from models.spec import LearnerSpec

_NETWORK, _TABLE = 0, 1


def uniform(seed: int, stream: int, count: int) -> Float64:
    """(count,) numbers in [-1, 1)."""
    with np.errstate(over="ignore"):
        start = (np.uint64(seed) * np.uint64(2) + np.uint64(stream)) << np.uint64(40)
        z = (start + np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def initial_network(learner: LearnerSpec, shape: Shape) -> Float64:
    """The layers of a network: biases 0, weights uniform in ±√(6 / in) before relu (He et al., ICCV 2015),
    else in ±√(6 / (in + out)) (Glorot & Bengio, AISTATS 2010).
    """
    noise, network, at = uniform(learner.seed, _NETWORK, shape.network), np.zeros(shape.network), 0
    pairs = list(zip(shape.sizes, shape.sizes[1:], strict=False))
    for layer, (inputs, outputs) in enumerate(pairs):
        size = inputs * outputs
        before_relu = learner.activation == "relu" and layer < len(pairs) - 1
        bound = math.sqrt(6.0 / max(1, inputs if before_relu else inputs + outputs))
        network[at : at + size] = noise[at : at + size] * bound
        at += size + outputs
    return network


def initial_table(learner: LearnerSpec, outputs: int, coordinates: int, shape: Shape) -> Float64:
    """(coordinates, width) params: factors and embeddings uniform with the given deviation, weights 0.

    An intercept, which stands last among the coordinates that all samples have, meets nothing: its factors
    are 0, too.
    """
    bound = learner.deviation * math.sqrt(3.0)
    table = (uniform(learner.seed, _TABLE, coordinates * shape.width) * bound).reshape(-1, shape.width)
    if learner.name == "factorization-machine":
        table[:, :outputs] = 0.0
        table[shape.always - 1] = 0.0
    return table
