"""The keys of one source, in the shape that the tables check, and where each of them was written.

Short forms are written out per layer (`optimizer = "sgd"` as `{ name = "sgd" }`, `batch_size` into
`update`, a secret's file as the secret), so that a stronger layer replaces a weaker one key by key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from infra.settings_errors import KeyPath, SettingsError, line, written

NAMED = ("learner", "loss", "optimizer", "update", "schedule")
"""Keys that are a name, or a table with a name."""
UPDATE_KEYS = ("batch_size", "window_size", "stride", "steps", "tolerance")
SECRETS = (
    ("kafka", "sasl_plain_password"),
    ("kafka", "ssl_password"),
    ("redis", "url"),
    ("redis", "password"),
)


@dataclass
class Layer:
    """The keys of one source, and where those were written that did not stand in the file as they are."""

    label: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, tuple[str, KeyPath]] = field(default_factory=dict)

    def place(self, path: tuple[str, ...], value: object, label: str) -> None:
        """Put `value` at `path`; a table is merged into the one that is there."""
        here = self.values
        for part in path[:-1]:
            below = here.setdefault(part, {})
            if isinstance(below, str) and part in NAMED:
                below = here[part] = {"name": below}
            if not isinstance(below, dict):
                return  # a value where a table belongs: checking the tables reports it
            here = below
        here[path[-1]] = value
        self._note(path, value, label)

    def _note(self, path: KeyPath, value: object, label: str) -> None:
        self.origins[path] = (label, path)
        if isinstance(value, dict):
            for key, below in value.items():
                self._note((*path, key), below, label)

    def origin(self, path: KeyPath) -> tuple[str, KeyPath]:
        """Who wrote the key at `path`, and under which path."""
        return self.origins.get(path, (self.label, path))

    def fail(self, path: KeyPath, message: str) -> SettingsError:
        """The error to raise about the key at `path`."""
        return SettingsError(line(*self.origin(path), message))

    def models(self) -> list[str]:
        """The names of the models in this layer."""
        models = self.values.get("models")
        return list(models) if isinstance(models, dict) else []

    def write_out(self) -> Layer:
        """Replace the short forms by what they stand for; raises SettingsError where they contradict."""
        for table, key in SECRETS:
            self._read_secret(table, key)
        for name in self.models():
            model = self.values["models"][name]
            if isinstance(model, dict):
                self._write_out_model(("models", name), model)
        return self

    def _write_out_model(self, path: KeyPath, model: dict[str, Any]) -> None:
        for key in ("learner", "loss", "optimizer", "update"):
            self._write_out_name(model, (*path, key))
        if isinstance(model.get("optimizer"), dict):
            self._write_out_name(model["optimizer"], (*path, "optimizer", "schedule"))
        for key in UPDATE_KEYS:
            if key not in model:
                continue
            update = model.setdefault("update", {})
            value = model.pop(key)
            if not isinstance(update, dict):
                continue  # reported when the tables are checked
            if key in update:
                place = written((*path, "update"))
                raise self.fail((*path, key), f"stands in {place} as well; keep one of the two")
            update[key] = value
            self.origins[(*path, "update", key)] = self.origin((*path, key))

    def _write_out_name(self, table: dict[str, Any], path: KeyPath) -> None:
        key = str(path[-1])
        if isinstance(table.get(key), str):
            table[key] = {"name": table[key]}
            self.origins[(*path, "name")] = self.origin(path)

    def _read_secret(self, table_name: str, key: str) -> None:
        table = self.values.get(table_name)
        if not isinstance(table, dict):
            return
        file_path = (table_name, f"{key}_file")
        if file_path[1] in table:
            if key in table:
                raise self.fail(file_path, f"{table_name}.{key} is given as well; keep one of the two")
            self.origins[(table_name, key)] = self.origin(file_path)
            table[key] = _read_line(table.pop(file_path[1]), self, file_path)
        if isinstance(table.get(key), str):
            table[key] = SecretStr(str(table[key]))  # from here on no log can show it


def _read_line(file: object, layer: Layer, path: KeyPath) -> str:
    """The secret in a file, without the line's end."""
    if not isinstance(file, str) or not file:
        raise layer.fail(path, "expected the path of a file")
    try:
        secret = Path(file).read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise layer.fail(path, f"cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:
        raise layer.fail(path, "expected the path of a file of UTF-8 text") from None
    if not secret:
        raise layer.fail(path, "the file is empty")
    return secret
