"""The Compose file and the Dockerfile say what they promise, as far as that shows without a Docker engine.

COMPOSE is our own description of the part of the Compose specification that the file uses. It is closed: a
key that it does not know is a mistake. Where the compose plugin is installed, that checks the file too.
"""

from __future__ import annotations

import copy
import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.local.jars import KAFKA_VERSION
from infra.local.kafka_server import MESSAGE_MAX_BYTES
from tests.servers import REDIS_IMAGE

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements-runtime.lock", "requirements-build.lock")


def closed(**properties: object) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def named(content: object) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "patternProperties": {"^[a-z0-9._-]+$": content}}


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
CONDITION = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
HEALTH = closed(
    test={"type": "array", "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "items": TEXT, "minItems": 2},
    interval=DURATION,
    timeout=DURATION,
    start_period=DURATION,
    retries={"type": "integer", "minimum": 1},
)
SERVICE = closed(
    image={"type": "string", "pattern": r"^[a-z0-9/_-]+(:[A-Za-z0-9._-]+)?$"},
    build=TEXT,
    command=TEXTS,
    # YAML's bare numbers and booleans reach a container in a spelling of Compose's choice: text is clear.
    environment={"type": "object", "additionalProperties": TEXT},
    ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    volumes={"type": "array", "items": {"type": "string", "pattern": "^[a-z-]+:/[a-z/]+$"}},
    configs={"type": "array", "items": closed(source=TEXT, target=TEXT)},
    healthcheck=HEALTH,
    depends_on=named(closed(condition=CONDITION)),
    init={"type": "boolean"},
    stop_grace_period=DURATION,
    restart={"type": "string", "pattern": r"^(no|always|unless-stopped|on-failure(:\d+)?)$"},
)
COMPOSE = closed(
    name=TEXT,
    services=named(SERVICE | {"anyOf": [{"required": ["image"]}, {"required": ["build"]}]}),
    configs=named(closed(file=TEXT)),
    volumes=named({"type": "null"}),
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Instructions as (name, arguments), comments gone, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, arguments) for name, arguments in lines]


def final_stage(dockerfile: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(number for number, (name, _) in enumerate(dockerfile) if name == "FROM")
    return dockerfile[last:]


def compose_plugin() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not compose_plugin(), reason="docker's compose plugin is not installed")
def test_the_compose_plugin_accepts_the_file(tmp_path: Path) -> None:
    command = ["docker", "compose", "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_the_file_follows_the_specification(compose: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(COMPOSE).validate(compose)


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("redis", "comand", ["redis-server"]),
        ("redis", "healthcheck", {"test": "redis-cli ping"}),
        ("redis", "ports", ["6379:6379"]),
        ("kafka", "environment", {"KAFKA_NODE_ID": 1}),
        ("worker", "depends_on", {"kafka": {"condition": "healthy"}}),
        ("worker", "stop_grace_period", "20"),
    ],
)
def test_mistakes_are_found(compose: dict[str, Any], service: str, key: str, value: object) -> None:
    broken = copy.deepcopy(compose)
    broken["services"][service][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(COMPOSE).validate(broken)


def test_every_service_has_a_health_check_or_waits_for_one(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        waits = service.get("depends_on", {})
        assert "healthcheck" in service or waits, name
        for other, how in waits.items():
            needed = "healthcheck" if how["condition"] == "service_healthy" else "image"
            assert needed in services[other], f"{name} waits for {other}"


def test_what_is_used_is_declared_and_the_reverse(compose: dict[str, Any]) -> None:
    services = compose["services"].values()
    volumes = {volume.split(":")[0] for service in services for volume in service.get("volumes", [])}
    configs = {config["source"] for service in services for config in service.get("configs", [])}
    assert volumes == set(compose["volumes"])
    assert configs == set(compose["configs"])


def test_the_worker_waits_for_healthy_servers_and_for_its_topics(compose: dict[str, Any]) -> None:
    waits = {name: how["condition"] for name, how in compose["services"]["worker"]["depends_on"].items()}
    assert waits == {
        "kafka": "service_healthy",
        "redis": "service_healthy",
        "topics": "service_completed_successfully",
    }


def test_the_worker_has_longer_to_stop_than_it_needs(compose: dict[str, Any]) -> None:
    assert int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")) > 10


def test_both_servers_keep_their_data_in_a_volume(compose: dict[str, Any]) -> None:
    kafka, redis = compose["services"]["kafka"], compose["services"]["redis"]
    [kafka_folder] = [volume.split(":")[1] for volume in kafka["volumes"]]
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == kafka_folder
    assert redis["command"] == ["redis-server", "--appendonly", "yes"]
    assert redis["volumes"] == ["redis-data:/data"]


def test_kafka_runs_in_kraft_mode_and_is_the_one_of_the_local_stack(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert kafka["environment"]["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == str(MESSAGE_MAX_BYTES)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", kafka["environment"]["CLUSTER_ID"])
    assert compose["services"]["redis"]["image"] == REDIS_IMAGE


def test_each_of_kafkas_listeners_has_a_protocol_and_workers_use_the_inner_one(
    compose: dict[str, Any],
) -> None:
    def listeners(name: str) -> dict[str, str]:
        return dict(re.findall(r"(\w+)://([^,]*)", settings[name]))

    settings = compose["services"]["kafka"]["environment"]
    protocols = dict(pair.split(":") for pair in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(listeners("KAFKA_LISTENERS")) == set(protocols)
    advertised = listeners("KAFKA_ADVERTISED_LISTENERS")
    assert set(advertised) == set(protocols) - {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    inner = advertised[settings["KAFKA_INTER_BROKER_LISTENER_NAME"]]
    assert compose["services"]["worker"]["environment"]["GRADSTREAM_KAFKA__BOOTSTRAP_SERVERS"] == inner
    published = compose["services"]["kafka"]["ports"]
    assert published == [f"127.0.0.1:{port}:{port}" for port in [advertised["OUTSIDE"].split(":")[1]]]


def test_settings_lie_where_the_image_looks_for_them(
    compose: dict[str, Any], dockerfile: list[tuple[str, str]]
) -> None:
    [folder] = [arguments for name, arguments in final_stage(dockerfile) if name == "WORKDIR"]
    for service in ("worker", "topics"):
        [config] = compose["services"][service]["configs"]
        assert config["target"] == f"{folder}/gradstream.toml"


def test_the_image_is_built_in_stages_and_the_last_has_no_compiler(dockerfile: list[tuple[str, str]]) -> None:
    bases = [arguments.split()[0] for name, arguments in dockerfile if name == "FROM"]
    assert len(bases) == 2
    assert "-slim-" in bases[-1]
    assert bases[-1].replace("-slim-", "-") == bases[0]
    assert all(
        not arguments.startswith("pip") for name, arguments in final_stage(dockerfile) if name == "RUN"
    )


def test_the_image_does_not_run_as_root(dockerfile: list[tuple[str, str]]) -> None:
    stage = final_stage(dockerfile)
    [user] = [arguments for name, arguments in stage if name == "USER"]
    assert int(user.split(":")[0]) >= 1000
    names = [name for name, _ in stage]
    assert "RUN" not in names[names.index("USER") :]


def test_the_image_is_the_command_and_runs_a_worker(dockerfile: list[tuple[str, str]]) -> None:
    stage = dict(final_stage(dockerfile))
    assert json.loads(stage["ENTRYPOINT"]) == ["gradstream"]
    assert json.loads(stage["CMD"]) == ["worker"]


def test_everything_installed_is_named_by_a_lock_file_with_hashes(dockerfile: list[tuple[str, str]]) -> None:
    installs = re.findall(r"pip install ([^&]*)", " && ".join(arguments for _, arguments in dockerfile))
    assert len(installs) == 3
    for install in installs:
        own_wheel = install.startswith("--no-deps /tmp/wheel/gradstream-")
        assert own_wheel or re.fullmatch(r"--require-hashes -r \S+\.lock\s*", install)
    for lock in LOCKS:
        names = re.findall(r"(?m)^([a-z0-9-]+)(?:\[\S+\])?==", (ROOT / lock).read_text())
        assert len(names) > 3
        assert "pytest" not in names


def test_the_locks_of_the_image_agree_with_the_lock_of_the_project() -> None:
    def pins(lock: str) -> dict[str, str]:
        return dict(re.findall(r"(?m)^([a-z0-9-]+)(?:\[\S+\])?==([^\s;]+)", (ROOT / lock).read_text()))

    project = pins("requirements.lock")
    for lock in LOCKS:
        assert pins(lock).items() <= project.items(), f"{lock} is older than requirements.lock: make lock"


def test_all_that_the_image_copies_exists_and_is_not_ignored(dockerfile: list[tuple[str, str]]) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    copies = [
        arguments.split() for name, arguments in dockerfile if name == "COPY" and "--from" not in arguments
    ]
    sources = [source for copied in copies for source in copied[:-1]]
    assert {"models", "infra", "streams", *LOCKS} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        matching = [line for line in ignored if fnmatch.fnmatch(source, line.removeprefix("!"))]
        assert matching, source
        assert matching[-1].startswith("!"), f"{source} is ignored"
