"""The machine that a result belongs to: what speed depends on, and nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
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


def describe(redis_url: str) -> dict[str, object]:
    """CPU, cores, memory, kernel release, versions, and the load that others put on it now."""
    with redis.Redis.from_url(redis_url) as client:
        redis_version = client.info("server")["redis_version"]
    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "redis": redis_version,
        "packages": {name: version(name) for name in PACKAGES},
    }


def cpu_name() -> str:
    """The processor as Linux names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"
