"""The fault suite's figures to docs/results.md.

GRADSTREAM_CONSISTENCY_REPORT=report.json make consistency
python -m tests.consistency.document report.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.document import conditions, markdown_table, write_section
from tests.consistency.table import TABLE

FIGURES = ("faults", "produced", "learned_once", "lost", "repeated", "unequal", "ignored", "redone")
FAULTS = """\
`make consistency`: faults injected into running workers on real servers, {episodes} runs of {rows} rows in
{minutes:.0f} minutes. A row's figures are the sums over its seeds; *ignored*: log records that came too late;
*redone*: samples taken back and learned again under other workers' records.

{table}

{recoveries}

{conditions}
"""
ENDURANCE = """\
`make endurance`: three workers on six partitions, one of them killed with -9 every {every:.0f} s and started
again at once (session 6 s, static membership); a backlog is there all the time.

{table}

{conditions}
"""


def write_faults(report: dict[str, Any], load_before: float) -> None:
    """The section of the fault table."""
    by_row: dict[str, list[dict[str, Any]]] = {}
    for episode in report["episodes"]:
        by_row.setdefault(episode["row"], []).append(episode)
    rows = [
        [TABLE[name].title, *(f"{sum(one[figure] for one in found):,}" for figure in FIGURES)]
        for name, found in by_row.items()
    ]
    rows.append(["**all**", *(f"**{report['total'][figure]:,}**" for figure in FIGURES)])
    recoveries = [
        f"- {what}: {seconds:.1f} s" for one in report["episodes"] for what, seconds in one["recoveries"]
    ]
    text = FAULTS.format(
        episodes=len(report["episodes"]),
        rows=len(by_row),
        minutes=report["seconds"] / 60,
        table=markdown_table(["fault", *(figure.replace("_", " ") for figure in FIGURES)], rows),
        recoveries="Until it went on by itself:\n\n" + "\n".join(recoveries),
        conditions=conditions(load_before),
    )
    write_section("faults", "Faults", text)


def write_endurance(result: dict[str, Any], every: float, load_before: float) -> None:
    """The section of the ten minutes."""
    rows = [[name.replace("_", " "), f"{value:,}"] for name, value in result.items()]
    table = markdown_table(["", "measured"], rows)
    text = ENDURANCE.format(every=every, table=table, conditions=conditions(load_before))
    write_section("endurance", "Ten minutes of kills", text)


if __name__ == "__main__":
    write_faults(json.loads(Path(sys.argv[1]).read_text()), 0.0)
