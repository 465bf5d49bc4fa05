"""What a worker that was found wrong has saved, or still saves, is written again as a whole by the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from infra.memory_store import MemoryStore
from infra.store import Checkpoint, SaveAnswer
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.checkpoints import Checkpoints
from streams.fold import genesis_value
from streams.log_format import PartitionId, envelope, parse_record
from streams.verify import FIELDS, differences, new_view
from streams.view import View
from tests.models.samples import plain_rows

SPEC = ModelSpec("regression", FeatureSpec(numeric=(NumericFeature("a"),), categorical=("c",), hash_bits=14))
WHERE = PartitionId("t", "id", 0)


class CountingStore(MemoryStore):
    """Notes whether a save was whole, and the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.saves: list[tuple[str, SaveAnswer]] = []

    async def save(self, model: str, checkpoint: Checkpoint) -> SaveAnswer:
        answer = await super().save(model, checkpoint)
        self.saves.append(("whole" if checkpoint.since is None else "partial", answer))
        return answer


class OneWorker:
    """A reader of the log `records` that saves."""

    def __init__(self, name: str, store: MemoryStore) -> None:
        self.view: View = new_view(SPEC)
        self.view.worker = name
        self.checkpoints = Checkpoints("m", SPEC, self.view, store, "log-id")

    def read(self, until: int) -> None:
        for offset in range(self.view.fold.log_offset, until):
            self.view.fold_run([parse_record(offset, *record(self.view, offset))])

    def break_one_weight(self) -> None:
        self.view.model.layout.view(self.view.model.S, "weights")[0] += 1.0
        self.view.model.dirty[0] = 1


def record(view: View, offset: int) -> tuple[bytes, bytes | None, list[tuple[str, bytes]]]:
    """The log's record at `offset`: genesis, open, then ten samples each."""
    if offset == 0:
        return b"genesis", genesis_value(SPEC, "test"), envelope("w", 0)
    if offset == 1:
        return b"open", None, envelope("w", 1, **WHERE.headers(), next=0)
    start = 10 * (offset - 2)
    rows = plain_rows(np.arange(start, start + 10.0)[:, None], np.arange(10.0))
    rows.offsets[:] = np.arange(start, start + 10)
    value = view.fold.codec.encode(rows, np.zeros((10, 1)), {7: "c=x"} if offset == 2 else {})
    headers = envelope(
        "w", offset, **WHERE.headers(), from_=start, to=start + 10, samples=10, dead_letters=0
    )  # fmt: skip
    return b"data", value, headers


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


async def stored(store: MemoryStore) -> Checkpoint:
    found = await store.load("m")
    assert found is not None
    return found


async def is_right(store: MemoryStore) -> bool:
    """Whether what is stored is what the log gives."""
    found = await stored(store)
    plain = OneWorker("plain", MemoryStore())
    plain.read(found.log_offset)
    return not differences(plain.checkpoints.whole(), found)


def test_a_worker_in_doubt_saves_all_over_what_a_wrong_one_saved() -> None:
    async def body() -> None:
        store = CountingStore()
        good, bad = OneWorker("good", store), OneWorker("bad", store)
        for worker in (good, bad):
            worker.read(4)
        await good.checkpoints.save()
        bad.break_one_weight()
        bad.read(6)
        await bad.checkpoints.save()
        assert not await is_right(store)
        good.checkpoints.distrust(["bad"])
        good.read(7)
        await good.checkpoints.save()
        assert store.saves[-1] == ("whole", "saved")
        assert await is_right(store)
        good.read(8)
        await good.checkpoints.save()
        assert store.saves[-1] == ("partial", "saved"), "the doubt is over"
        assert await is_right(store)

    run(body())


def test_the_doubt_lasts_until_a_whole_save_went_through() -> None:
    async def body() -> None:
        store = CountingStore()
        good, bad = OneWorker("good", store), OneWorker("bad", store)
        for worker in (good, bad):
            worker.read(4)
        await good.checkpoints.save()
        bad.break_one_weight()
        bad.read(9)
        await bad.checkpoints.save()
        good.checkpoints.distrust(["bad"])
        good.read(6)
        await good.checkpoints.save()  # behind what is stored: it would be refused
        good.read(10)
        await good.checkpoints.save()
        assert store.saves[-1] == ("whole", "saved")
        assert await is_right(store)

    run(body())


def test_what_a_wrong_worker_saves_later_is_replaced_too() -> None:
    async def body() -> None:
        store = CountingStore()
        good, bad = OneWorker("good", store), OneWorker("bad", store)
        for worker in (good, bad):
            worker.read(4)
        bad.break_one_weight()
        good.checkpoints.distrust(["bad"])
        await good.checkpoints.save()
        bad.read(5)
        await bad.checkpoints.save()
        assert not await is_right(store)
        good.read(6)
        await good.checkpoints.save()
        assert await is_right(store)

    run(body())


def test_a_checkpoint_of_a_wrong_worker_is_not_loaded() -> None:
    async def body() -> None:
        store = CountingStore()
        bad = OneWorker("bad", store)
        bad.read(4)
        bad.break_one_weight()
        await bad.checkpoints.save()
        again, other = OneWorker("again", store), OneWorker("other", store)
        assert await other.checkpoints.load("test")
        assert not await again.checkpoints.load("test", {"bad"})
        assert again.view.fold.log_offset == 0
        again.read(6)
        await again.checkpoints.save()
        assert await is_right(store)

    run(body())


def test_equal_checkpoints_have_no_differences() -> None:
    one, two = OneWorker("one", MemoryStore()), OneWorker("two", MemoryStore())
    for worker in (one, two):
        worker.read(6)
    assert differences(one.checkpoints.whole(), two.checkpoints.whole()) == []


@pytest.mark.parametrize("name", FIELDS)
def test_each_readable_field_that_differs_is_named(name: str) -> None:
    worker = OneWorker("one", MemoryStore())
    worker.read(6)
    expected, found = worker.checkpoints.whole(), worker.checkpoints.whole()
    found.text[name] = '"something else"'
    (difference,) = differences(expected, found)
    assert difference.what == name
    assert difference.found == '"something else"'
    del found.text[name]
    assert [one.found for one in differences(expected, found)] == ["nothing"]


def test_each_bit_of_a_tensor_counts() -> None:
    worker = OneWorker("one", MemoryStore())
    worker.read(6)
    expected = worker.checkpoints.whole()
    assert {"scalars", "scaler", "weights/0", "weights/1", "names"} <= expected.tensors.keys()
    for name, value in expected.tensors.items():
        for at in (len(value) - 1, len(value) - 8):
            found = worker.checkpoints.whole()
            found.tensors[name] = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            (difference,) = differences(expected, found)
            assert difference.what.startswith(f"tensor {name}")
            assert difference.expected != difference.found


def test_a_tensor_or_weight_that_is_missing_unreadable_or_too_many_is_named() -> None:
    worker = OneWorker("one", MemoryStore())
    worker.read(6)
    expected, found = worker.checkpoints.whole(), worker.checkpoints.whole()
    del found.tensors["scaler"]
    found.tensors["scalars"] = b"damaged"
    found.tensors["weights/99"] = found.tensors["weights/1"]
    found.weights["c=y"] = "1.0"
    del found.weights["a"]
    told = {one.what: (one.expected, one.found) for one in differences(expected, found)}
    assert told["tensor scaler"][1] == "nothing"
    assert "unreadable" in told["tensor scalars"][1]
    assert told["tensor weights/99"][0] == "nothing"
    assert told["weight c=y"] == ("nothing", "1.0")
    assert told["weight a"][1] == "nothing"
    assert len(told) == 5


def test_the_order_of_names_is_no_difference() -> None:
    worker = OneWorker("one", MemoryStore())
    worker.read(6)
    worker.view.fold.names = {1: "c=one", 2: "c=two"}
    expected = worker.checkpoints.whole()
    worker.view.fold.names = {2: "c=two", 1: "c=one"}
    assert differences(expected, worker.checkpoints.whole()) == []
