"""A real Apache Kafka and a real Redis on this machine, from Python packages alone."""

from infra.local.errors import LocalStackError
from infra.local.stack import LocalStack, Status

__all__ = ["LocalStack", "LocalStackError", "Status"]
