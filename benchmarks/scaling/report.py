"""The study as a section of docs/scaling.md, with a picture."""

from __future__ import annotations

from pathlib import Path

from benchmarks.document import write_section
from benchmarks.plot import Line, svg
from benchmarks.scaling.model import MOST_WORKERS, binding, limits
from benchmarks.scaling.study import RATES, Study, place
from benchmarks.scaling.tables import far, parts

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
IMAGE = "scaling.svg"


def picture(study: Study) -> str:
    """What the formulas allow by workers, and what the simulation learned."""
    at = place(study.log)
    lines = [
        Line(one.name, [(w, binding(limits(one, at, w))[1] / 1e3) for w in range(1, MOST_WORKERS + 1)])
        for one in study.costs
    ]
    most = [
        (one.workers, one.simulated.throughput / 1e3) for one in study.beyond if one.offered == max(RATES)
    ]
    lines.append(Line("dense-10, simulated", most))
    return svg(lines, "workers of one model", "thousand samples/s")


def document(study: Study, conditions: str, page: Path = PAGE) -> None:
    """Write the section and its picture."""
    image = page.parent / "images" / IMAGE
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_text(picture(study), "utf-8")
    shown = [one.markdown() for one in parts(study)]
    shown[1] += f"\n\n![Samples a second by workers](images/{IMAGE})"
    shown.append(f"### Ten million a second\n\n{far(study)}")
    text = "\n\n".join(["`python -m benchmarks.scaling` writes this section.", *shown, conditions])
    write_section("scaling", "Figures", text, page)
