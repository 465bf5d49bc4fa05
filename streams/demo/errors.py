"""What the demo says when it does not end well."""

from __future__ import annotations

from models.errors import GradstreamError


class DemoError(GradstreamError):
    """The demo cannot run, or what it shows is not what it promises."""
