"""The learning curve as a picture: one panel a metric, since the start and recent, over the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import GradstreamError
from streams.evaluation.curve import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, PANEL = 8.0, 2.4
"""Inches."""
DOTS_PER_INCH = 120
SINCE_THE_START, RECENT = "#1f6feb", "#d1711f"
SETTLED = 0.03
"""Share of the points that do not stretch a panel's height: a metric of few samples may be anything."""


class CannotPlot(GradstreamError):
    """No plot can be written where it is wanted."""


def check_plot(path: Path) -> None:
    """Raise CannotPlot before the work instead of after it."""
    if path.suffix.lower() != ".png":
        raise CannotPlot(f"--plot {path}: expected the name of a .png file")
    if not path.absolute().parent.is_dir():
        raise CannotPlot(f"--plot {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise CannotPlot(f"--plot {path}: is a folder; expected the name of a .png file")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise CannotPlot(
            f"--plot needs matplotlib ({error}); install it with: pip install 'gradstream[plot]'"
        ) from None


def write_plot(path: Path, title: str, curve: Sequence[Point]) -> None:
    """Draw the curve, the same bytes each time; raises CannotPlot if the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in curve[-1].metrics if name != "recent"]
    figure = Figure(figsize=(WIDTH, 0.8 + PANEL * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for name, panel in zip(names, panels, strict=True):
        _draw(panel, name, curve)
    panels[0].set_title(title, loc="left")
    panels[0].legend(loc="best", frameon=False)
    panels[-1].set_xlabel("samples")
    panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png", metadata={"Software": "gradstream"})
    except OSError as error:
        raise CannotPlot(f"--plot {path}: cannot be written: {error.strerror}") from None


def _draw(panel: Axes, name: str, curve: Sequence[Point]) -> None:
    samples = [point.samples for point in curve]
    total = [_number(point.metrics.get(name)) for point in curve]
    recent = [_number(_recent(point).get(name)) for point in curve]
    panel.plot(samples, total, color=SINCE_THE_START, linewidth=1.6, label="since the start")
    panel.plot(samples, recent, color=RECENT, linewidth=1.2, label="recent")
    panel.set_ylabel(name)
    panel.set_xlim(0, samples[-1])
    panel.grid(alpha=0.3)
    first = int(len(curve) * SETTLED)
    settled = [value for value in total[first:] + recent[first:] if math.isfinite(value)]
    if settled and (space := 0.08 * (max(settled) - min(settled))) > 0.0:
        panel.set_ylim(min(settled) - space, max(settled) + space)


def _recent(point: Point) -> dict[str, float | None]:
    found = point.metrics.get("recent")
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, float) else math.nan
