"""One live line on a terminal: how much a worker has learned, how fast, how far behind, how well."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from streams.labels.fold import LateFold

if TYPE_CHECKING:
    from streams.model_worker import ModelWorker
    from streams.worker import Worker

EVERY = 1.0


class Progress:
    """Shows the line each second while standard error is a terminal; silent otherwise."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to show it."""
        if sys.stderr.isatty():
            self._task = asyncio.create_task(self._show(), name="progress")

    def stop(self) -> None:
        """Take it away."""
        if self._task is not None:
            self._task.cancel()

    async def _show(self) -> None:
        seen: dict[str, tuple[float, int]] = {}
        with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(EVERY)
                lines = [self._line(model, seen) for model in self._worker.models]
                live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

    def _line(self, model: ModelWorker, seen: dict[str, tuple[float, int]]) -> str:
        now, samples = time.monotonic(), model.processor.throughput.samples
        before, count = seen.get(model.name, (now - EVERY, 0))
        seen[model.name] = (now, samples)
        rate = (samples - count) / max(now - before, 1e-9)
        recent = model.view.model.metrics()["recent"]
        loss = next(iter(recent.items()), None) if isinstance(recent, dict) else None
        shown = f"recent {loss[0]} {loss[1]:.4f}" if loss is not None and loss[1] is not None else ""
        lag = self._worker.group.lag(model)
        behind = "?" if lag is None else f"{lag:,}"
        learned = f"{model.fold.samples_learned:,}"
        if isinstance(model.fold, LateFold):
            learned += f"  waiting {sum(at.waiting for at in model.fold.standings.values()):,}"
        return f"{model.name}  learned {learned}  {rate:,.0f}/s  lag {behind}  {shown}"
