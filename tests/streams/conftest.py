"""Workers in memory append at once: their tests say themselves when time passes."""

from __future__ import annotations

import pytest

from streams import appender


@pytest.fixture(autouse=True)
def no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "LINGER_SECONDS", 0.0)
