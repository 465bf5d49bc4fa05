"""The error of the local stack."""

from __future__ import annotations

from models.errors import GradstreamError


class LocalStackError(GradstreamError):
    """The local Kafka or Redis cannot be had, started or reached."""
