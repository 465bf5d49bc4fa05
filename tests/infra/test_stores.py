"""The contract of a checkpoint store, held by the one in memory and by the one in Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from infra.memory_store import MemoryStore
from infra.redis_store import RedisStore
from infra.store import KEPT_DIGESTS, Checkpoint, CheckpointStore, StoreCorrupt, StoreUnavailable

Body = Callable[[CheckpointStore, str], Coroutine[Any, Any, None]]
Run = Callable[[Body], None]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def run(request: pytest.FixtureRequest) -> Run:
    url = request.getfixturevalue("servers").redis if request.param == "redis" else None

    def run_body(body: Body) -> None:
        async def main() -> None:
            store: CheckpointStore = MemoryStore() if url is None else RedisStore(url)
            model = f"m-{uuid.uuid4().hex[:8]}[x]"
            try:
                await body(store, model)
            finally:
                await store.delete(model)
                await store.close()

        asyncio.run(main())

    return run_body


def checkpoint(offset: int, since: int | None = None, topic_id: str = "t", **tensors: bytes) -> Checkpoint:
    text = {"log_offset": str(offset), "log_topic_id": topic_id, "digest": "d", "spec": "{}"}
    return Checkpoint(text, tensors or {"weights": b"%d" % offset}, {"x": "1.5"}, since)


def test_a_full_save_is_loaded_as_it_was(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        assert await store.load(model) is None
        assert await store.save(model, checkpoint(5, a=b"\x00\xff", b=b"")) == "saved"
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"\x00\xff", "b": b""}
        assert loaded.weights == {"x": "1.5"}
        assert (loaded.log_offset, loaded.log_topic_id, loaded.text["version"]) == (5, "t", "1")

    run(body)


@pytest.mark.parametrize("since", [None, 2])
@pytest.mark.parametrize("offset", [4, 5])
def test_a_save_that_does_not_move_forward_is_stale(run: Run, offset: int, since: int | None) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        await store.save(model, checkpoint(5, a=b"five"))
        assert await store.save(model, checkpoint(offset, since, a=b"old")) == "stale"
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"five"}
        assert loaded.text["version"] == "1"

    run(body)


@pytest.mark.parametrize("since", [3, 5])
def test_a_partial_save_replaces_only_what_it_names(run: Run, since: int) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        await store.save(model, checkpoint(5, a=b"five", b=b"five"))
        assert await store.save(model, checkpoint(9, since, b=b"nine")) == "saved"
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"five", "b": b"nine"}
        assert loaded.text["version"] == "2"

    run(body)


def test_a_partial_save_over_a_store_that_fell_back_asks_for_a_full_one(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        assert await store.save(model, checkpoint(9, 5)) == "full"  # nothing stored at all
        await store.save(model, checkpoint(3, a=b"three"))
        assert await store.save(model, checkpoint(9, 5, a=b"nine")) == "full"
        assert await store.save(model, checkpoint(9, a=b"nine")) == "saved"
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"nine"}

    run(body)


def test_a_full_save_takes_blocks_away_that_are_no_more(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        await store.save(model, checkpoint(1, a=b"1", gone=b"1"))
        await store.save(model, checkpoint(2, a=b"2"))
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"2"}

    run(body)


@pytest.mark.parametrize("since", [None, 5])
def test_a_checkpoint_of_another_log_is_never_overwritten(run: Run, since: int | None) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        await store.save(model, checkpoint(5, topic_id="one", a=b"one"))
        with pytest.raises(StoreCorrupt):
            await store.save(model, checkpoint(9, since, topic_id="two", a=b"two"))
        loaded = await store.load(model)
        assert loaded is not None
        assert loaded.tensors == {"a": b"one"}

    run(body)


def test_names_are_registered_until_a_model_is_deleted(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        await store.register(model)
        assert model in await store.models()
        await store.save(model, checkpoint(1))
        assert await store.delete(model) >= 2
        assert model not in await store.models()
        assert await store.load(model) is None
        assert await store.delete(model) == 0

    run(body)


def test_digests_of_all_workers_are_kept_for_the_last_offsets(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        assert await store.compare(model, "a", {}) == {}
        assert await store.compare(model, "a", {10: "x", 20: "y"}) == {10: {"a": "x"}, 20: {"a": "y"}}
        assert await store.compare(model, "b", {20: "z"}) == {10: {"a": "x"}, 20: {"a": "y", "b": "z"}}
        last = {100 + i: f"d{i}" for i in range(KEPT_DIGESTS)}
        assert await store.compare(model, "a", last) == {at: {"a": digest} for at, digest in last.items()}
        assert set(await store.compare(model, "b", {})) == set(last)

    run(body)


def test_the_last_finding_is_kept_until_the_model_is_deleted(run: Run) -> None:
    async def body(store: CheckpointStore, model: str) -> None:
        assert await store.unequal(model) is None
        await store.note_unequal(model, "one")
        await store.note_unequal(model, '{"näher": 2}')
        assert await store.unequal(model) == '{"näher": 2}'
        await store.compare(model, "a", {1: "x"})
        assert await store.delete(model) == 2
        assert await store.unequal(model) is None
        assert await store.compare(model, "b", {}) == {}

    run(body)


@pytest.mark.integration
def test_deleting_a_model_leaves_models_of_similar_names_alone(servers: Any) -> None:
    async def body() -> None:
        store = RedisStore(servers.redis)
        base = f"m-{uuid.uuid4().hex[:6]}"
        for name in (base, base + "2", base[:-1] + "?"):
            await store.save(name, checkpoint(1))
        await store.delete(base[:-1] + "?")
        assert await store.load(base) is not None
        await store.delete(base)
        assert await store.load(base + "2") is not None
        await store.delete(base + "2")
        await store.close()

    asyncio.run(body())


@pytest.mark.integration
def test_what_is_no_checkpoint_is_named_and_not_touched(servers: Any) -> None:
    async def body() -> None:
        store = RedisStore(servers.redis)
        name = f"m-{uuid.uuid4().hex[:6]}"
        await store._redis.hset(f"gradstream:{{{name}}}", "log_offset", "soon")
        with pytest.raises(StoreCorrupt, match=name):
            await store.load(name)
        await store.delete(name)
        await store.close()

    asyncio.run(body())


def test_a_redis_that_refuses_is_one_line_without_the_password() -> None:
    async def body() -> None:
        store = RedisStore("redis://:hush@127.0.0.1:1/0", timeout=1)
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1") as error:
            await store.load("m")
        assert "hush" not in str(error.value)
        assert "\n" not in str(error.value)
        await store.close()

    asyncio.run(body())
