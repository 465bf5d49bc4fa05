"""A model's table as a user would write it into gradstream.toml, and the model that comes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from infra.settings import load_settings
from models.spec import ModelSpec


def toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value) if isinstance(value, float) else msgspec.json.encode(value).decode()


def model_spec(table: Mapping[str, Any]) -> ModelSpec:
    """The model that [models.NAME] declares; `samples` need not be there.

    Raises SettingsError for what a user could not write either.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(f"[models]\nbench = {toml({'samples': 'bench', **table})}\n")
        file.flush()
        return load_settings(Path(file.name), env={}).models["bench"].spec()
