"""Horizontal bars with their spread as an SVG picture, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.plot import COLOURS
from benchmarks.results import Spread

WIDTH, ROW, TOP, BOTTOM = 720, 30, 30, 12
LEFT, RIGHT = 160, 190
OTHERS = "#8c959f"


@dataclass(frozen=True, slots=True)
class Bar:
    """The median as a bar, smallest and largest as a line over its end."""

    name: str
    value: Spread


def svg(bars: Sequence[Bar], heading: str, digits: int) -> str:
    """The bars one below the other, from zero; the first stands out. `digits`: decimals of the numbers."""
    height, most = TOP + ROW * len(bars) + BOTTOM, max(bar.value.max for bar in bars) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="{TOP - 12}" fill="#333">{heading}</text>',
    ]

    def x(value: float) -> float:
        return round(LEFT + value / most * (WIDTH - LEFT - RIGHT), 1)

    for i, bar in enumerate(bars):
        top, colour, value = TOP + ROW * i, OTHERS if i else COLOURS[0], bar.value
        middle, base = top + ROW // 2 - 2, top + ROW // 2 + 2
        parts += [
            f'<text x="{LEFT - 8}" y="{base}" text-anchor="end" fill="#333">{bar.name}</text>',
            f'<rect class="bar" x="{LEFT}" y="{top + 4}" width="{round(x(value.median) - LEFT, 1)}" '
            f'height="{ROW - 12}" fill="{colour}"/>',
            f'<line x1="{x(value.min)}" y1="{middle}" x2="{x(value.max)}" y2="{middle}" stroke="#1f2328"/>',
            f'<text x="{x(value.max) + 8}" y="{base}" fill="#333">{value.text(digits)}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])
