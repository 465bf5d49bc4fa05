"""The settings: gradstream.toml, then GRADSTREAM_* variables, then flags; the later are stronger.

    settings = load_settings(Path("gradstream.toml"))
    settings.models["delay"].spec()      # the ModelSpec with every default written out
    settings.redis.address               # fit for a log; the secret itself: settings.redis.url

Each source is a layer (infra.settings_sources, infra.settings_layers); pydantic-settings merges them key by
key, the tables check the result, and every mistake becomes one line (infra.settings_errors).
docs/settings.md lists the keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from infra.settings_connections import KafkaSettings, RedisSettings
from infra.settings_errors import SettingsError, Table, describe, mistake, shown
from infra.settings_layers import Layer
from infra.settings_models import OUTPUTS, ModelSettings, comparable, named
from infra.settings_sources import environment_layer, file_layer, flags_layer
from infra.settings_values import duration, kafka_name, text

__all__ = [
    "Connections",
    "KafkaSettings",
    "ModelSettings",
    "RedisSettings",
    "Settings",
    "SettingsError",
    "load_connections",
    "load_settings",
]

_Loaded = TypeVar("_Loaded", bound="Connections")


class Connections(Table, BaseSettings):
    """The settings of commands that need no model.

    Built from keyword arguments it reads no environment; `load_connections` and `load_settings` read all
    sources.
    """

    model_config = SettingsConfigDict(case_sensitive=True, validate_default=False)

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    group_id: Annotated[str, BeforeValidator(text("a group name"))] = "gradstream"
    group_instance_id: Annotated[str | None, BeforeValidator(kafka_name("a group instance name"))] = None
    session_timeout: Annotated[float, BeforeValidator(duration("1s", "30m"))] = 10.0
    """Seconds after which the group takes a silent worker's partitions away."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers, strongest first, when there are some; otherwise the arguments alone."""
        given = init_settings()
        layers = given.get("layers")
        if layers is None:
            return (init_settings,)
        return tuple(InitSettingsSource(settings_cls, layer.values) for layer in layers)


class Settings(Connections):
    """All settings."""

    models: Annotated[dict[str, ModelSettings], BeforeValidator(named)] = Field(
        description="a table [models.NAME] with samples and task"
    )

    @model_validator(mode="after")
    def _written_once(self) -> Settings:
        writers: dict[str, tuple[str, str]] = {}
        for name, model in self.models.items():
            for key in OUTPUTS:
                topic = getattr(model, key)
                other, other_key = writers.setdefault(comparable(topic), (name, key))
                if (other, other_key) != (name, key):
                    raise mistake(
                        f"{shown(topic)} is written by model '{other}' already, as its {other_key}; "
                        "expected another topic",
                        "models",
                        name,
                        key,
                    )
        return self


def load_settings(
    path: Path, overrides: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None
) -> Settings:
    """Read and check everything.

    `overrides`: flags, dotted key → value, the strongest; None stands for a flag that was not given.
    `env`: the variables to read instead of the process's own.
    Raises SettingsError, one line, on the first mistake.
    """
    file = file_layer(path)
    return _check(Settings, file, overrides or {}, os.environ if env is None else env)


def load_connections(
    path: Path | None, overrides: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None
) -> Connections:
    """Read and check all but the models; the file may be missing. Otherwise as `load_settings`."""
    file = Layer("settings") if path is None else file_layer(path, with_models=False)
    env = {
        k: v
        for k, v in (os.environ if env is None else env).items()
        if not _of_models(k, "GRADSTREAM_MODELS", "__")
    }
    overrides = {k: v for k, v in (overrides or {}).items() if not _of_models(k, "models", ".")}
    return _check(Connections, file, overrides, env)


def _of_models(key: str, root: str, delimiter: str) -> bool:
    return key.lower() == root.lower() or key.lower().startswith((root + delimiter).lower())


def _check(
    kind: type[_Loaded], file: Layer, overrides: Mapping[str, object], env: Mapping[str, str]
) -> _Loaded:
    tables = {"kafka": KafkaSettings.allowed_keys(), "redis": RedisSettings.allowed_keys()}
    failed: ValidationError
    try:
        keys = {key: tables.get(key, ()) for key in kind.allowed_keys()}
        environment = environment_layer(env, file.models(), keys)
        flags = flags_layer(overrides, [*file.models(), *environment.models()])
        layers: dict[str, Any] = {"layers": (flags, environment, file)}
        return kind(**layers)
    except RecursionError:
        raise SettingsError(f"{file.label}: tables are nested too deeply") from None
    except ValidationError as error:
        failed = error
    # Raised outside of the handler: pydantic's error holds the values, and this one must not lead to it.
    origins = {**file.origins, **environment.origins, **flags.origins}
    raise SettingsError(describe(failed, kind, origins, file.label))
