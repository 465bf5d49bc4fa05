"""The README tells the truth: its five steps are run as they are pasted, its links and commands exist."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local import LocalStack
from streams.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
STEPS = "## Your own stream in five steps"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text under a heading, up to the next one of its level."""
    start = README.index(f"{title}\n") + len(title)
    end = README.find("\n## ", start)
    return README[start : end if end >= 0 else None]


@dataclass(frozen=True)
class Pasted:
    """What the five steps printed, and where they were typed."""

    out: str
    folder: Path


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pasted]:
    """Files are saved under the name in their first line, commands typed into one shell, all in order."""
    folder = tmp_path_factory.mktemp("readme")
    typed = ["set -e"]
    for language, text in BLOCK.findall(section(STEPS)):
        if language == "sh":
            typed.append(text)
        else:
            name = text.splitlines()[0].removeprefix("# ")
            assert re.fullmatch(r"\w+\.(py|toml)", name)
            (folder / name).write_text(text, "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GRADSTREAM_")}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(typed)], cwd=folder, env=env, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
        yield Pasted(done.stdout, folder)
    finally:
        LocalStack(folder / ".gradstream" / "local").stop()


def test_the_steps_are_five() -> None:
    assert re.findall(r"^### (\d)\. ", section(STEPS), re.MULTILINE) == ["1", "2", "3", "4", "5"]


def test_the_steps_give_a_prediction_for_each_sample(pasted: Pasted) -> None:
    found = re.search(r"^(\d+) predictions, the last one: (\{.*\})$", pasted.out, re.MULTILINE)
    assert found is not None, pasted.out
    last = ast.literal_eval(found[2])
    assert int(found[1]) == 5_001
    coordinates = {"topic": "orders", "partition": 0, "offset": 5_000, "samples_learned": 5_000}
    assert last == {"id": "new-order", "model": "eta", "prediction": last["prediction"], **coordinates}


def test_the_model_of_the_steps_predicts_well(pasted: Pasted) -> None:
    [line] = [line for line in pasted.out.splitlines() if "new-order" in line]
    prediction = ast.literal_eval(line.split(": ", 1)[1])["prediction"]
    assert prediction == pytest.approx(10 + 3 * 4 + 2 * 2 + 5, abs=1)
    [metrics] = [json.loads(line) for line in pasted.out.splitlines() if line.startswith('{"mae"')]
    assert metrics["recent"]["mae"] < 1.5  # the noise alone makes it 0.8


def test_the_weights_read_with_redis_py_are_those_that_inspect_shows(pasted: Pasted) -> None:
    [line] = [line for line in pasted.out.splitlines() if line.startswith("{'")]
    weights = {name: float(weight) for name, weight in ast.literal_eval(line).items()}
    assert weights.keys() == {"intercept", "km", "items", "city=Oslo", "city=Rome"}
    table = pasted.out[pasted.out.index("samples learned") :]
    for name, weight in weights.items():
        shown = re.search(rf"^{re.escape(name)} +(\S+)", table, re.MULTILINE)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(weight, rel=1e-4)


def test_every_command_that_is_named_exists() -> None:
    code = re.findall(r"`([^`\n]+)`", README) + [text for _, text in BLOCK.findall(README)]
    named = set(re.findall(r"gradstream ([a-z]+)", "\n".join(code)))
    assert {"demo", "local", "topics", "worker", "inspect", "check"} <= named <= set(COMMANDS)


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    commands = BLOCK.search(section("## Two commands"))
    assert commands is not None
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert commands[2].split("\n")[:-1] == ["make demo", "make test"]
    assert {"demo", "test"} <= set(targets)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).is_file()] == []
