"""Several models on one stream in one worker: each learns what it would have learned alone."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.harness import Stream, opened, terminate
from tests.servers import Servers

SAMPLES = 6_000
TABLES = {
    "one": 'task = "binary"\n{more}\n[models."{name}".features]\nnumeric = ["a", "b"]\n',
    "two": 'task = "binary"\noptimizer = {{ name = "sgd", learning_rate = 0.05 }}\n{more}\n'
    '[models."{name}".features]\nnumeric = ["a"]\ncategorical = ["k"]\nhash_bits = 10\n',
}


def sample(rng: random.Random, i: int) -> bytes:
    a = rng.gauss(0, 1)
    features = {"a": a, "b": rng.gauss(5, 2), "k": f"k{rng.randrange(20)}"}
    label = int(a + 0.1 * rng.gauss(0, 1) > 0)
    return json.dumps({"id": str(i), "features": features, "label": label}).encode()


class Together:
    """Two models on one topic; `alone` is a stream of the same samples for one of them."""

    def __init__(self, servers: Servers, folder: Path, name: str, partitions: int) -> None:
        self.servers, self.folder, self.name, self.partitions = servers, folder, name, partitions
        self.streams: list[Stream] = []
        self.samples = f"{name}.samples"

    def models(self, *names: str, more: str = "") -> Stream:
        """The stream of the first model, whose settings have all of them; topics are made."""
        first, *others = (f"{self.name}-{one}" for one in names)
        parts = [TABLES[names[0]].format(name=first, more='save_every = "100ms"')]
        for key, model in zip(names[1:], others, strict=True):
            head = f'[models."{model}"]\nsamples = "{self.samples}"\nsave_every = "100ms"\n'
            parts.append(head + TABLES[key].format(name=model, more=more))
        stream = Named(
            self.servers.kafka, self.servers.redis, first, self.folder, "".join(parts), self.partitions,
            top=f'group_id = "{self.name}"\nsession_timeout = "6s"',
        )  # fmt: skip
        stream.topic = self.samples
        stream.create()
        self.streams.append(stream)
        return stream

    def of(self, key: str) -> Stream:
        """How a model is looked at."""
        return replace(self.streams[0], name=f"{self.name}-{key}", running=[])


class Named(Stream):
    """A stream whose samples topic is not called after its model."""

    topic: str = ""

    @property
    def samples(self) -> str:
        return self.topic


@pytest.fixture
def together(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Callable[[int], Together]]:
    made: list[Together] = []

    def make(partitions: int) -> Together:
        made.append(Together(servers, tmp_path, unique_name, partitions))
        return made[-1]

    yield make
    for one in made:
        for stream in one.streams:
            stream.stop_all()


@pytest.fixture
def alone(servers: Servers, tmp_path: Path, unique_name: str) -> Iterator[Callable[..., Stream]]:
    with contextlib.ExitStack() as stack:

        def make(key: str, values: list[bytes]) -> Stream:
            name = f"{unique_name}-alone-{key}"
            table = TABLES[key].format(name=name, more="")
            stream = stack.enter_context(
                opened(
                    Stream(servers.kafka, servers.redis, name, tmp_path, table, top=f'group_id = "{name}"')
                )
            )
            stream.produce(values)
            stream.drain()
            return stream

        yield make


def values(count: int) -> list[bytes]:
    rng = random.Random(5)
    return [sample(rng, i) for i in range(count)]


def learned(stream: Stream) -> tuple[dict[str, bytes], str]:
    return {k: v for k, v in stream.tensors().items() if k != "names"}, stream.checkpoint()["metrics"]


def shared(logs: str, partitions: int) -> bool:
    """Whether the two last assignments that were logged share a topic of so many partitions between them."""
    whole = logs.rpartition("\n")[0].splitlines()
    lines = [json.loads(line)["partitions"] for line in whole if '"event": "assigned"' in line]
    return [len(line) for line in lines[-2:]] == [2, 2] and len({*lines[-2], *lines[-1]}) == partitions


def test_both_learn_what_each_learns_alone(
    together: Callable[[int], Together], alone: Callable[..., Stream]
) -> None:
    both = together(1)
    stream = both.models("one", "two")
    stream.produce(values(SAMPLES))
    stream.drain()
    for key in ("one", "two"):
        assert both.of(key).checkpoint()["samples_learned"] == str(SAMPLES)
        assert learned(both.of(key)) == learned(alone(key, values(SAMPLES)))
        predicted = both.of(key).predictions()
        assert len(predicted) == SAMPLES
        assert {len(bodies) for bodies in predicted.values()} == {1}


def test_one_that_is_added_later_catches_up_while_the_other_goes_on(
    together: Callable[[int], Together], alone: Callable[..., Stream]
) -> None:
    all_values, half = values(SAMPLES), SAMPLES // 2
    both = together(1)
    first = both.models("one")
    first.produce(all_values[:half])
    first.drain()
    stream = both.models("one", "two")
    worker = stream.worker()
    stream.produce(all_values[half:])
    for key in ("one", "two"):
        both.of(key).wait_learned(SAMPLES)
    assert terminate(worker) == 0, stream.logs()
    for key in ("one", "two"):
        assert learned(both.of(key)) == learned(alone(key, all_values))


@pytest.mark.parametrize("start", ["latest", "time"])
def test_one_that_is_added_later_begins_where_it_is_told(
    together: Callable[[int], Together], alone: Callable[..., Stream], start: str
) -> None:
    all_values, half = values(2_000), 1_000
    both = together(1)
    first = both.models("one")
    first.produce(all_values[:half])
    first.drain()
    time.sleep(0.05)
    now = int(time.time() * 1000)
    time.sleep(0.05)
    if start == "time":  # samples that are there already, but written later
        first.produce(all_values[half:])
    stream = both.models("one", "two", more='start = "latest"' if start == "latest" else f"start = {now}")
    worker = stream.worker()
    if start == "latest":
        both.of("two").wait(lambda: "partitions" in both.of("two").checkpoint())
        stream.produce(all_values[half:])
    both.of("two").wait_learned(len(all_values) - half)
    both.of("one").wait_learned(len(all_values))
    assert terminate(worker) == 0, stream.logs()
    assert both.of("two").checkpoint()["samples_learned"] == str(len(all_values) - half)
    assert learned(both.of("two")) == learned(alone("two", all_values[half:]))


def test_workers_that_are_killed_and_join_leave_both_exact(together: Callable[[int], Together]) -> None:
    both = together(4)
    stream = both.models("one", "two")
    rng = random.Random(9)
    workers = [stream.worker() for _ in range(2)]
    produced = 0
    for _ in range(4):
        stream.produce(values(3_000))
        produced += 3_000
        time.sleep(rng.uniform(2.0, 5.0))
        victim = workers.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        workers.append(stream.worker())
    for key in ("one", "two"):
        both.of(key).wait_learned(produced, timeout=90)
    # Who is killed before a rebalance ends was never assigned anything: only the last two count.
    stream.wait(lambda: shared(stream.logs(), partitions=4))
    assert terminate(workers[0]) == 0, stream.logs()
    for key in ("one", "two"):
        assert both.of(key).checkpoint()["samples_learned"] == str(produced)
        stream.command("verify", f"{both.name}-{key}")


def test_a_broken_sample_is_a_dead_letter_of_those_models_that_cannot_take_it(
    together: Callable[[int], Together],
) -> None:
    both = together(1)
    stream = both.models("one", "two")
    good = values(3)
    broken = b'{"id": "x", "features": {"a": 1, "b": "far", "k": "k1"}, "label": 1}'
    stream.produce([*good, broken, b"no json", *good])
    stream.drain()
    assert both.of("one").checkpoint()["dead_letters"] == "2"
    assert both.of("two").checkpoint()["dead_letters"] == "1"  # it does not read b
    assert both.of("one").checkpoint()["samples_learned"] == "6"
    assert both.of("two").checkpoint()["samples_learned"] == "7"
