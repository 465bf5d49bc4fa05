"""Fold a learning log from its start, as `gradstream verify` does.

python -m benchmarks.loops.fold_log SETTINGS-FILE MODEL
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.report import Report, now
from infra.kafka_clients import aiokafka_config
from infra.settings import load_settings
from models.self_test import warm_up
from streams.learning_log import LogReader
from streams.verify import fold_to, new_view


async def run(config: Path, name: str) -> Report:
    """Fold all of it; raises LogError."""
    settings = load_settings(config, env={})
    spec = settings.models[name].spec()
    warm_up(spec)
    view, reader = (
        new_view(spec),
        LogReader(settings.models[name].learning_log, aiokafka_config(settings.kafka)),
    )
    await reader.start()
    end = await reader.end()
    first = now()
    await fold_to(view, reader, end)
    report = Report(first, now(), view.fold.samples_learned)
    await reader.stop()
    return report


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2])).write()
