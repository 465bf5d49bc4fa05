"""Workers compare the digests of their folds; the log says who is right, and whoever is wrong stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from infra.memory_store import MemoryStore
from infra.store import KEPT_DIGESTS, Digests, StoreUnavailable
from streams.audit import Auditor, Unequal, wrong_workers
from streams.learning_log import LogError


class Log:
    """What folding the log again gives: `right` by offset, None where its beginning is gone."""

    def __init__(self, right: dict[int, str] | None = None) -> None:
        self.right = right or {}
        self.asked: list[int] = []

    async def digest(self, offset: int) -> str | None:
        self.asked.append(offset)
        await asyncio.sleep(0)
        return self.right.get(offset)


class AwayStore(MemoryStore):
    """A store that does not answer."""

    async def compare(self, model: str, worker: str, digests: Mapping[int, str]) -> Digests:
        raise StoreUnavailable("nobody is there")


def auditor(store: MemoryStore, worker: str, log: Log) -> tuple[Auditor, list[str]]:
    distrusted: list[str] = []
    return Auditor("m", worker, store, log.digest, distrusted.extend), distrusted


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


async def finding(store: MemoryStore) -> Any:
    return json.loads(await store.unequal("m") or "null")


def test_equal_workers_are_silent_and_read_no_log_again() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log()
        workers = [auditor(store, name, log) for name in ("a", "b", "c")]
        for offset in (500, 1000, 1500):
            for one, _ in workers:
                one.note(offset, f"digest at {offset}")
                await one.compare()
        assert log.asked == []
        assert await store.unequal("m") is None
        assert all(distrusted == [] and not one.in_doubt for one, distrusted in workers)

    run(body())


def test_a_wrong_worker_stops_and_says_which_it_is_where_and_from_whom_it_differs() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log({500: "right"})
        (good, _), (bad, _) = auditor(store, "good-worker", log), auditor(store, "bad-worker", log)
        good.note(500, "right")
        await good.compare()
        bad.note(500, "wrong")
        with pytest.raises(Unequal) as error:
            await bad.compare()
        text = str(error.value)
        assert "log offset 500" in text
        assert "this worker (bad-worker)" in text
        assert "than good-worker, and theirs is right" in text
        assert "gradstream verify m" in text
        assert "\n" not in text
        assert bad.in_doubt, "it must not save its state any more"

    run(body())


def test_the_right_worker_goes_on_reports_and_distrusts_what_the_other_saved() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log({500: "right"})
        (good, distrusted), (bad, _) = auditor(store, "good", log), auditor(store, "bad", log)
        bad.note(500, "wrong")
        await bad.compare()
        good.note(500, "right")
        await good.compare()
        assert distrusted == ["bad"]
        assert not good.in_doubt
        found = await finding(store)
        assert found["log_offset"] == 500
        assert found["workers"] == {"good": "right", "bad": "wrong"}
        assert (found["right"], found["differing"], found["found_by"]) == ("right", ["bad"], "good")

    run(body())


def test_a_difference_that_is_settled_is_not_looked_into_again() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log({500: "right", 1000: "right too"})
        (good, distrusted), (bad, _) = auditor(store, "good", log), auditor(store, "bad", log)
        for offset, right in log.right.items():
            bad.note(offset, "wrong")
            good.note(offset, right)
        await bad.compare()
        await good.compare()
        with pytest.raises(Unequal):
            await bad.compare()
        for _ in range(3):
            await good.compare()
        assert log.asked.count(500) == 2, "once by each worker"
        assert 1000 not in log.asked
        assert distrusted == ["bad"]

    run(body())


def test_a_worker_is_not_believed_because_it_is_in_the_majority() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log({500: "right"})
        wrong = [auditor(store, name, log)[0] for name in ("a", "b")]
        for one in wrong:
            one.note(500, "wrong")
            await one.compare()
        good, distrusted = auditor(store, "good", log)
        good.note(500, "right")
        await good.compare()
        assert distrusted == ["a", "b"]
        for one in wrong:
            with pytest.raises(Unequal):
                await one.compare()

    run(body())


def test_where_the_logs_beginning_is_gone_the_majority_decides() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log()
        (a, distrusted), (b, _), (odd, _) = (auditor(store, name, log) for name in ("a", "b", "odd"))
        for one, digest in ((a, "same"), (b, "same"), (odd, "other")):
            one.note(500, digest)
        await a.compare()
        await b.compare()
        with pytest.raises(Unequal, match="theirs is right"):
            await odd.compare()
        await a.compare()
        assert distrusted == ["odd"]

    run(body())


def test_without_log_and_majority_nobody_is_right_and_all_stop() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log()
        (a, distrusted), (b, _) = auditor(store, "a", log), auditor(store, "b", log)
        a.note(500, "one")
        await a.compare()
        b.note(500, "another")
        for one in (b, a):
            with pytest.raises(Unequal, match="nobody can tell which is right"):
                await one.compare()
        found = await finding(store)
        assert (found["right"], found["differing"]) == (None, ["a", "b"])
        assert distrusted == []
        assert wrong_workers(await store.unequal("m")) == set(), "a restart has to begin with something"

    run(body())


def test_all_are_wrong_when_the_log_gives_yet_another_state() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log({500: "right"})
        (a, _), (b, _) = auditor(store, "a", log), auditor(store, "b", log)
        a.note(500, "one")
        await a.compare()
        b.note(500, "another")
        for one in (b, a):
            with pytest.raises(Unequal, match="the log gives yet another one"):
                await one.compare()
        assert wrong_workers(await store.unequal("m")) == {"a", "b"}

    run(body())


def test_only_offsets_that_both_have_been_at_are_compared() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log()
        (a, _), (b, _) = auditor(store, "a", log), auditor(store, "b", log)
        a.note(500, "at 500")
        b.note(1000, "at 1000")
        for one in (a, b, a):
            await one.compare()
        assert log.asked == []

    run(body())


def test_a_worker_far_behind_compares_what_is_still_kept() -> None:
    async def body() -> None:
        store, log = MemoryStore(), Log()
        (ahead, _), (behind, _) = auditor(store, "ahead", log), auditor(store, "behind", log)
        for offset in range(100):
            ahead.note(offset, "same")
            await ahead.compare()
        for offset in range(100 - KEPT_DIGESTS):
            behind.note(offset, "forgotten by now, so nobody can object")
            await behind.compare()
        assert log.asked == []
        log.right[90] = "same"
        behind.note(90, "wrong")
        with pytest.raises(Unequal, match="log offset 90"):
            await behind.compare()

    run(body())


def test_a_store_that_is_away_is_no_finding_and_nothing_is_forgotten() -> None:
    async def body() -> None:
        log = Log({500: "right"})
        away, there = AwayStore(), MemoryStore()
        worker, _ = auditor(away, "a", log)
        worker.note(500, "wrong")
        with pytest.raises(StoreUnavailable):
            await worker.compare()
        assert not worker.in_doubt
        worker._store = there
        other, _ = auditor(there, "b", log)
        other.note(500, "right")
        await other.compare()
        with pytest.raises(Unequal):
            await worker.compare()

    run(body())


def test_while_the_log_cannot_be_folded_again_the_worker_is_in_doubt() -> None:
    class Silent(Log):
        async def digest(self, offset: int) -> str | None:
            if not self.right:
                raise LogError("no record arrived")
            return await super().digest(offset)

    async def body() -> None:
        store, log = MemoryStore(), Silent()
        (a, _), (b, _) = auditor(store, "a", log), auditor(store, "b", log)
        a.note(500, "one")
        await a.compare()
        b.note(500, "another")
        with pytest.raises(LogError):
            await b.compare()
        assert b.in_doubt
        log.right = {500: "another"}
        await b.compare()
        assert not b.in_doubt

    run(body())


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"differing": 3}', "{}"])
def test_a_finding_that_says_nothing_accuses_nobody(text: str | None) -> None:
    assert wrong_workers(text) == set()
