"""How much a worker does before it lets its event loop go on.

The group's heartbeats, signals and deliveries wait for a step to end, so a step of a model whose samples take
long must hold few of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

FIRST = 50
CHUNK = 6_000
"""Records that go through all stages together: more cost cache misses, fewer cost calls."""
STEP_SECONDS = 0.25
"""A step takes no longer, about."""


class Stride:
    """How many records the next step may have: as many as fit, up to CHUNK and twice as many as before."""

    def __init__(self) -> None:
        self.most = FIRST

    @contextlib.contextmanager
    def step(self, records: int) -> Iterator[None]:
        """What is done with so many records."""
        since = time.monotonic()
        yield
        self.took(records, time.monotonic() - since)

    def took(self, records: int, seconds: float) -> None:
        """A step of so many records took so long."""
        if not records:
            return
        fit = min(float(CHUNK), records * STEP_SECONDS / max(seconds, 1e-9))
        self.most = max(1, min(2 * self.most, int(fit)))
