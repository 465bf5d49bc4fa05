"""What the demo reads of a checkpoint, what it shows while things go, and when it is done or gives up."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import redis

from streams.demo import stream as module
from streams.demo.board import Board, Standing, others, plain, quality
from streams.demo.clients import produce
from streams.demo.errors import DemoError
from streams.demo.joins import Joins, parse, saved, utc
from streams.demo.report import show_stream
from streams.demo.scores import Score
from streams.demo.stream import Watch
from streams.demo.traffic import NEVER, Traffic, event_order

NOON = 1_372_680_000_000  # 1 July 2013, 12:00 UTC
SAVED = {
    "joined": 1_200,
    "expired": 3,
    "dropped": 0,
    "early": 0,
    "waiting": 210,
    "delays": {"count": 1_200, "mean_seconds": 9_000.0, "p50_seconds": 9_216.0, "p90_seconds": 20_480.0},
    "partitions": {"flights-0": {"waiting": 210, "sample_time": NOON, "label_time": NOON - 60_000}},
    "offsets": {"flights.labels-0": 1_200},
}


class FakeRedis:
    """Has one checkpoint, or none."""

    def __init__(self, labels: Any = None, learned: int = 0) -> None:
        self.labels, self.learned = labels, learned

    def hmget(self, key: str, names: list[str]) -> list[str | None]:
        assert key == "gradstream:{flights}"
        assert names == ["labels", "samples_learned"]
        return [None, None] if self.labels is None else [json.dumps(self.labels), str(self.learned)]


class Quiet:
    """A worker that lives, or predictions that can be read."""

    received = 0

    def check(self) -> None:
        pass

    def last_words(self) -> str:
        return "assigned"

    @property
    def probabilities(self) -> Any:
        return np.where(np.arange(4) < self.received, 0.25, np.nan)


def test_a_checkpoint_is_read_as_far_as_it_is_shown() -> None:
    joins = saved(FakeRedis(SAVED, 1_200))  # type: ignore[arg-type]
    assert (joins.joined, joins.expired, joins.waiting, joins.learned) == (1_200, 3, 210, 1_200)
    assert (joins.seen, joins.clock) == (1_413, NOON)
    assert (joins.delays.p50_seconds, joins.delays.p90_seconds) == (9_216.0, 20_480.0)


def test_before_the_first_checkpoint_nothing_has_happened() -> None:
    assert saved(FakeRedis()) == Joins()  # type: ignore[arg-type]
    assert Joins().clock is None
    nothing_yet = {"flights-0": {"sample_time": None, "label_time": None}}
    assert parse(json.dumps({**SAVED, "partitions": nothing_yet}), "0").clock is None


@pytest.mark.parametrize("text", ["", "[]", '{"joined": "many"}'])
def test_a_checkpoint_that_is_none_is_told_in_one_line(text: str) -> None:
    with pytest.raises(DemoError, match=r"^Redis: field labels of gradstream:\{flights\}: [^\n]+$"):
        parse(text, "1")


def test_a_redis_that_does_not_answer_is_told_in_one_line() -> None:
    with (
        redis.Redis(port=1, retry=None) as client,
        pytest.raises(DemoError, match=r"^Redis does not tell how things go: [^\n]+$"),
    ):
        saved(client)


def test_times_are_shown_in_utc() -> None:
    assert utc(NOON) == "2013-07-01 12:00 UTC"


SCORES = {
    "the stream": Score(0.25, 0.92, 0.9),
    "frozen": Score(0.33, 0.88, 0.8),
    "base rate": Score(0.5, None, 0.7),
}


def test_a_plain_line_has_the_time_both_streams_and_how_good_it_is() -> None:
    at = Standing(1_500, 1_300, 1_450, parse(json.dumps(SAVED), "1200"), SCORES)
    assert plain(at, 5_000.4) == (
        "2013-07-01 12:00 UTC  1,413 left  1,200 landed  210 in the air, 3 given up  5,000/s  "
        "log loss 0.2500  AUC 0.9200  (frozen 0.3300 0.8800, base rate 0.5000)"
    )


def test_a_plain_line_says_what_there_is_before_the_first_checkpoint() -> None:
    assert plain(Standing(1_500, 1_300, 0, Joins(), {}), 0.0) == (
        "1,500 samples and 1,300 labels sent  (the worker starts; it may compile)"
    )
    undefined = dict.fromkeys(SCORES, Score(None, None, None))
    assert plain(Standing(1_500, 1_300, 20, Joins(), undefined), 10.0) == "20 predicted  10/s"
    assert quality({}) == others({}) == ""


def test_the_board_asks_how_things_stand_only_when_it_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def standing() -> Standing:
        asked.append(1)
        return Standing(4, 3, 4, Joins(), {})

    with Board(4, 3) as board:
        board.update(standing)
        assert not asked
        board.update(standing, last=True)
    assert len(asked) == 1
    assert capsys.readouterr().err.startswith("4 predicted")


def four() -> Traffic:
    """Four flights; the third never lands."""
    departed, landed = np.array([0, 1, 2, 9]) * 60_000, np.array([5, 4, NEVER, 20])
    landed[landed != NEVER] *= 60_000
    return Traffic(
        scheduled=6,
        ids=["a", "b", "c", "d"],
        samples=[b"{}"] * 4,
        outcomes=[b"{}", b"{}", None, b'{"id":"d"}'],
        labels=np.array([1, 0, np.nan, 1]),
        departed=departed,
        landed=landed,
        order=event_order(departed, landed),
    )


def watch(client: FakeRedis, predictions: Quiet) -> Watch:
    things: tuple[Any, ...] = (client, Quiet(), predictions, Board(4, 3), {"base rate": np.full(4, 0.5)})
    return Watch(four(), *things)


def test_it_is_done_when_all_is_predicted_and_saved() -> None:
    client, predictions = FakeRedis(), Quiet()
    watching = watch(client, predictions)
    predictions.received = 4
    watching.tick(7)
    assert not watching.done
    client.labels = {"joined": 2, "expired": 0, "waiting": 2}
    client.learned = 2
    watching.tick(7)
    assert not watching.done  # one is in the air whose label comes
    client.labels = {"joined": 3, "expired": 0, "waiting": 1}
    client.learned = 3
    watching.tick(7)
    assert watching.done
    predictions.received = 3
    assert not watching.done


def test_scores_are_of_what_has_landed_when_the_last_predicted_flight_leaves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    predictions = Quiet()
    watching = watch(FakeRedis(), predictions)
    predictions.received = 3  # the third leaves before any has landed
    watching.tick(3, last=True)
    assert "log loss" not in capsys.readouterr().err
    predictions.received = 4
    watching.tick(7, last=True)
    expected = -(np.log(0.25) + np.log(0.75)) / 2
    assert f"log loss {expected:.4f}  AUC 0.5000  (base rate 0.6931 0.5000)" in capsys.readouterr().err


def test_a_stream_that_stands_still_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", -1.0)
    predictions = Quiet()
    watching = watch(FakeRedis(), predictions)
    watching.tick(6)  # not yet: there is something to send
    predictions.received = 2
    watching.tick(7)
    with pytest.raises(
        DemoError, match=r"2 of 4 flights are predicted, 0 of 3 labels joined, .* the worker says: assigned$"
    ):
        watching.tick(7)


def test_a_kafka_that_is_not_there_is_told_in_one_line() -> None:
    told: list[int] = []
    with pytest.raises(DemoError, match=r"^Kafka at 127\.0\.0\.1:1 did not take the flights: [^\n]+$"):
        produce("127.0.0.1:1", four().records(), told.append)
    assert not told


def test_the_end_says_what_became_of_every_flight(capsys: pytest.CaptureFixture[str]) -> None:
    joins = parse(json.dumps({**SAVED, "joined": 3, "expired": 0, "waiting": 1}), "3")
    show_stream(four(), b'{"probability":0.5}', 61.25, joins)
    told = capsys.readouterr().out
    assert "6 flights were scheduled; 2 never left" in told
    assert (
        "3 landed: the label came then, and was learned from (half within 2.6 hours, nine of ten within 5.7)"
        in told
    )
    assert "1 never landed (diverted, mostly) and are not learned: 0 given up\n24 hours after" in told
    assert "1 in the air when the stream ends, at 2013-07-01 12:00 UTC." in told
    assert 'flights.labels       {"id":"d"}\n' in told
    assert all(len(line) <= 110 for line in told.splitlines())
