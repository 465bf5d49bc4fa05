"""Samples and labels on two topics, workers that die all the time: each label is joined exactly once.

Three workers on four partitions; one of them is killed every few seconds, in the middle of whatever it does,
and Redis is emptied once. GRADSTREAM_LONG=1: twenty kills and more, else four.
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
from tests.consistency.late_audit import (
    assert_every_label_joined_once,
    assert_predictions_as_learned,
    assert_redis_says_the_same,
    letters,
    plain_log,
)
from tests.consistency.late_feeder import LateFeeder
from tests.consistency.late_traffic import HORIZON, LIVE, SETTINGS, traffic
from tests.consistency.plain import digests_at
from tests.integration.harness import Stream, opened

LONG = bool(os.environ.get("GRADSTREAM_LONG"))
KILLS, IDS, PACE = (24, 60_000, 5_000) if LONG else (4, 4_000, 4_000)
"""`PACE`: ms of event time a second, of which an id takes 20."""
PARTITIONS, WORKERS = 4, 3
TABLE = """
labels = "{name}.labels"
task = "binary"
on_missing = "negative"
save_every = "200ms"
{settings}
[models."{name}".features]
numeric = ["x"]
categorical = ["c"]
hash_bits = 10
"""


@pytest.mark.integration
@pytest.mark.timeout(1200)
def test_each_label_is_joined_exactly_once_whoever_dies(
    servers: Any, tmp_path: Path, unique_name: str
) -> None:
    dice = random.Random(7)
    table = TABLE.format(name=unique_name, settings=SETTINGS)
    group = f'group_id = "{unique_name}"\nsession_timeout = "6s"'
    stream = Stream(servers.kafka, servers.redis, unique_name, tmp_path, table, PARTITIONS, group)
    made = traffic(IDS, PARTITIONS, kinds=LIVE)
    topics = {"samples": stream.samples, "labels": stream.labels}
    with opened(stream), Crew(stream.config, tmp_path, {}) as crew:
        for _ in range(WORKERS):
            crew.join()
        crew.wait_joined()
        with LateFeeder(stream.kafka, topics, made, PACE) as feeder:
            for kill in range(KILLS):
                time.sleep(dice.uniform(0.5, 1.5) * (20 * IDS + HORIZON) / PACE / (KILLS + 1))
                crew.kill(dice.choice(crew.members))
                if kill == KILLS // 2:
                    _empty_redis(stream)
            stream.wait(lambda: feeder.done, timeout=600)
            assert not feeder.errors
        stream.wait(lambda: _all_joined(stream), timeout=180)
        assert set(crew.dismiss()) == {0}, crew.tails()
        stopped = crew.stopped()
    log = plain_log(stream)
    assert_every_label_joined_once(log, made, negative=True)
    assert_predictions_as_learned(stream, log, made)
    assert_redis_says_the_same(stream, log)
    assert len({record[1:] for record in letters(stream)}) >= log.counts["dead_letters"], "a letter for each"
    # The tensors and the metrics are those of the log, to the bit.
    verified = stream.command("verify", stream.name, "--json", check=False, timeout=300)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    digests = digests_at(stream.kafka, stream.config, stream.name, {line["log_offset"] for line in stopped})
    assert all(line["digest"] == digests[line["log_offset"]] for line in stopped)
    assert int(stream.checkpoint()["undecodable"]) == 0
    with stream.client() as client:
        assert client.get(f"gradstream:{{{stream.name}}}:unequal") is None


def _empty_redis(stream: Stream) -> None:
    with stream.client() as client:
        keys = client.keys(f"gradstream:{{{stream.name}}}*")
        client.delete(*keys)


def _all_joined(stream: Stream) -> bool:
    """Whether the last sample of each partition alone waits, and nothing is left to read."""
    found = json.loads(stream.checkpoint().get("labels", "{}"))
    if not found or any(one["waiting"] != 1 or one["early_waiting"] for one in found["partitions"].values()):
        return False
    inspected = stream.inspect()
    return inspected["lag"] == 0 and len(found["partitions"]) == PARTITIONS
