"""The demo's commands and its worker: their failures are told, their processes end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from infra.local import Status
from streams.demo import config
from streams.demo.errors import DemoError
from streams.demo.processes import Worker, last_line, own_environment, run


def watch(worker: Worker, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        worker.check()
        time.sleep(0.1)


def test_the_last_line_of_a_log_is_read_whatever_its_form() -> None:
    assert last_line("gradstream: no topic flights\n\n") == "no topic flights"
    assert last_line('first\n{"event": "assigned", "level": "info"}\n') == "assigned"
    assert last_line('["no event"]') == '["no event"]'
    assert last_line("  \n") == "it said nothing"


def test_settings_from_the_environment_do_not_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSTREAM_REDIS__URL", "redis://elsewhere")
    monkeypatch.setenv("gradstream_kafka__bootstrap_servers", "elsewhere:1")
    assert not [name for name in own_environment() if name.lower().startswith("gradstream_")]
    assert own_environment()["PATH"] == os.environ["PATH"]


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(
        DemoError, match=r"^gradstream topics create failed: .*gradstream\.toml: no such file"
    ):
        run(tmp_path / "gradstream.toml", "topics", "create")


def test_a_worker_that_cannot_start_is_told_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS", "not even an address")
    path = config.write(tmp_path, Status(tmp_path, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    worker = Worker(path, tmp_path / "logs" / "worker.log")
    try:
        with pytest.raises(DemoError, match=r"^the worker ended early, .*127\.0\.0\.1:1: connection refused"):
            watch(worker, 60)
    finally:
        worker.stop()
        worker.stop()


def test_a_settings_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / config.FILE
    assert not config.own_file(tmp_path)
    config.write(tmp_path, Status(tmp_path, kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0"))
    assert config.own_file(tmp_path)
    path.write_text('[models.mine]\nsamples = "flights"\n')
    with pytest.raises(DemoError, match=r"gradstream\.toml is not the demo's: .* with --dir"):
        config.own_file(tmp_path)
