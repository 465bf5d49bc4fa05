"""The outcomes: the section of docs/results.md, and the file that keeps them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.document import conditions, markdown_table, write_json, write_section
from benchmarks.machine import peer_versions
from benchmarks.quality.race import Outcome, Tried
from benchmarks.quality.settings import FAMILIES, REASONS

OURS = "gradstream"
PEERS = ("River", "VW")
WITHIN = 1.01
"""Ours may be so much worse than the better peer."""
UNITS = {"log_loss": "log loss", "rmse": "RMSE"}
HEADER = [
    "stream", "loss", "samples", "ours untuned", "River", "VW", "ratio", "ours best", "River", "VW", "ratio",
]  # fmt: skip
TEXT = """\
`python -m benchmarks.quality`: one pass in order, each sample predicted before it is learned from; log loss
of classes or root mean squared error of numbers over the whole pass, computed by the same code for all,
weights 1. *Untuned*: the system as it comes, no optimizer and no rate named. *Best*: the best of a grid of
the same family on the same features, chosen for each stream and system by that loss
(benchmarks/quality/settings.py has them, as many for each system). *Ratio*: ours ÷ the better peer; below 1
ours is better. Numbers are standardised online by gradstream and, by its own scaler, for River; VW's grid
has settings with and without that. Bundled sets: means over {orders} shuffled orders.

{verdict}

{families}

{conditions} {versions}.
"""


class Comparison(msgspec.Struct, frozen=True):
    """One stream and family: at least one outcome, by system."""

    outcomes: dict[str, Outcome]

    @property
    def any(self) -> Outcome:
        """One of them, for what they share."""
        return next(iter(self.outcomes.values()))

    def loss(self, system: str, kind: str) -> float:
        """Of the setting that is `untuned` or `best`."""
        outcome = self.outcomes[system]
        tried: Tried = getattr(outcome, kind)
        return tried.loss(outcome.loss)

    def ratio(self, kind: str) -> float:
        """Loss of ours ÷ loss of the better peer; NaN without one of them."""
        peers = [self.loss(name, kind) for name in PEERS if name in self.outcomes]
        return self.loss(OURS, kind) / min(peers) if OURS in self.outcomes and peers else math.nan

    def cells(self) -> list[str]:
        """A row of the family's table: HEADER."""
        parts = [self.any.source, UNITS[self.any.loss], f"{self.any.samples:,}"]
        for kind in ("untuned", "best"):
            ratio = self.ratio(kind)
            shown = "" if math.isnan(ratio) else f"{ratio:.3f}"
            parts += [*(self._shown(name, kind) for name in (OURS, *PEERS)), shown]
        return parts

    def _shown(self, system: str, kind: str) -> str:
        if system not in self.outcomes:
            return "–"
        loss = self.loss(system, kind)
        text = f"{loss:.4g}" if math.isfinite(loss) else "diverged"
        return f"**{text}**" if loss == min(self.loss(name, kind) for name in self.outcomes) else text

    def settings(self) -> list[str]:
        """A row of the table of best settings."""
        found = self.outcomes
        return [
            self.any.source,
            *(f"`{found[name].best.text}`" if name in found else "–" for name in (OURS, *PEERS)),
        ]


def comparisons(outcomes: Sequence[Outcome], family: str) -> list[Comparison]:
    """One for each stream of a family, in order."""
    found: dict[str, dict[str, Outcome]] = {}
    for one in outcomes:
        if one.family == family:
            found.setdefault(one.source, {})[one.system] = one
    return [Comparison(by_system) for by_system in found.values()]


def table(outcomes: Sequence[Outcome], family: str) -> str:
    """The family's losses as Markdown."""
    return markdown_table(HEADER, [one.cells() for one in comparisons(outcomes, family)])


def verdict(outcomes: Sequence[Outcome]) -> str:
    """How often ours is better, within 1 %, or worse, at best settings; where it is worse, and why."""
    better, within, worse = 0, 0, []
    for family in FAMILIES:
        for one in comparisons(outcomes, family.name):
            ratio = one.ratio("best")
            better += ratio < 1.0
            within += 1.0 <= ratio <= WITHIN
            if ratio > WITHIN:
                why = REASONS.get((family.name, one.any.source))
                worse.append(f"- {one.any.source}, {family.name}: {ratio:.3f}" + (f". {why}" if why else ""))
    told = (
        f"With best settings ours is better than both peers {better} times, within 1 % of the better one"
        f" {within} times, and worse than that {len(worse)} times"
    )
    return "\n".join([f"{told}:\n", *worse] if worse else [f"{told}."])


def document(outcomes: Sequence[Outcome], load: float) -> None:
    """Write the section of docs/results.md."""
    parts = []
    for family in FAMILIES:
        if rows := comparisons(outcomes, family.name):
            parts += [f"### {family.name}", family.note, table(outcomes, family.name), "Best settings:"]
            parts += [markdown_table(["stream", "ours", *PEERS], [one.settings() for one in rows])]
    text = TEXT.format(
        orders=max(one.orders for one in outcomes),
        families="\n\n".join(part for part in parts if part),
        verdict=verdict(outcomes),
        conditions=conditions(load),
        versions=", ".join(" ".join(pair) for pair in peer_versions().items()),
    )
    write_section("quality", "Prequential quality", text)


def read(path: Path) -> list[Outcome]:
    """What an earlier run kept; nothing if there was none."""
    return msgspec.json.decode(path.read_bytes(), type=list[Outcome]) if path.exists() else []


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Keep them as indented JSON."""
    write_json(path, list(outcomes), indent=1)
