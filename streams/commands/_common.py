"""What all subcommands share: --config and --debug, the settings, the store, the consoles."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.errors import GradstreamError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from infra.redis_store import RedisStore
    from infra.settings import ModelSettings, RedisSettings, Settings

DEFAULT_CONFIG = Path("gradstream.toml")
PIPE_WIDTH = 240
"""Columns of a table that no terminal shows: wide enough that nothing is cut."""

T = TypeVar("T")


@dataclass(slots=True)
class Invocation:
    """Which settings file, settings given as flags (dotted key → text), and whether to show tracebacks."""

    config: Path = DEFAULT_CONFIG
    debug: bool = False
    overrides: dict[str, object] = field(default_factory=dict)


class UnknownModel(GradstreamError):
    """A model that neither the settings nor Redis know."""


def invocation(context: click.Context | None = None) -> Invocation:
    """The running command's invocation."""
    found = (context or click.get_current_context()).find_object(Invocation)
    return found if found is not None else Invocation()


def config_path(context: click.Context, config: Path | None = None) -> Path:
    """The settings file: what a command's own --config says, else the one before the subcommand."""
    return config if config is not None else invocation(context).config


def debug_wanted(context: click.Context) -> bool:
    """Whether --debug was given, before or after the subcommand."""
    return invocation(context).debug


def load() -> Settings:
    """The settings of the running command; raises SettingsError."""
    from infra.settings import load_settings

    return load_settings(invocation().config, invocation().overrides)


def model_settings(settings: Settings, name: str) -> ModelSettings:
    """The settings of one model; raises UnknownModel with the nearest right name."""
    if name not in settings.models:
        raise unknown_model(name, settings.models, f"in {invocation().config}")
    return settings.models[name]


def unknown_model(name: str, known: Iterable[str], where: str) -> UnknownModel:
    """The error that names what there is instead."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    there = f"there is {', '.join(names)}" if names else "there is none"
    hint = f"did you mean '{near[0]}'?" if near else there
    return UnknownModel(f"no model '{name}' {where}; {hint}")


def with_store(redis: RedisSettings, work: Callable[[RedisStore], Awaitable[T]]) -> T:
    """Run `work` with a store that is closed afterwards; raises StoreError."""
    from infra.redis_store import RedisStore

    async def run() -> T:
        store = RedisStore.from_settings(redis)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def console(stderr: bool = False) -> Console:
    """A rich console; when no terminal reads it, nothing is coloured, folded or cut."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Piped(
        stderr=stderr,
        width=None if terminal else PIPE_WIDTH,
        soft_wrap=not terminal,
        highlight=False,
        markup=False,  # names of features and topics may contain anything
        emoji=False,
    )


def plain_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An unboxed table; the columns in `right` are aligned to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """Prequential metrics as `Model.metrics` gives them: since the start, and recent beside it."""
    table = plain_table("metric", "since the start", "recent", right=["since the start", "recent"])
    recent = metrics.get("recent") or {}
    for name, value in metrics.items():
        if name != "recent":
            table.add_row(name, number_text(value), number_text(recent.get(name)))
    return table


def number_text(value: float | None, missing: str = "-") -> str:
    """A number for people: six digits."""
    return missing if value is None else f"{value:,.6g}"


def print_json(value: Any) -> None:
    """One JSON document on one line of standard output; numbers that JSON does not know become null."""
    click.echo(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def tell(message: str, code: int) -> int:
    """One line on standard error; returns the exit code."""
    click.echo(f"gradstream: {' '.join(message.split())}", err=True)
    return code


def tell_failure(error: Exception, debug: bool) -> int:
    """Why a command failed, in one line, with the traceback above it where that is wanted; returns 1."""
    if debug:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, GradstreamError):
        return tell(str(error), 1)
    if debug:
        return tell(f"unexpected {type(error).__name__}", 1)
    return tell(f"unexpected {type(error).__name__}: {error}; run again with --debug to see where", 1)
