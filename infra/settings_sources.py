"""Where settings come from: gradstream.toml, GRADSTREAM_* variables and flags, each as a layer."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from infra.settings_errors import SettingsError, did_you_mean, nearest, one_of
from infra.settings_layers import SECRETS, Layer
from infra.settings_values import Text

PREFIX = "GRADSTREAM_"


def file_layer(path: Path, with_models: bool = True) -> Layer:
    """The settings file; SettingsError when it is not TOML, or is not there and models are wanted."""
    layer = Layer(str(path))
    try:
        layer.values = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        if not with_models:
            return Layer("settings")
        raise SettingsError(
            f"{path}: no such file; write one with a table [models.NAME] that has samples = 'TOPIC' and "
            f"task = 'binary' (docs/settings.md has an example), or name another with --config PATH"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError, OverflowError):
        raise SettingsError(f"{path}: not valid TOML: a number too long or tables too deep") from None
    if not with_models:
        layer.values.pop("models", None)
    return layer.write_out()


def environment_layer(
    env: Mapping[str, str], declared: Iterable[str], keys: Mapping[str, Sequence[str]]
) -> Layer:
    """GRADSTREAM_* variables; `declared` are the models of the file, `keys` each top-level key's own keys.

    Variables that are empty, and single names that are near no key (`GRADSTREAM_PORT`, as Kubernetes sets
    for a service called gradstream), are left alone.
    """
    layer, known = Layer("environment"), list(declared)
    joined = {f"{top}_{key}": f"{PREFIX}{top}__{key}".upper() for top, below in keys.items() for key in below}
    names = [name for name, value in env.items() if name.upper().startswith(PREFIX) and value]
    for name in sorted(names, key=lambda one: (one.count("__"), one)):  # tables before what is inside them
        first, *rest = name[len(PREFIX) :].lower().split("__")
        if first not in keys and not rest:
            meant = joined.get(first) or f"{PREFIX}{nearest(first, keys, cutoff=0.8) or ''}".upper()
            if meant != PREFIX:
                raise SettingsError(f"{name}: unknown variable; did you mean '{meant}'?")
            continue
        path: tuple[str, ...] = (first, *rest)
        if first == "models" and rest:
            path = _model_path(name, "__".join(rest), [*known, *layer.models()])
        layer.place(path, _from_text(env[name], path), name)
    return layer.write_out()


def flags_layer(flags: Mapping[str, object], declared: Iterable[str]) -> Layer:
    """Flags, by dotted key; a flag that is None was not given."""
    layer, models = Layer("flags"), sorted(set(declared), key=len, reverse=True)
    for key in sorted(flags, key=lambda one: (one.count("."), one)):
        value = flags[key]
        path = tuple(key.split("."))
        for name in models:  # names may have dots: the longest one that fits
            if key.startswith(f"models.{name}."):
                path = ("models", name, *key[len(f"models.{name}.") :].split("."))
                break
        if value is not None:
            layer.place(path, _from_text(value, path) if isinstance(value, str) else deepcopy(value), "flags")
    return layer.write_out()


def _model_path(variable: str, rest: str, declared: list[str]) -> tuple[str, ...]:
    """The key path of MODELS__NAME__KEY…: shells allow no '-' and '.', so '_' stands for them as well."""
    fits: dict[str, list[str]] = {}
    for name in dict.fromkeys(declared):
        plain = _plain(name)
        if _plain(rest) == plain or _plain(rest).startswith(plain + "__"):
            fits.setdefault(plain, []).append(name)
    if not fits:
        found = rest.split("__")[0]
        known = did_you_mean(found, declared) or (f"; declared: {one_of(declared)}" if declared else "")
        raise SettingsError(f"{variable}: no model '{found}' is declared{known}")
    plain = max(fits, key=len)
    exact = [name for name in fits[plain] if rest.startswith(name.lower())]
    names = exact if len(exact) == 1 else fits[plain]
    if len(names) > 1:
        raise SettingsError(f"{variable}: may mean model {one_of(names)}; set it in the file instead")
    inside = rest[len(plain) + 2 :]
    return ("models", names[0], *inside.split("__")) if inside else ("models", names[0])


def _plain(name: str) -> str:
    return re.sub(r"[.-]", "_", name.lower())


def _from_text(value: str, path: tuple[str, ...]) -> object:
    """Lists and tables are JSON; anything else stays text, a secret always."""
    if value.lstrip()[:1] in ("{", "[") and path not in SECRETS:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass  # an IPv6 address, or a mistake that the check of this key reports
    return Text(value)
