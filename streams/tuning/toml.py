"""A model's table as TOML that people would write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infra.settings_layers import NAMED

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def model_toml(name: str, table: Mapping[str, Any]) -> str:
    """The table [models.NAME]; its features in a table of their own, other tables on a line."""
    head = f"models.{_key(name)}"
    lines = [f"[{head}]"]
    lines += [f"{_key(key)} = {_value(key, value)}" for key, value in table.items() if key != "features"]
    if (features := table.get("features")) is not None:
        lines += ["", f"[{head}.features]"]
        lines += [f"{_key(key)} = {_value(key, value)}" for key, value in features.items()]
    return "\n".join(lines) + "\n"


def _value(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        if key in NAMED and list(value) == ["name"]:
            return _value("name", value["name"])
        inside = ", ".join(f"{_key(name)} = {_value(name, item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value('', item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{key}: a setting of type {type(value).__name__} cannot be written as TOML")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON's texts are TOML's, but for DEL, which TOML wants escaped as well.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")
