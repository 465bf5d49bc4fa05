"""Run in a process of its own: prints a digest of what the transforms make of many numbers and times."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np

from models.encoding_time import write_time
from models.kernels.transforms import take_logs
from models.spec import TimeCycle


def digest() -> str:
    rng = np.random.default_rng(1)
    numeric = rng.normal(size=(5_000, 3)) * 10.0 ** rng.integers(-12, 13, (5_000, 3))
    take_logs(numeric, np.array([0, 2]))
    cycles = get_args(TimeCycle)
    waves = np.empty((5_000, 2 * len(cycles)))
    write_time(cycles, 345, rng.integers(-(2**41), 2**41, 5_000), waves, 0)
    return hashlib.sha256(numeric.tobytes() + waves.tobytes()).hexdigest()


if __name__ == "__main__":
    print(digest())
