"""Compile every variant of the kernels before the tests, whose many processes would each wait for them.

python -m tests.compile_kernels [LEARNER …]: half a minute for each variant, of all learners or of these,
once; nothing when they are in numba's cache.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

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
    VocabularySpec,
)
from streams.native import warm_up as native


class Variant(NamedTuple):
    """What the kernels are compiled anew for."""

    learner: LearnerName
    optimizer: OptimizerName
    encoded: bool = False
    vocabulary: bool = False


VARIANTS = (
    Variant("linear", "sgd"),
    Variant("linear", "normalized-adaptive"),
    Variant("linear", "normalized-adaptive", encoded=True),
    Variant("linear", "adam"),
    Variant("factorization-machine", "adagrad"),
    Variant("factorization-machine", "adam"),
    Variant("mlp", "sgd"),
    Variant("mlp", "adam"),
    Variant("linear", "normalized-adaptive", vocabulary=True),
    Variant("factorization-machine", "adagrad", vocabulary=True),
    Variant("mlp", "adagrad", vocabulary=True),
)


def main(learners: list[str]) -> None:
    chosen = [one for one in VARIANTS if not learners or one.learner in learners]
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(compile_fast_paths), *(pool.submit(compile_for, variant) for variant in chosen)]
        for done in as_completed(jobs):
            print(done.result(), file=sys.stderr)


def compile_fast_paths() -> str:
    """Compile what reads records and writes predictions; a line about how long it took."""
    begun = time.monotonic()
    native.load()
    return f"the fast paths of samples and predictions: {time.monotonic() - begun:.1f} s"


def compile_for(variant: Variant) -> str:
    """Compile a variant; a line about how long it took."""
    begun = time.monotonic()
    bounds = VocabularySpec(min_count=2) if variant.vocabulary else None
    features = FeatureSpec(numeric=(NumericFeature("a"),), hash_bits=8, vocabulary=bounds)
    if variant.encoded:
        features = FeatureSpec(encode=(EncodedFeature("k", "frequency"),))
    learner, optimizer = LearnerSpec(variant.learner), OptimizerSpec(variant.optimizer)
    spec = ModelSpec("binary", features, (0, 1), learner=learner, optimizer=optimizer)
    warm_up(spec)
    self_test_digest(spec)
    more = " and encoded categories" if variant.encoded else ""
    more += " and a bounded vocabulary" if variant.vocabulary else ""
    took = time.monotonic() - begun
    return f"kernels of {variant.learner} with {variant.optimizer}{more}: {took:.1f} s"


if __name__ == "__main__":
    main(sys.argv[1:])
