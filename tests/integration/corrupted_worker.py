"""The gradstream command, but one weight changes behind the fold's back after some log records.

    python -m tests.integration.corrupted_worker RECORDS --config … worker

As a flipped bit in memory does: nobody is told, and everything goes on with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from streams.cli import main
from streams.log_format import LogRecord
from streams.view import Outcome, View

after = int(sys.argv.pop(1))
fold_run = View.fold_run


def broken(view: View, records: Sequence[LogRecord]) -> Outcome:
    """As View.fold_run; the weight changes once, behind record `after`.

    Nothing may be pending then: taking it back would heal the weight.
    """
    global after
    outcome = fold_run(view, records)
    if view.fold.log_offset > after and not view.pending:
        after = sys.maxsize
        view.model.layout.view(view.model.S, "weights")[0] += 1.0
        print("corrupted", file=sys.stderr, flush=True)
    return outcome


View.fold_run = broken  # type: ignore[method-assign]
main()
