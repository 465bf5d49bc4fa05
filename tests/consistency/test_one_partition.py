"""One worker, one partition: crashes, fetch sizes and saves leave no trace in a single bit.

Parameters, metrics and predictions after many kill -9 are those of a run that nobody disturbed, whatever the
sizes of fetches and the times of saves. The model is one that learns (hashed, scaled, with interactions).
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.consistency.crew import Crew
from tests.integration.harness import Stream, opened
from tests.integration.test_worker import HASHED, samples, valid, without_names

CRASHES, SAMPLES = (50, 150_000) if os.environ.get("GRADSTREAM_LONG") else (4, 12_000)


def stream_of(servers: Any, folder: Path, name: str) -> Stream:
    table = HASHED.format(name=name)
    return Stream(servers.kafka, servers.redis, name, folder, table, 1, f'group_id = "{name}"')


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_after_crashes_everything_is_as_without_them(servers: Any, tmp_path: Path, unique_name: str) -> None:
    dice = random.Random(3)
    values = samples(SAMPLES)
    calm, wild = (stream_of(servers, tmp_path, f"{unique_name}-{word}") for word in ("calm", "wild"))
    with opened(calm), opened(wild):
        calm.produce(values)
        calm.drain()
        for crash in range(CRASHES):
            wild.produce(values[crash * SAMPLES // CRASHES : (crash + 1) * SAMPLES // CRASHES])
            _crash(wild, dice, tmp_path / f"crash-{crash}", f"{unique_name}-{crash}")
        wild.drain(env={"GRADSTREAM_GROUP_ID": f"{unique_name}-last"})
        _same(calm, wild)


def _crash(stream: Stream, dice: random.Random, folder: Path, group: str) -> None:
    """A worker with sizes of its own, killed at a random moment of its work."""
    folder.mkdir()
    env = {
        "TEST_FETCH": str(dice.choice([1_000, 20_000, 100_000, 1_000_000])),
        "GRADSTREAM_GROUP_ID": group,  # nobody waits for the dead one's session
    }
    save = dice.choice(["10ms", "100ms", "1s", "30s"])
    with Crew(stream.config, folder, env) as crew:
        member = crew.join("--set", f"models.{stream.name}.save_every={save}")
        crew.wait_joined()
        time.sleep(dice.uniform(0.0, 0.6))
        crew.kill(member, restart=False)


def _same(calm: Stream, wild: Stream) -> None:
    ours, theirs = wild.checkpoint(), calm.checkpoint()
    for name in ("digest", "metrics", "samples_learned", "dead_letters", "offsets"):
        assert ours[name].replace(wild.name, calm.name) == theirs[name], name
    assert without_names(wild.tensors()) == without_names(calm.tensors())
    once, again = calm.predictions(), wild.predictions()
    assert len(once) == valid(SAMPLES)
    assert once.keys() == again.keys()
    for at, served in again.items():
        expected = {**json.loads(once[at][0]), "model": wild.name, "topic": wild.samples}
        assert all(json.loads(body) == expected for body in served), at
        assert len(set(served)) == 1, f"a repeat of {at} differs"
