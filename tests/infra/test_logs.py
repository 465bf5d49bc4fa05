"""A worker's log has our lines, and of the libraries' what matters, once."""

from __future__ import annotations

import logging

from infra.logs import QUIET_SECONDS, Chatter


def line(name: str, level: int, message: str, at: float = 0.0) -> logging.LogRecord:
    record = logging.LogRecord(name, level, "", 0, message, (), None)
    record.created = at
    return record


def test_our_own_lines_always_pass() -> None:
    chatter = Chatter()
    assert all(chatter.filter(line("gradstream", logging.INFO, "assigned")) for _ in range(3))


def test_a_librarys_lines_below_an_error_do_not_pass() -> None:
    assert not Chatter().filter(line("aiokafka.consumer", logging.WARNING, "joining"))
    assert Chatter().filter(line("aiokafka.consumer", logging.ERROR, "no broker"))


def test_the_same_complaint_passes_once_in_ten_seconds() -> None:
    chatter = Chatter()
    times = [0.0, 1.0, QUIET_SECONDS - 0.1, QUIET_SECONDS, QUIET_SECONDS + 1]
    passed = [chatter.filter(line("aiokafka", logging.ERROR, "no broker %s", at)) for at in times]
    assert passed == [True, False, False, True, False]
    assert chatter.filter(line("aiokafka", logging.ERROR, "another", 1.0))
