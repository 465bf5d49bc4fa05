"""Compile every variant of the kernels before the tests, whose many processes would each wait for them.

python -m tests.compile_kernels: half a minute for each variant, once; nothing when they are in numba's cache.
"""

from __future__ import annotations

import sys
import time

from models.self_test import self_test_digest, warm_up
from models.spec import (
    EncodedFeature,
    FeatureSpec,
    LearnerName,
    LearnerSpec,
    ModelSpec,
    NumericFeature,
    OptimizerName,
    OptimizerSpec,
)

FEATURES = FeatureSpec(numeric=(NumericFeature("a"),), hash_bits=8)
ENCODED = FeatureSpec(encode=(EncodedFeature("k", "frequency"),))
VARIANTS: list[tuple[LearnerName, OptimizerName]] = [
    ("linear", "sgd"),
    ("linear", "normalized-adaptive"),
    ("linear", "adam"),
    ("factorization-machine", "adagrad"),
    ("factorization-machine", "adam"),
    ("mlp", "sgd"),
    ("mlp", "adam"),
]


def main() -> None:
    for learner, optimizer in VARIANTS:
        compile_for(FEATURES, learner, optimizer, "")
    compile_for(ENCODED, "linear", "normalized-adaptive", " and encoded categories")


def compile_for(features: FeatureSpec, learner: LearnerName, optimizer: OptimizerName, more: str) -> None:
    begun = time.monotonic()
    spec = ModelSpec(
        "binary", features, (0, 1), learner=LearnerSpec(learner), optimizer=OptimizerSpec(optimizer)
    )
    warm_up(spec)
    self_test_digest(spec)
    print(f"kernels of {learner} with {optimizer}{more}: {time.monotonic() - begun:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
