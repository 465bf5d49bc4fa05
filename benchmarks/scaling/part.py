"""One table, for a terminal and for a page, and how figures are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.document import markdown_table


@dataclass(frozen=True)
class Part:
    """A table and what it says."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def terminal(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title)
        for i, column in enumerate(self.header):
            table.add_column(column, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page."""
        return f"### {self.title}\n\n{self.text}\n\n{markdown_table(self.header, self.rows)}"


def thousands(rate: float) -> str:
    """Of samples a second."""
    return f"{rate / 1e3:,.0f}" if rate >= 1e4 else f"{rate / 1e3:.1f}".removesuffix(".0")


def beside(real: float, simulated: float, digits: int) -> list[str]:
    """Both, and how far the second is off."""
    return [f"{real:,.{digits}f}", f"{simulated:,.{digits}f}", f"{100 * (simulated / real - 1):+.0f} %"]
