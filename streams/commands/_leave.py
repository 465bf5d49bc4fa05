"""Ending a worker's process in time, whatever its clients still hold on to."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Awaitable

from streams.commands._common import tell_failure

GRACE_SECONDS = 1.0


async def and_leave(work: Awaitable[None], debug: bool) -> None:
    """Await `work`, tell a failure, and end the process within a second with the right code.

    A Kafka client that waits for a dead broker would keep the event loop and its threads from ending. By then
    everything is saved that will be, and the learning log makes up for the rest.
    """
    code = 0
    try:
        await work
    except Exception as error:
        logging.disable(logging.CRITICAL)  # the last line says why, whatever clients complain of from now on
        code = tell_failure(error, debug)
    timer = threading.Timer(GRACE_SECONDS, _end, [code])
    timer.daemon = True
    timer.start()
    if code:
        raise SystemExit(code)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
