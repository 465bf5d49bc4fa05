"""The year on Kafka: both streams go out, predictions come back, until every label is joined and saved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import redis

from models.rows import Float64
from streams.demo import config
from streams.demo.board import Board, Standing
from streams.demo.clients import Predictions, produce
from streams.demo.errors import DemoError
from streams.demo.joins import Joins, saved
from streams.demo.processes import Worker
from streams.demo.scores import Score, score
from streams.demo.traffic import Traffic

SILENCE_SECONDS = 120.0
"""Without a prediction or a joined label for so long, the demo gives up; the first waits for a compiler."""
LOOK_SECONDS = 0.1
LIVE = "the stream"
SCORE_SECONDS = 2.5
"""Between two scores of all that is known: they take a moment, in which nothing is sent."""


@dataclass(slots=True)
class Streamed:
    """What came back: probabilities (n,), that of the flight that lands last as it came, and in how long."""

    probabilities: Float64
    shown: bytes
    seconds: float


def stream(
    traffic: Traffic, kafka: str, client: redis.Redis, worker: Worker, baselines: Mapping[str, Float64]
) -> Streamed:
    """Send everything; wait until each flight is predicted and each label joined and saved. Raises DemoError.

    baselines: name → probabilities (n,), for the board.
    """
    show = traffic.ids[traffic.last_landing]
    with (
        Predictions(kafka, config.PREDICTIONS, traffic.ids, show) as predictions,
        Board(len(traffic), traffic.labelled) as board,
    ):
        watch = Watch(traffic, client, worker, predictions, board, baselines)
        produce(kafka, traffic.records(), watch.tick)
        while not watch.done:
            time.sleep(LOOK_SECONDS)
            watch.tick(len(traffic.order))
        watch.tick(len(traffic.order), last=True)
        assert predictions.shown is not None
        return Streamed(predictions.probabilities, predictions.shown, board.seconds)


class Watch:
    """Looks at what goes in and what comes out, tells the board, and notices when nothing moves."""

    def __init__(
        self,
        traffic: Traffic,
        client: redis.Redis,
        worker: Worker,
        predictions: Predictions,
        board: Board,
        baselines: Mapping[str, Float64],
    ) -> None:
        self._traffic, self._client, self._worker = traffic, client, worker
        self._predictions, self._board, self._baselines = predictions, board, baselines
        self._samples_sent = np.concatenate([[0], np.cumsum(traffic.order >= 0)])
        self._moved, self._moved_at = (0, 0), time.monotonic()
        self._scores: dict[str, Score] = {}
        self._scored_at = float("-inf")
        self.joins = Joins()

    @property
    def done(self) -> bool:
        """Whether each flight is predicted, and the model saved that has learned each label, once."""
        labelled, joins = self._traffic.labelled, self.joins
        return self._predictions.received == len(self._traffic) == joins.seen and labelled == joins.learned

    def tick(self, sent: int, last: bool = False) -> None:
        """`sent` of all records are sent; raises DemoError when it does not go on."""
        self._worker.check()
        self._predictions.check()
        if sent == len(self._traffic.order):
            self._look()
        else:
            self._moved_at = time.monotonic()
        self._board.update(lambda: self._standing(sent, last), last)

    def _look(self) -> None:
        self.joins = saved(self._client)
        moved, now = (self._predictions.received, self.joins.joined), time.monotonic()
        if moved != self._moved:
            self._moved, self._moved_at = moved, now
        elif now - self._moved_at > SILENCE_SECONDS:
            raise DemoError(
                f"nothing moves for {SILENCE_SECONDS:.0f} s: {moved[0]:,} of {len(self._traffic):,} flights "
                f"are predicted, {moved[1]:,} of {self._traffic.labelled:,} labels joined, "
                f"{self.joins.learned:,} learned; the worker says: {self._worker.last_words()}"
            )

    def _standing(self, sent: int, last: bool) -> Standing:
        self.joins, now = saved(self._client), time.monotonic()
        samples, received = int(self._samples_sent[sent]), self._predictions.received
        if received and (last or now - self._scored_at >= SCORE_SECONDS):
            self._scores, self._scored_at = self._score(), now
        return Standing(samples, sent - samples, received, self.joins, self._scores)

    def _score(self) -> dict[str, Score]:
        """Of what is predicted, and has landed when the last predicted flight leaves."""
        probabilities = self._predictions.probabilities
        predicted = np.isfinite(probabilities)
        labels = self._traffic.known_at(int(self._traffic.departed[predicted][-1]))
        labels[~predicted] = np.nan
        return {name: score(labels, p) for name, p in {LIVE: probabilities, **self._baselines}.items()}
