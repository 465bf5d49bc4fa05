"""How much a worker does before it lets its event loop go on.

The group's heartbeats, signals and deliveries wait for a step to end, so a step of a model whose samples take
long must hold few of them.
"""

from __future__ import annotations

FIRST = 50
MOST = 6_000
"""Records that go through all stages together: more cost cache misses, fewer cost calls."""
SECONDS = 0.25
"""A step takes no longer, about."""


class Stride:
    """How many records the next step may have: as many as fit, up to MOST and twice as many as before."""

    def __init__(self) -> None:
        self.most = FIRST

    def took(self, records: int, seconds: float) -> None:
        """A step of so many records took so long."""
        if not records:
            return
        fit = min(float(MOST), records * SECONDS / max(seconds, 1e-9))
        self.most = max(1, min(2 * self.most, int(fit)))
