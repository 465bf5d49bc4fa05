"""Sequential halving: all candidates learn from a part of the recording, the better half goes on.

Karnin, Koren & Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013, algorithm 3, for
candidates that learn as they go, as in Jamieson & Talwalkar, "Non-stochastic best arm identification and
hyperparameter optimization", AISTATS 2016. With n candidates, N samples and a budget of B passes there are
R = ⌈log2 n⌉ rounds of equal cost: in round k = 0, 1, … each of the n_k = ⌈n / 2^k⌉ candidates that are left
learns from B N / (R n_k) more samples, and is judged by its prequential metric since the start.

The current settings stay in the race to its end, whatever their rank, so that it can be said what the best
ones gain.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.metrics import Metric, Metrics
from models.model import Model
from streams.evaluation.prequential import predict_and_learn
from streams.tuning.candidates import Candidate
from streams.tuning.criterion import HIGHER_IS_BETTER, QuantileLoss, with_quantile_loss
from streams.tuning.held import Held

FEWEST = 1_000
"""Samples below which no candidate is judged, unless the recording has fewer."""
KEPT_BYTES = 1024 * 1024 * 1024
"""What the models of candidates may take that may go on; others learn again from the start if they do."""
REFUSED_SHARE = 0.001
"""Share of refused samples, beyond what the best-behaved candidate refused, with which one comes last.

A refused sample is in no metric, so a candidate that refuses the hard ones would look good.
"""

Tell = Callable[[float, str], None]
"""Takes how much of the race is run, from 0 to 1, and what is going on."""


@dataclass(frozen=True, slots=True)
class Round:
    """So many candidates learn until each has seen so many samples."""

    candidates: int
    until: int


def plan(candidates: int, samples: int, budget: float | None = None) -> list[Round]:
    """The rounds; it ends with the one that reaches all samples, or with two candidates.

    `budget` in passes over the recording; None: the least with which the last two see all of it.
    """
    count = max(1, math.ceil(math.log2(max(2, candidates))))
    left = [math.ceil(candidates / 2**k) for k in range(count)]
    passes = count / sum(1 / n for n in left) if budget is None else budget
    rounds: list[Round] = []
    learned = 0.0
    for k, n in enumerate(left):
        learned += passes * samples / (count * n)
        is_last = budget is None and k == count - 1  # whatever rounding makes of the sum
        until = samples if is_last else min(samples, max(FEWEST, math.floor(learned)))
        if rounds and rounds[-1].until == until:
            continue  # nobody has learned more by which to be judged
        rounds.append(Round(n, until))
        if until == samples:
            break
    return rounds


@dataclass(slots=True, eq=False)
class Trial:
    """One candidate in the race."""

    candidate: Candidate
    samples: int = 0
    rounds: int = 0
    seconds: float = 0.0
    metrics: dict[str, Metric | Metrics] = field(default_factory=dict)
    refused: int = 0
    broken: bool = False
    """It halted, or predicted something that is no number."""
    model: Model | None = None
    _quantile_loss: QuantileLoss | None = None

    def advance(self, held: Held, until: int, tell: Callable[[int], None]) -> None:
        """Learn until `until` samples are seen, from the start if the model was let go."""
        begun = time.perf_counter()
        at = self.samples
        if self.model is None:
            self.model, at = Model(self.candidate.spec), 0
            self._quantile_loss = QuantileLoss.of(self.candidate.spec)
        for rows in held.between(at, until):
            learned = predict_and_learn(self.model, rows)
            self.broken |= not bool(np.isfinite(learned.served).all())
            if self._quantile_loss is not None:
                self._quantile_loss.add(rows, learned.served)
            tell(len(rows))
        self.samples = until
        self.rounds += 1
        self.metrics = with_quantile_loss(self.model.metrics(), self._quantile_loss)
        self.refused = self.model.refused
        self.broken |= self.model.halted()
        self.seconds += time.perf_counter() - begun

    def value(self, metric: str) -> float:
        """The metric since the start; NaN where it is undefined."""
        found = self.metrics.get(metric)
        return found if isinstance(found, float) else math.nan

    @property
    def nbytes(self) -> int:
        """About what the model takes: its state, digests and working memory."""
        return 0 if self.model is None else 2 * int(self.model.S.nbytes)


def race(
    candidates: Sequence[Candidate], held: Held, metric: str, rounds: Sequence[Round], tell: Tell
) -> list[Trial]:
    """Run the rounds; all trials, the best first: who came further, then who was better there."""
    progress = _Progress(rounds, tell)
    ranked = [Trial(candidate) for candidate in candidates]
    out: list[Trial] = []
    for k, this in enumerate(rounds):
        going, dropped = _going_on(ranked, this.candidates)
        out = [*dropped, *out]
        room = rounds[k + 1].candidates if k + 1 < len(rounds) else 0
        for i, trial in enumerate(going):
            progress.text = f"round {k + 1} of {len(rounds)}: settings {i + 1} of {len(going)}"
            trial.advance(held, this.until, progress.count)
            _let_go(going[: i + 1], metric, room)
        ranked = _ranked(going, metric)
    return [*ranked, *out]


class _Progress:
    """How much of the planned work is done; learning once more what was let go counts as well."""

    def __init__(self, rounds: Sequence[Round], tell: Tell) -> None:
        before = [0, *(one.until for one in rounds)]
        self._total = sum(one.candidates * (one.until - at) for one, at in zip(rounds, before, strict=False))
        self._done = 0
        self._tell = tell
        self.text = ""

    def count(self, samples: int) -> None:
        self._done += samples
        self._tell(min(1.0, self._done / max(1, self._total)), self.text)


def _going_on(ranked: Sequence[Trial], count: int) -> tuple[list[Trial], list[Trial]]:
    """The first `count` and the current settings; and who is out."""
    going = [trial for i, trial in enumerate(ranked) if i < count or trial.candidate.is_current]
    return going, [trial for trial in ranked if trial not in going]


def _ranked(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The best first; those that cannot be compared come last. Ties stay in order."""
    least = min((trial.refused for trial in trials), default=0)
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0

    def key(trial: Trial) -> tuple[bool, bool, bool, float]:
        value = trial.value(metric)
        refuses = trial.refused - least > REFUSED_SHARE * trial.samples
        return trial.broken, refuses, math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted(trials, key=key)


def _let_go(trials: Sequence[Trial], metric: str, room: int) -> None:
    """Keep the models that may be needed again, as far as memory goes."""
    kept = 0
    for i, trial in enumerate(_ranked(trials, metric)):
        wanted = room > 0 and (i < room or trial.candidate.is_current)
        if not wanted or kept + trial.nbytes > KEPT_BYTES:
            trial.model = None
        kept += trial.nbytes
