"""Kafka's jars are fetched once, checked always, and a repository that fails is one clear line.

The repository is a real HTTP server over a folder in Maven's layout; the jars in it are small files.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.local import jars
from infra.local.errors import LocalStackError
from infra.local.jars import Jar, central_mirror, kafka_class_path, locked_jars

CONTENTS = {"kafka_2.13": b"broker", "kafka-clients": b"clients"}


@dataclass
class Repository:
    """A Maven repository over HTTP, and the local one that is filled from it."""

    remote: Path
    local: Path
    home: Path
    port: int
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def class_path(self) -> list[Path]:
        return kafka_class_path(self.said.append)

    def jars_asked_for(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for path in self.requests if path.endswith(".jar")]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    locked = []
    for artifact, content in CONTENTS.items():
        jar = Jar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest())
        locked.append(jar)
        path = tmp_path / "remote" / jar.path
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    requests: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(tmp_path / "remote"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        home = tmp_path / "home"
        (home / ".m2").mkdir(parents=True)
        write_mirror(home, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(jars, "locked_jars", lambda: locked)
        monkeypatch.setattr(jars, "ATTEMPTS", 1)
        monkeypatch.setattr(Path, "home", lambda: home)
        monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "no-settings"))
        monkeypatch.setenv("M2_REPO", str(tmp_path / "local"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield Repository(tmp_path / "remote", tmp_path / "local", home, server.server_port, requests)
        server.shutdown()
        thread.join()


def write_mirror(home: Path, url: str, of: str = "central") -> Path:
    settings = home / ".m2" / "settings.xml"
    settings.write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors><mirror><id>near</id>'
        f"<url>{url}</url><mirrorOf>{of}</mirrorOf></mirror></mirrors></settings>"
    )
    return settings


def test_the_lock_names_the_pinned_kafka_each_jar_once_and_a_checksum_for_each() -> None:
    locked = locked_jars()
    versions = {jar.artifact: jar.version for jar in locked}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == jars.KAFKA_VERSION
    assert versions["log4j-slf4j-impl"] == versions["log4j-core"]
    assert len(versions) == len(locked)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in locked)


def test_an_empty_cache_is_filled_from_the_mirror_in_class_path_order(repository: Repository) -> None:
    paths = repository.class_path()
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert all(path.is_relative_to(repository.local) for path in paths)
    assert repository.said[0].startswith("Fetching Apache Kafka")
    assert not list(repository.local.glob(".gradstream-*"))


def test_a_full_cache_asks_nobody(repository: Repository) -> None:
    repository.class_path()
    repository.requests.clear()
    repository.said.clear()
    write_mirror(repository.home, "http://127.0.0.1:9/")  # whoever asks here gets no answer
    assert len(repository.class_path()) == len(CONTENTS)
    assert repository.requests == []
    assert repository.said == []


def test_a_jar_that_was_cut_short_is_fetched_again_and_no_other(repository: Repository) -> None:
    broken = repository.class_path()[1]
    broken.write_bytes(b"cli")
    repository.requests.clear()
    repository.class_path()
    assert broken.read_bytes() == b"clients"
    assert set(repository.jars_asked_for()) == {"kafka-clients-1.0.jar"}


def test_other_bytes_than_the_lock_names_never_reach_the_cache(repository: Repository) -> None:
    [path] = repository.remote.rglob("kafka-clients-1.0.jar")
    path.write_bytes(b"evil")
    with pytest.raises(
        LocalStackError, match=r"kafka-clients:1\.0 cannot be fetched from near \(other bytes"
    ):
        repository.class_path()
    assert not list(repository.local.rglob("kafka-clients-1.0.jar"))


def test_a_jar_that_no_repository_has_is_one_clear_line(repository: Repository) -> None:
    [path] = repository.remote.rglob("kafka-clients-1.0.jar")
    path.unlink()
    with pytest.raises(
        LocalStackError, match=r"kafka-clients:1\.0 is in none of the repositories near: check"
    ):
        repository.class_path()


def test_an_unreachable_repository_is_one_clear_line_without_its_password(repository: Repository) -> None:
    write_mirror(repository.home, "http://user:secret@127.0.0.1:9/")
    with pytest.raises(
        LocalStackError, match=r"cannot be fetched from near \(ConnectionError\): check"
    ) as caught:
        repository.class_path()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_clear_line(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("M2_REPO", str(tmp_path / "file" / "repository"))
    with pytest.raises(LocalStackError, match=r"cannot be written to .*: set M2_REPO"):
        repository.class_path()


@pytest.mark.parametrize("of", ["central", "*", "external:*", "other, central", "*,!other"])
def test_a_mirror_of_central_is_used(tmp_path: Path, of: str) -> None:
    (tmp_path / ".m2").mkdir()
    settings = write_mirror(tmp_path, "http://mirror.example/maven/", of)
    assert central_mirror(settings) == ("near", "http://mirror.example/maven")


@pytest.mark.parametrize("of", ["other", "*,!central", "external:http:*"])
def test_a_mirror_of_something_else_is_not_used(tmp_path: Path, of: str) -> None:
    (tmp_path / ".m2").mkdir()
    assert central_mirror(write_mirror(tmp_path, "http://mirror.example/maven/", of)) is None


def test_maven_settings_that_are_not_xml_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "settings.xml").write_text("<settings>")
    with pytest.raises(LocalStackError, match=r"settings\.xml cannot be read: "):
        central_mirror(tmp_path / "settings.xml")


def test_without_maven_settings_there_is_no_mirror(tmp_path: Path) -> None:
    assert central_mirror(tmp_path / "settings.xml") is None
