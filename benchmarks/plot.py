"""Lines over time as an SVG picture, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 20, 45
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name and its points (x, y), x from 0 on."""

    name: str
    points: Sequence[tuple[float, float]]


def svg(lines: Sequence[Line], x_label: str, y_label: str, limit: float | None = None) -> str:
    """The lines on axes from zero; `limit`: a dashed line at this y, with its value."""
    points = [point for line in lines for point in line.points]
    x_most = max((x for x, _ in points), default=0.0) or 1.0
    y_most = max([y for _, y in points] + [limit or 0.0]) * 1.1 or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + x / x_most * across, 1), round(TOP + (1 - y / y_most) * up, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for value in ticks(y_most):
        (x, y), (right, _) = at(0, value), at(x_most, value)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(_text(x - 6, y + 4, f"{value:g}", "end"))
    for value in ticks(x_most):
        x, y = at(value, 0)
        parts.append(_text(x, y + 16, f"{value:g}", "middle"))
    parts.append(_text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 8, x_label, "middle"))
    parts.append(_text(8, TOP - 6, y_label, "start"))
    if limit is not None:
        (x, y), (right, _) = at(0, limit), at(x_most, limit)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{right}" y2="{y}" stroke="#888" stroke-dasharray="6 4"/>')
        parts.append(_text(right, y - 5, f"limit {limit:g} {y_label}", "end"))
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x},{y}" for x, y in (at(*point) for point in line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(LEFT + 8, TOP + 14 * (i + 1), line.name, "start", colour))
    return "\n".join([*parts, "</svg>\n"])


def ticks(most: float) -> list[float]:
    """About five round numbers from 0 to `most`."""
    size = 10.0 ** math.floor(math.log10(most / 5))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= most / 5)
    return [step * i for i in range(int(most / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
