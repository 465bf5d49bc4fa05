"""Structured logs on standard error: JSON lines for machines, coloured lines on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

NOISY = {
    "faust": logging.ERROR,
    "mode": logging.ERROR,
    "aiokafka": logging.ERROR,
    "asyncio": logging.ERROR,
    "kafka": logging.CRITICAL,  # infra.kafka_admin says the same in one line of its own
}
"""Libraries whose chatter below this level is theirs, not the user's."""
QUIET_SECONDS = 10.0


def configure(debug: bool = False) -> None:
    """Send structlog's and the standard library's logs to standard error in one form."""
    terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=True) if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if terminal else [structlog.processors.format_exc_info]),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    if not debug:
        handler.addFilter(Chatter())


class Chatter(logging.Filter):
    """Keeps libraries' lines below their level out, and the same complaint to once in ten seconds.

    It sits on the handler, because some of these libraries set the levels of their loggers themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is let through."""
        level = NOISY.get(record.name.partition(".")[0])
        if level is None:
            return True
        if record.levelno < level:
            return False
        key = record.name, str(record.msg)
        if record.created - self._told.get(key, float("-inf")) < QUIET_SECONDS:
            return False
        self._told[key] = record.created
        return True


def logger(**context: Any) -> Any:
    """A logger that says `context` with every line."""
    return structlog.get_logger("gradstream").bind(**context)
