"""The model's table as it is in force: what the file, the environment and the flags say together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.settings import ModelSettings, Settings
from infra.settings_sources import environment_layer, file_layer, flags_layer
from infra.settings_values import Text


def current_table(path: Path, overrides: Mapping[str, object], model: ModelSettings) -> dict[str, Any]:
    """The written keys of [models.NAME], short forms written out; the settings have been loaded already."""
    file = file_layer(path)
    environment = environment_layer(os.environ, file.models(), dict.fromkeys(Settings.allowed_keys(), ()))
    flags = flags_layer(overrides, [*file.models(), *environment.models()])
    table: dict[str, Any] = {}
    for layer in (file, environment, flags):
        found = layer.values.get("models", {}).get(model.name, {})
        _merge(table, {key: _typed(value, getattr(model, key, None)) for key, value in found.items()})
    return table


def _merge(table: dict[str, Any], stronger: Mapping[str, Any]) -> None:
    for key, value in stronger.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def _typed(value: Any, resolved: Any) -> Any:
    """Values as a file would have them. Text has no type, so it takes that of what it was read as."""
    if isinstance(value, dict):
        return {key: _typed(item, getattr(resolved, key, None)) for key, item in value.items()}
    if not isinstance(value, Text):
        return value
    if not isinstance(resolved, str):
        try:
            found = json.loads(value.lower())
        except ValueError:  # "5s"
            return str(value)
        if isinstance(found, (int, float)):  # and booleans, which are integers
            return bool(found) if isinstance(resolved, bool) else found
    return str(value)
