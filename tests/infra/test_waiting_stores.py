"""The contract of a store of samples that wait, held by the one in memory and by the one in Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

import pytest

from infra import redis_waiting
from infra.redis_store import RedisStore
from infra.redis_waiting import IN_ONE_CALL, SCANNED, RedisWaitingStore
from infra.store import StoreUnavailable
from infra.waiting_store import MemoryWaitingStore, WaitingSave, WaitingStore

Body = Callable[[WaitingStore, str], Coroutine[Any, Any, None]]
Run = Callable[[Body], None]


def run_on(url: str | None, body: Callable[[Any, str], Coroutine[Any, Any, None]]) -> None:
    """Run a test's body on a store, with a model that is gone afterwards."""

    async def main() -> None:
        model = f"m-{uuid.uuid4().hex[:8]}[x]"
        if url is None:
            await body(MemoryWaitingStore(), model)
            return
        redis = RedisStore(url)
        try:
            await body(RedisWaitingStore(redis), model)
        finally:
            await redis.delete(model)
            await redis.close()

    asyncio.run(main())


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def run(request: pytest.FixtureRequest) -> Run:
    url = request.getfixturevalue("servers").redis if request.param == "redis" else None
    return lambda body: run_on(url, body)


def save(
    offset: int,
    since: int | None = None,
    changed: Mapping[str, bytes] | None = None,
    removed: Collection[str] = (),
    topic_id: str = "t",
) -> WaitingSave:
    about = {"log_offset": str(offset), "log_topic_id": topic_id, "waiting": "?", "early": "[]"}
    return WaitingSave(about, {"a": b"%d" % offset} if changed is None else changed, removed, since)


async def all_of(store: WaitingStore, model: str, partition: int = 0) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    async for page in store.scan(model, partition):
        found.update(page)
    return found


def test_what_was_saved_is_there_as_it_was(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        assert await store.about(model, 0) == {}
        assert await all_of(store, model) == {}
        samples = {"a": b"{}", "": b"\x00\xff\n", "日本 \n": b"", "x" * 4096: b"y" * 100_000}
        assert await store.save(model, 0, save(5, changed=samples)) == "saved"
        assert await all_of(store, model) == samples
        assert (await store.about(model, 0))["log_offset"] == "5"
        assert (await store.about(model, 0))["early"] == "[]"

    run(body)


def test_samples_are_found_by_their_ids_in_the_order_of_asking(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(5, changed={"a": b"1", "b": b"2"}))
        assert await store.samples(model, 0, ["b", "nobody", "a", "b"]) == [b"2", None, b"1", b"2"]
        assert await store.samples(model, 0, []) == []
        assert await store.samples(model, 7, ["a"]) == [None]

    run(body)


@pytest.mark.parametrize("since", [None, 2, 5])
@pytest.mark.parametrize("offset", [4, 5])
def test_a_save_that_does_not_move_forward_is_stale(run: Run, offset: int, since: int | None) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(5))
        assert await store.save(model, 0, save(offset, since, {"a": b"old", "b": b"old"}, ["a"])) == "stale"
        assert await all_of(store, model) == {"a": b"5"}
        assert (await store.about(model, 0))["log_offset"] == "5"

    run(body)


def test_a_partial_save_changes_only_what_it_names(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(5, changed={"a": b"5", "b": b"5", "c": b"5"}))
        partial = save(9, 5, {"b": b"9", "d": b"9"}, ["c", "nobody"])
        assert await store.save(model, 0, partial) == "saved"
        assert await all_of(store, model) == {"a": b"5", "b": b"9", "d": b"9"}
        assert (await store.about(model, 0))["log_offset"] == "9"

    run(body)


def test_what_is_removed_and_changed_waits_again(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(5))
        await store.save(model, 0, save(6, 5, {"a": b"again"}, ["a"]))
        assert await all_of(store, model) == {"a": b"again"}

    run(body)


def test_a_save_of_all_takes_away_what_waits_no_longer(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(5, changed={"a": b"5", "gone": b"5"}))
        assert await store.save(model, 0, save(6, changed={"a": b"6"})) == "saved"
        assert await all_of(store, model) == {"a": b"6"}
        assert await store.save(model, 0, save(7, changed={})) == "saved"
        assert await all_of(store, model) == {}
        assert (await store.about(model, 0))["log_offset"] == "7"

    run(body)


def test_changes_are_taken_only_to_the_state_that_they_were_made_from(run: Run) -> None:
    """Between 3 and 9 "b" came and went again, and is not named; at 5 another worker saved it."""

    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(3))
        await store.save(model, 0, save(5, 3, {"b": b"5"}))
        assert await store.save(model, 0, save(9, 3, {"d": b"9"}, ["a"])) == "full"
        assert await all_of(store, model) == {"a": b"3", "b": b"5"}
        assert (await store.about(model, 0))["log_offset"] == "5"

    run(body)


def test_a_partial_save_over_a_store_that_fell_back_asks_for_a_full_one(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        assert await store.save(model, 0, save(9, 5)) == "full"  # nothing stored at all
        await store.save(model, 0, save(3))
        assert await store.save(model, 0, save(9, 5)) == "full"
        assert await all_of(store, model) == {"a": b"3"}
        assert await store.save(model, 0, save(9)) == "saved"

    run(body)


def test_what_stands_in_another_log_counts_for_nothing(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        await store.save(model, 0, save(50, topic_id="old", changed={"a": b"old", "b": b"old"}))
        assert await store.save(model, 0, save(9, 5, topic_id="new")) == "full"
        assert await store.save(model, 0, save(9, topic_id="new")) == "saved"
        assert await all_of(store, model) == {"a": b"9"}
        assert (await store.about(model, 0))["log_topic_id"] == "new"

    run(body)


def test_partitions_are_apart(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        for partition in (0, 1, 10):
            await store.save(model, partition, save(partition + 1))
        assert await all_of(store, model, 0) == {"a": b"1"}
        assert await all_of(store, model, 1) == {"a": b"2"}
        assert await all_of(store, model, 10) == {"a": b"11"}

    run(body)


@pytest.mark.parametrize("more", [0, 1, IN_ONE_CALL + 1])
def test_any_number_of_samples_is_saved_and_removed(run: Run, more: int) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        samples = {f"id-{i}": b"%d" % i for i in range(IN_ONE_CALL + more)}
        assert await store.save(model, 0, save(5, changed=samples)) == "saved"
        assert await all_of(store, model) == samples
        again = {f"id-{i}": b"new" for i in range(0, IN_ONE_CALL + more, 2)}
        removed = [f"id-{i}" for i in range(IN_ONE_CALL + more)]
        assert await store.save(model, 0, save(6, 5, again, removed)) == "saved"
        assert await all_of(store, model) == again
        assert (await store.about(model, 0))["log_offset"] == "6"
        assert "token" not in await store.about(model, 0)
        for since, answer in ((None, "stale"), (7, "stale")):
            assert await store.save(model, 0, save(6, since, samples)) == answer
        assert await store.save(model, 0, save(9, 8, samples)) == "full"
        assert await all_of(store, model) == again

    run(body)


def test_a_scan_gives_all_of_many_in_pages(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        samples = {f"id-{i}": b"%d" % i for i in range(3 * SCANNED)}
        await store.save(model, 0, save(5, changed=samples))
        pages = [page async for page in store.scan(model, 0)]
        assert {name: value for page in pages for name, value in page.items()} == samples

    run(body)


def test_the_store_tells_how_much_room_there_is(run: Run) -> None:
    async def body(store: WaitingStore, model: str) -> None:
        used, limit = await store.memory()
        assert used >= 0
        assert limit >= 0

    run(body)


# Redis alone: a save in several calls


Disturbance = Callable[[RedisWaitingStore, str, list[str]], Coroutine[Any, Any, None]]
"""Is given the store, the model and the answers to all saves so far."""


class Interrupted(RedisWaitingStore):
    """Something happens before one of the calls of a long save."""

    def __init__(
        self, store: RedisStore, before: str, what: Callable[[], Coroutine[Any, Any, object]]
    ) -> None:
        super().__init__(store)
        self._before, self._what = before, what

    async def _call(self, model: str, partition: int, save: WaitingSave, mode: str, *args: Any) -> Any:
        if mode == self._before:
            self._before = ""
            await self._what()
        return await super()._call(model, partition, save, mode, *args)


def interrupted(
    servers: Any, before: str, body: Disturbance, after: Disturbance, since: int | None = None
) -> None:
    """A store stands at 5; a long save of 9 is disturbed by `body`; `after` looks, and is told the answer."""

    async def main(store: RedisWaitingStore, model: str) -> None:
        await store.save(model, 0, save(5, changed={"five": b"5"}))
        answers: list[str] = []
        slow = Interrupted(store._store, before, lambda: body(store, model, answers))
        changed = {f"id-{i}": b"9" for i in range(25)}
        try:
            answers.append(await slow.save(model, 0, save(9, since, changed)))
        except StoreUnavailable:
            answers.append("died")
        await after(store, model, answers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_waiting, "IN_ONE_CALL", 10)
        run_on(servers.redis, main)


@pytest.mark.integration
@pytest.mark.parametrize("before", ["put", "end"])
def test_a_long_save_that_another_one_overtakes_writes_nothing_more(servers: Any, before: str) -> None:
    async def overtake(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        answers.append(await store.save(model, 0, save(12, changed={"twelve": b"12"})))

    async def after(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        assert answers == ["saved", "full"]
        assert await all_of(store, model) == {"twelve": b"12"}
        assert (await store.about(model, 0))["log_offset"] == "12"

    interrupted(servers, before, overtake, after)


@pytest.mark.integration
def test_of_two_long_saves_the_one_that_began_last_is_whole(servers: Any) -> None:
    many = {f"other-{i}": b"7" for i in range(33)}

    async def overtake(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        answers.append(await store.save(model, 0, save(7, changed=many)))

    async def after(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        assert answers == ["saved", "full"]
        assert await all_of(store, model) == many
        assert "token" not in await store.about(model, 0)

    interrupted(servers, "put", overtake, after)


@pytest.mark.integration
@pytest.mark.parametrize("before", ["put", "end"])
@pytest.mark.parametrize("since", [None, 5])
def test_a_long_save_whose_writer_dies_leaves_what_counts_for_nothing(
    servers: Any, before: str, since: int | None
) -> None:
    async def die(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        assert "log_offset" not in await store.about(model, 0), "half of a save would be taken for all"
        assert await store.save(model, 0, save(10, 5)) == "full"
        raise StoreUnavailable("gone")

    async def after(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        assert answers == ["died"]
        assert "log_offset" not in await store.about(model, 0)
        assert await store.save(model, 0, save(10, changed={"ten": b"10"})) == "saved"
        assert await all_of(store, model) == {"ten": b"10"}
        assert "token" not in await store.about(model, 0)

    interrupted(servers, before, die, after, since)


@pytest.mark.integration
def test_a_long_save_in_a_redis_that_is_emptied_meanwhile_is_not_taken_for_whole(servers: Any) -> None:
    async def empty(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        await store._store.delete(model)

    async def after(store: RedisWaitingStore, model: str, answers: list[str]) -> None:
        assert answers == ["full"]
        assert "log_offset" not in await store.about(model, 0)

    interrupted(servers, "end", empty, after)


@pytest.mark.integration
def test_deleting_a_model_takes_what_waits_with_it(servers: Any) -> None:
    async def body(store: RedisWaitingStore, model: str) -> None:
        await store.save(model, 0, save(5))
        await store.save(model, 3, save(5))
        assert await store._store.delete(model) == 4
        assert await all_of(store, model, 3) == {}

    run_on(servers.redis, body)


def test_a_redis_that_does_not_answer_is_one_line() -> None:
    async def body() -> None:
        redis = RedisStore("redis://:hush@127.0.0.1:1/0", timeout=1)
        store = RedisWaitingStore(redis)
        asked = (
            store.about("m", 0), store.save("m", 0, save(1)), store.samples("m", 0, ["a"]),
            all_of(store, "m"), store.memory(),
        )  # fmt: skip
        for question in asked:
            with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1") as error:
                await question
            assert "hush" not in str(error.value)
        await redis.close()

    asyncio.run(body())
