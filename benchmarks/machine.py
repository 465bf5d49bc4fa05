"""The machine that a result belongs to: what speed depends on, and nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import redis

from infra.local.jars import KAFKA_VERSION

PACKAGES = (
    "gradstream",
    "faust-streaming",
    "aiokafka",
    "river",
    "confluent-kafka",
    "msgspec",
    "numba",
    "numpy",
    "uvloop",
)
PEERS = {"River": "river", "VW": "vowpalwabbit", "scikit-learn": "scikit-learn", "PyTorch": "torch"}
"""How people call a peer, and its package."""


def describe(redis_url: str) -> dict[str, object]:
    """What `describe_alone` says, and the servers' versions."""
    with redis.Redis.from_url(redis_url) as client:
        redis_version = client.info("server")["redis_version"]
    return describe_alone() | {"kafka": KAFKA_VERSION, "redis": redis_version}


def describe_alone() -> dict[str, object]:
    """CPU, cores, memory, kernel release, versions, and the load that others put on it now."""
    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "peers": peer_versions(),
    }


def peer_versions() -> dict[str, str]:
    """Versions of the peers that are installed."""
    found = {}
    for name, package in PEERS.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """The processor as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
