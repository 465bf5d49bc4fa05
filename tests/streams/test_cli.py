"""The gradstream command itself: what it imports, how it tells mistakes, its exit codes."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from models.errors import GradstreamError
from streams import cli
from streams.commands._common import Invocation, config_path, debug_wanted, invocation, unknown_model

HEAVY = ("numba", "faust", "pyarrow", "kafka", "redis", "pydantic", "rich", "numpy")
PROGRAM = f"""
import sys
from streams.cli import cli, run
code = run(cli, sys.argv[1:])
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def kafka_log() -> Iterator[None]:
    """--debug gives this log a level, for the whole process."""
    log = logging.getLogger("kafka")
    before = log.level
    yield
    log.setLevel(before)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Path, bool]]]:
    """A subcommand `models` that notes the invocation it was given."""
    seen: list[tuple[Path, bool]] = []

    @click.command()
    @click.pass_context
    def command(context: click.Context) -> None:
        seen.append((config_path(context), debug_wanted(context)))

    with monkeypatch.context() as patch:
        patch.setattr("streams.commands.models.command", command)
        yield seen


def failing(error: Exception) -> click.Command:
    @click.command()
    @click.option("--debug", is_flag=True)
    def command(debug: bool) -> None:
        invocation().debug = debug
        raise error

    return command


@pytest.mark.parametrize(
    "arguments", [[], *([name] for name in cli.COMMANDS if name not in ("demo", "worker"))]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--help"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: gradstream")
    assert done.stderr == "[]\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(cli.cli, ["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in cli.COMMANDS)


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(cli.cli, ["--version"]) == 0
    assert capsys.readouterr().out == f"gradstream {version('gradstream')}\n"


@pytest.mark.parametrize(
    "arguments", [["--config", "a.toml", "models"], ["models", "--config", "a.toml"]], ids=["before", "after"]
)
def test_config_stands_before_or_after_the_subcommand(
    probe: list[tuple[Path, bool]], arguments: list[str]
) -> None:
    assert cli.run(cli.cli, arguments) == 0
    assert probe == [(Path("a.toml"), False)]


def test_config_is_gradstream_toml_unless_named(probe: list[tuple[Path, bool]]) -> None:
    cli.run(cli.cli, ["models"])
    cli.run(cli.cli, ["--debug", "models"])
    assert probe == [(Path("gradstream.toml"), False), (Path("gradstream.toml"), True)]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["inspekt", "x"],
            "gradstream: no command 'inspekt': did you mean 'inspect'?; see gradstream --help",
        ),
        (["inspect"], "gradstream: inspect: Missing argument 'NAME'; see gradstream inspect --help"),
        (["tail", "t", "--jsno"], "gradstream: tail: No such option: --jsno Did you mean --json?"),
        (
            ["topics", "create", "--partitions", "0"],
            "gradstream: topics create: Invalid value for '--partitions'",
        ),
        (["produce", "t", "no-such-file.csv"], "gradstream: produce: Invalid value for 'FILE'"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(cli.cli, arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_without_a_command_it_shows_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(cli.cli, []) == 2
    assert "Commands:" in capsys.readouterr().err


def test_an_error_of_gradstream_is_its_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(failing(GradstreamError("topic x:\n  is not there")), []) == 1
    assert capsys.readouterr() == ("", "gradstream: topic x: is not there\n")


def test_an_unexpected_error_is_one_line_that_names_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(failing(ZeroDivisionError("by\nzero")), []) == 1
    expected = "gradstream: unexpected ZeroDivisionError: by zero; run again with --debug to see where\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("error", [GradstreamError("wrong"), ZeroDivisionError("wrong")])
def test_debug_shows_the_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    invocation_given = Invocation(debug=True)
    assert (
        cli._guarded(lambda: cli._call(failing(error), ["--debug"], invocation_given), invocation_given) == 1
    )
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_ctrl_c_exits_130_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise KeyboardInterrupt

    assert cli.run(command, []) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_settings_that_are_not_there_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.toml"
    assert cli.run(cli.cli, ["models", "--config", str(missing)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"gradstream: {missing}: no such file")
    assert err.count("\n") == 1


def test_a_mistake_in_the_settings_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gradstream.toml"
    config.write_text('[models.delay]\nsamples = "flights"\ntask = "binry"\n')
    assert cli.run(cli.cli, ["check", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "models.delay.task" in err
    assert "'binary'" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_setting_given_as_a_flag_is_stronger_than_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    config = tmp_path / "gradstream.toml"
    config.write_text('[models.delay]\nsamples = "flights"\ntask = "binary"\n')
    flag, command = ["--set", "models.delay.task=binry"], ["check", "--config", str(config)]
    assert cli.run(cli.cli, [*flag, *command] if before else [*command, *flag]) == 1
    err = capsys.readouterr().err
    assert err.startswith("gradstream: flags: models.delay.task: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("given", ["task", "=x", ""])
def test_a_flag_that_is_no_setting_is_wrong_usage(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(cli.cli, ["check", "--set", given]) == 2
    assert "expected KEY=VALUE" in capsys.readouterr().err


def test_an_unknown_model_is_told_with_the_nearest_name() -> None:
    assert (
        str(unknown_model("dely", ["delay", "fraud"], "in x"))
        == "no model 'dely' in x; did you mean 'delay'?"
    )
    assert str(unknown_model("zzz", ["b", "a"], "in x")) == "no model 'zzz' in x; there is a, b"
    assert str(unknown_model("zzz", [], "in x")) == "no model 'zzz' in x; there is none"
