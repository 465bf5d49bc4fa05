"""The gradstream command as the fault suite starts it: the product, with what a test injects around it.

TEST_BROKEN=NAME   a deliberately broken variant (tests.consistency.broken)
TEST_CLOCK=SEED    a wall clock that jumps by up to a day, now and then
TEST_FETCH=BYTES   the largest fetch of a partition, so that batches are cut elsewhere
"""

from __future__ import annotations

import os
import random
import time


def jumping_clock(seed: str) -> None:
    """Let time.time() jump to and fro: nothing of a model may depend on it."""
    dice, real = random.Random(seed), time.time
    shift, until = 0.0, 0.0

    def now() -> float:
        nonlocal shift, until
        if time.monotonic() >= until:
            shift, until = dice.uniform(-86_400, 86_400), time.monotonic() + dice.uniform(0.2, 1.0)
        return real() + shift

    time.time = now


def main() -> None:
    if clock := os.environ.get("TEST_CLOCK"):
        jumping_clock(clock)
    if fetch := os.environ.get("TEST_FETCH"):
        from streams import transport

        transport.FETCH_BYTES = int(fetch)
    if broken := os.environ.get("TEST_BROKEN"):
        from tests.consistency.broken import VARIANTS

        VARIANTS[broken]()
    from streams.cli import main as command

    command()


if __name__ == "__main__":
    main()
