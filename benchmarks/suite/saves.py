"""What a save costs: of a large model where little was touched, against saving all of it.

Timed is `streams.checkpoints`' whole way: from the state to Redis' answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from benchmarks.kernels.ours import hashed_rows
from benchmarks.suite.measured import Effort, Rows
from benchmarks.suite.place import Place
from benchmarks.tables import model_spec
from infra.redis_store import RedisStore
from infra.store import Checkpoint, SaveAnswer
from streams.checkpoints import Checkpoints
from streams.verify import new_view
from streams.view import View

TOUCHED, FIELDS = 1_000, 40
TOPIC_ID = "bench"


class Counting(RedisStore):
    """Counts the bytes of tensors that it is given, also of a save that it turns down."""

    given = 0

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        """See CheckpointStore."""
        self.given += sum(map(len, checkpoint.tensors.values()))
        return await super().save(model, checkpoint)


@dataclass(frozen=True)
class Saves:
    """A part of the suite."""

    bits: int = 22
    name: str = "saves"
    title: str = "Saves of a large model"
    text: str = (
        "A linear model of 2^22 hash bits; between two saves 1,000 coordinates were touched that stand all "
        "over it. From the state to Redis' answer; kB: of tensors that were encoded."
    )
    compared: tuple[str, ...] = ("milliseconds",)
    contestants: tuple[str, ...] = ("touched", "all")

    def measure(self, place: Place, effort: Effort) -> tuple[Rows, dict[str, object]]:
        """See Part."""
        bits = self.bits if effort.scale == 1.0 else min(self.bits, 20)
        return asyncio.run(self._measure(place, effort, bits)), {"hash_bits": bits, "repeats": effort.repeats}

    async def _measure(self, place: Place, effort: Effort, bits: int) -> Rows:
        spec = model_spec({"task": "binary", "features": {"categorical": ["field"], "hash_bits": bits}})
        view, store, name = new_view(spec), Counting(place.redis), place.name(self.name)
        rng = np.random.default_rng(0)
        made: Rows = {one: {"milliseconds": [], "kilobytes": []} for one in self.contestants}
        try:
            touch(view, rng, bits)
            saved = Checkpoints(name, spec, view, store, TOPIC_ID)
            await saved.save()  # all of it, for the first time
            for repeat in range(1, effort.repeats + 1):
                for one in self.contestants:
                    touch(view, rng, bits)
                    if one == "all":  # for one who has not saved before there is nothing to add to
                        saved = Checkpoints(name, spec, view, store, TOPIC_ID)
                    given, begun = store.given, time.perf_counter()
                    await saved.save()
                    took = 1e3 * (time.perf_counter() - begun)
                    made[one]["milliseconds"].append(took)
                    made[one]["kilobytes"].append((store.given - given) / 1e3)
                    click.echo(f"{self.name} {repeat}/{effort.repeats} {one}: {took:.1f} ms", err=True)
        finally:
            await store.delete(name)
            await store.close()
        return made


def touch(view: View, rng: Any, bits: int) -> None:
    """Learn samples of 1,000 different coordinates in all, as if a record of the log had brought them."""
    chosen = rng.choice(1 << bits, TOUCHED, replace=False).reshape(-1, FIELDS)
    rows = hashed_rows(chosen, np.arange(len(chosen), dtype=np.float64) % 2)
    learned = view.model.learn(rows, np.full((len(rows), 1), 0.5), keep_undo=False)
    assert not learned.refused
    view.fold.log_offset += 1
