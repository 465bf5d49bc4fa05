"""Waiting for a condition on shared state, within one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Whoever changes the state says so; whoever waits looks again."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when `holds` is true; it is looked at now and after every change."""
        if holds():
            return
        async with self._condition:
            await self._condition.wait_for(holds)

    async def notify(self) -> None:
        """Something has changed."""
        async with self._condition:
            self._condition.notify_all()
