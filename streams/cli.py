"""The gradstream command: its subcommands by name, and how every failure becomes one line.

A subcommand's module is imported only when it runs, so that help and light commands do not pay for Faust,
numba and pyarrow. Data goes to standard output, everything else to standard error. Exit codes: 0, 1 for a
failure, 2 for wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import click

from streams.commands._common import DEFAULT_CONFIG, Invocation, tell, tell_failure

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "streams.commands.demo:command",
        "See the whole system work on real flights, on the local stack.",
    ),
    "local": ("streams.commands.local:local", "Start and stop a real Kafka and a real Redis of your own."),
    "check": (
        "streams.commands.check:command",
        "Say what is wrong with settings, servers, topics and samples.",
    ),
    "topics": ("streams.commands.topics:command", "Create the topics that the models need."),
    "worker": ("streams.commands.worker:command", "Predict and learn from the stream."),
    "produce": ("streams.commands.produce:command", "Send a JSON Lines or CSV file to a topic."),
    "tail": (
        "streams.commands.tail:command",
        "Show predictions, dead letters, samples or labels as they come.",
    ),
    "models": ("streams.commands.models:command", "List the live models."),
    "inspect": ("streams.commands.inspect:command", "Show a model's parameters, metrics, offsets and lag."),
    "verify": (
        "streams.commands.verify:command",
        "Fold a model's learning log again and compare with Redis, to the bit.",
    ),
    "evaluate": (
        "streams.commands.evaluate:command",
        "Run a model over recorded samples, without touching what is live.",
    ),
    "tune": ("streams.commands.tune:command", "Race settings of a model on recorded samples."),
    "resume": ("streams.commands.resume:command", "Let a model learn again that has halted."),
    "reset": ("streams.commands.reset:command", "Forget a model: Redis keys, learning log, consumer group."),
}
"""Name → (module:attribute, help)."""


class ReaderGone(Exception):
    """Nobody reads our output any more. Not an OSError, because click would exit 1 for it."""


class LazyGroup(click.Group):
    """The subcommands of COMMANDS, each imported when it is asked for."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; a closed pipe is told apart from failures."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand, and give it (and what is below it) --config and --debug."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        _add_common_options(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but an unknown name is told with the nearest right one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "one of " + ", ".join(COMMANDS)
            raise click.UsageError(f"no command '{args[0]}': {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's help texts: nothing is imported for them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _invocation(ctx: click.Context) -> Invocation:
    return ctx.ensure_object(Invocation)


def _set_config(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        _invocation(ctx).config = value


def _set_settings(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> None:
    for value in values:
        key, equals, text = value.partition("=")
        if not (key and equals):
            raise click.UsageError(f"--set {value}: expected KEY=VALUE, as models.NAME.save_every=5s", ctx)
        _invocation(ctx).overrides[key] = text


def _set_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        import logging

        _invocation(ctx).debug = True
        logging.basicConfig()
        logging.getLogger("kafka").setLevel(logging.INFO)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"gradstream {version('gradstream')}")
        ctx.exit()


def _common_options() -> list[click.Option]:
    return [
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="PATH",
            expose_value=False,
            callback=_set_config,
            help=f"The settings file.  [default: ./{DEFAULT_CONFIG}]",
        ),
        click.Option(
            ["--set"],
            multiple=True,
            metavar="KEY=VALUE",
            expose_value=False,
            callback=_set_settings,
            help="A setting, stronger than file and environment; as kafka.bootstrap_servers=host:9092.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Show tracebacks, and what the clients log.",
        ),
    ]


def _add_common_options(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _add_common_options(below)
    given = {name for param in command.params for name in param.opts}
    command.params += [option for option in _common_options() if not given & set(option.opts)]


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    params=[
        *_common_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version.",
        ),
    ],
)
def cli() -> None:
    """Online learning as a service on Kafka: predict every sample, then learn from it."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry point: run the command, and exit with its code."""
    sys.exit(run(cli, args))


def run(command: click.Command, args: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a failure is told in one line on standard error."""
    invocation = Invocation()
    return _guarded(lambda: _call(command, args, invocation), invocation)


def _call(command: click.Command, args: Sequence[str] | None, invocation: Invocation) -> int:
    code = command.main(args, prog_name="gradstream", standalone_mode=False, obj=invocation)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _guarded(call: Callable[[], int], invocation: Invocation) -> int:
    try:
        return call()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message, err=True)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "gradstream"
        name = path.removeprefix("gradstream").strip()
        message = error.format_message().rstrip(".")
        return tell(f"{name + ': ' if name else ''}{message}; see {path} --help", 2)
    except click.ClickException as error:
        return tell(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return 130
    except (BrokenPipeError, ReaderGone):  # the reader of our output has enough, as `head` after ten lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return tell_failure(error, invocation.debug)
