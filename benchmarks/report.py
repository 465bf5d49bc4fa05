"""What each worker process writes at its end, to the file named by GRADSTREAM_BENCH_REPORT."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

REPORT_VARIABLE = "GRADSTREAM_BENCH_REPORT"

now = time.monotonic
"""The clock of all reports, in seconds: one for every process of the machine, so the harness can compare."""


class Report(msgspec.Struct):
    """Moments of one run; `last_append_acked` is None for a peer without a learning log."""

    first_record: float
    last_prediction_acked: float
    samples: int
    last_append_acked: float | None = None

    @property
    def end(self) -> float:
        """When everything that was sent had been acknowledged."""
        return max(self.last_prediction_acked, self.last_append_acked or self.last_prediction_acked)

    @property
    def seconds(self) -> float:
        """From the first record received to the last acknowledgement."""
        return self.end - self.first_record

    def write(self) -> None:
        """Write it where the harness asked for it; does nothing when nobody asked."""
        if path := os.environ.get(REPORT_VARIABLE):
            Path(path).write_bytes(msgspec.json.encode(self))
