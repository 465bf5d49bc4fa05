"""Families of models: how features and params make raw scores, and the gradient by the params.

A family is a module with

    its Shape        params a coordinate, coordinates that every sample has, layers of a network;
    served_scores    raw scores of a sample as it arrives, from the state S;
    stored_scores    the same of a stored row, from the compact params of a step;
    add_gradient     the gradient of that row;

and a further family is a further module, its shape here, a mark in models.kernels.plan and a branch in
models/kernels/family.py.

    family                 params of a coordinate           coordinates         network
    linear                 K weights                        dense, intercept    -
    factorization machine  K weights, then K × f factors    dense, intercept    -
    mlp                    an embedding of size E           none                the layers' weights and biases
"""

from __future__ import annotations

from typing import NamedTuple

from models.spec import ModelSpec


class Shape(NamedTuple):
    """Sizes of a model's params."""

    width: int
    """Params of a coordinate."""
    always: int
    """Coordinates that every sample has: the dense features and the intercept, or none."""
    sizes: tuple[int, ...]
    """Units of the layers, from the input to the output; empty without a network."""

    @property
    def network(self) -> int:
        """Weights and biases of all layers."""
        return sum(a * b + b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def units(self) -> int:
        """Units of all layers."""
        return sum(self.sizes)


def shape_of(spec: ModelSpec, dense: int) -> Shape:
    """The sizes of a model with `dense` dense features."""
    learner, outputs = spec.learner, spec.outputs
    if learner.name == "mlp":
        width = 0 if spec.features.hash_bits is None else learner.embedding
        return Shape(width, 0, (dense + width, *learner.hidden, outputs))
    factors = learner.factors if learner.name == "factorization-machine" else 0
    return Shape(outputs * (1 + factors), dense + 1, ())
