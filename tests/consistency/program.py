"""The gradstream command as the fault suite starts it: the product, with what a test injects around it.

TEST_BROKEN=NAME   a deliberately broken variant (tests.consistency.broken)
TEST_CLOCK=SEED    a wall clock that jumps by up to a day, now and then
TEST_SLOW_LOG=S    the log is read S seconds late
TEST_FETCH=BYTES   the largest fetch of a partition, so that batches are cut elsewhere
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any


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


def slow_log(seconds: float) -> None:
    """Let what a worker sent take its time to come back."""
    from streams.processor import Processor

    async def read_log(self: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            if run := await self._reader.run():
                self._fold(run)
                await self._changes.notify()

    Processor._read_log = read_log  # type: ignore[method-assign]


def main() -> None:
    if slow := os.environ.get("TEST_SLOW_LOG"):
        slow_log(float(slow))
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
