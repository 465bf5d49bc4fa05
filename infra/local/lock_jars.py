"""Write kafka-jars.lock anew, after a change of KAFKA_VERSION: `python -m infra.local.lock_jars`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from infra.local.jars import KAFKA_VERSION

LOG4J_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl"


def main() -> None:
    """Resolve Kafka's dependencies with jgo, fetch them, and write coordinates and SHA-256 of each."""
    from jgo.maven import MavenContext

    context = MavenContext()
    kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")
    roots, dependencies = context.resolver.resolve([kafka])
    found = [*roots, *(each for each in dependencies if each.scope in ("compile", "runtime"))]
    # Kafka's distribution adds the binding of its logging facade; its Maven dependencies do not.
    log4j = next(each.version for each in found if each.artifactId == "log4j-core")
    found.append(context.create_dependency(f"{LOG4J_BINDING}:{log4j}"))
    lines = [f"# The class path of Apache Kafka {KAFKA_VERSION}, written by infra/local/lock_jars.py."]
    for each in found:
        digest = hashlib.sha256(each.artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{each.groupId}:{each.artifactId}:{each.version} {digest}")
    Path(__file__).with_name("kafka-jars.lock").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
