"""Apache Kafka's jars: fetched once by Maven coordinates, into Maven's own local repository.

kafka-jars.lock (written by infra.local.lock_jars) names each jar with its SHA-256, so a start resolves
nothing, needs no network once the jars are there, and never runs a jar that was cut short or changed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from infra.local.errors import LocalStackError

KAFKA_VERSION = "4.4.0"
ATTEMPTS = 3

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: Maven coordinates, and the SHA-256 of its bytes in hexadecimal."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies in a Maven repository."""
        folder = Path(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """The jars of the lock file, in class path order."""
    lines = resources.files("infra.local").joinpath("kafka-jars.lock").read_text().splitlines()
    jars = []
    for line in lines:
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def kafka_class_path(progress: Progress) -> list[Path]:
    """Paths of all jars, fetching those that are missing or damaged.

    Raises LocalStackError when one cannot be had.
    """
    settings = _jgo_settings()
    repository = Path(settings.repo_cache)
    jars = locked_jars()
    missing = [jar for jar in jars if _sha256(repository / jar.path) != jar.sha256]
    if missing:
        progress(f"Fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} jars, this once")
        _fetch_all(missing, repository, _remote_repositories(settings), progress)
    return [repository / jar.path for jar in jars]


def _fetch_all(jars: list[Jar], repository: Path, remotes: dict[str, str], progress: Progress) -> None:
    """Fetch into a staging folder, then rename: whoever is interrupted leaves no half jar to others."""
    from jgo.maven import MavenContext

    try:
        repository.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".gradstream-", dir=repository) as staging:
            context = MavenContext(repo_cache=Path(staging), remote_repos=remotes, timeout=30)
            for number, jar in enumerate(jars, 1):
                fetched = _fetch(jar, context)
                target = repository / jar.path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(fetched, target)
                if number % 10 == 0 or number == len(jars):
                    progress(f"Fetched {number} of {len(jars)} jars")
    except OSError as error:
        raise LocalStackError(
            f"Kafka's jars cannot be written to {repository} ({error.strerror}):"
            " set M2_REPO to a folder that can be written"
        ) from None


def _fetch(jar: Jar, context: Any) -> Path:
    """One jar into the context's cache, checked."""
    what = f"{jar.group}:{jar.artifact}:{jar.version}"
    names = ", ".join(context.remote_repos)
    mend = "check the network, or name a reachable mirror in ~/.m2/settings.xml or jgo's configuration"
    reason = ""
    for attempt in range(ATTEMPTS):
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        artifact.cached_path.unlink(missing_ok=True)
        try:
            fetched = Path(artifact.resolve())
        except (
            RuntimeError
        ):  # jgo: every repository answered, none has it. Its text holds URLs, maybe with passwords.
            raise LocalStackError(
                f"Kafka's jar {what} is in none of the repositories {names}: {mend}"
            ) from None
        except OSError as error:  # requests' exceptions are OSErrors
            reason = type(error).__name__
            time.sleep(attempt)
            continue
        if _sha256(fetched) == jar.sha256:
            return fetched
        reason = "other bytes than the lock file names"
    raise LocalStackError(f"Kafka's jar {what} cannot be fetched from {names} ({reason}): {mend}")


def _jgo_settings() -> Any:
    try:
        from jgo.config import GlobalSettings
    except ImportError:
        raise LocalStackError(
            "the package jgo is missing, it fetches Kafka's jars: pip install 'gradstream[local]'"
        ) from None
    return GlobalSettings.load()


def _remote_repositories(settings: Any) -> dict[str, str]:
    """Repository name → URL: Maven Central, or its mirror in ~/.m2/settings.xml, then jgo's own."""
    from jgo.constants import MAVEN_CENTRAL_URL

    central = central_mirror(Path.home() / ".m2" / "settings.xml") or ("central", MAVEN_CENTRAL_URL)
    return dict([central]) | dict(settings.repositories)


def central_mirror(settings_xml: Path) -> tuple[str, str] | None:
    """Name and URL of the first mirror that stands for Maven Central, or None.

    Raises LocalStackError when the file is there and is not XML.
    """
    try:
        root = ElementTree.parse(settings_xml).getroot()
    except FileNotFoundError:
        return None
    except (OSError, ElementTree.ParseError) as error:
        raise LocalStackError(f"{settings_xml} cannot be read: {error}") from None
    for mirror in root.findall("{*}mirrors/{*}mirror"):
        name, url, of = (mirror.findtext(f"{{*}}{tag}", "").strip() for tag in ("id", "url", "mirrorOf"))
        patterns = {pattern.strip() for pattern in of.split(",")}
        if url and patterns & {"*", "central", "external:*"} and "!central" not in patterns:
            return name or "mirror", url.rstrip("/")
    return None


def _sha256(path: Path) -> str | None:
    """SHA-256 of a file in hexadecimal, None when it is not there or cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
