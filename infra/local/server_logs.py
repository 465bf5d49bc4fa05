"""The log file of one server: kept small, and read for the reason when the server dies."""

from __future__ import annotations

import os
import re
from pathlib import Path

LARGEST = 10_000_000  # bytes; a larger log is put aside at the next start
# Java's own reason; it stands under the log line that reports it, the deepest cause last.
_EXCEPTION = re.compile(r"^(Caused by: |Exception in thread |[\w.$]+(Exception|Error): )")
_ERROR = re.compile(r"\b(ERROR|FATAL|Error|error|Failed|failed|Could not|Can't)\b")


def prepare(log: Path) -> int:
    """Make room for a new run's output; the offset at which it begins."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST:
        os.replace(log, log.with_suffix(".old.log"))
    return log.stat().st_size if log.exists() else 0


def last_error(log: Path, start: int) -> str:
    """The last line since `start` that gives a reason, else the last line; at most 300 characters."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 1_000_000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    exceptions = [line for line in lines if _EXCEPTION.search(line)]
    errors = [line for line in lines if _ERROR.search(line)]
    return (exceptions or errors or lines or ["it wrote nothing"])[-1][:300]
