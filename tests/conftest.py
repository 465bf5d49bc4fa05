"""Fixtures that all tests share. The servers start with the first test that asks for them, and only then."""

from __future__ import annotations

import gc
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.servers import Servers, running_servers

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

INTEGRATION = Path(__file__).parent / "integration"
CONSISTENCY = Path(__file__).parent / "consistency"
LEFT_OPEN = "ignore:unclosed <socket:ResourceWarning"
"""kafka-python leaves sockets to the garbage collector when a broker refuses or goes away."""


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.register_profile(
        "no deadline", deadline=None
    )  # how long a test takes is the machine's
    hypothesis.settings.load_profile("no deadline")
    # A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # kafka-python reads its protocol schemas with functions that Python 3.11 deprecated and 3.13 took back.
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if INTEGRATION in item.path.parents or "servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
        if {INTEGRATION, CONSISTENCY} & set(item.path.parents):
            item.add_marker(pytest.mark.filterwarnings(LEFT_OPEN))


@pytest.fixture(autouse=True)
def sockets_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sockets that a test with real brokers left open are collected with it: they are no later test's."""
    yield
    if {INTEGRATION, CONSISTENCY} & set(request.node.path.parents):
        gc.collect()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real Kafka and a real Redis, shared by the session: use fresh names, expect others' topics."""
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def unique_name() -> str:
    """A name that no other test uses, fit for topics, groups, models and keys."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def topic_name(unique_name: str) -> str:
    """The name of a topic that does not exist yet."""
    return f"{unique_name}.samples"


@pytest.fixture
def kafka_admin(servers: Servers) -> Iterator[KafkaAdminClient]:
    """An admin client of the session's Kafka."""
    from kafka.admin import KafkaAdminClient

    with KafkaAdminClient(bootstrap_servers=servers.kafka) as admin:
        yield admin
