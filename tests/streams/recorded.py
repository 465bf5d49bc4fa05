"""Recorded flights as files and settings, and the command over them, in this process and without a server."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.settings import load_settings
from models.spec import ModelSpec
from streams import cli

NO_SERVER = '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n[redis]\nurl = "redis://127.0.0.1:1/0"\n'
FEATURES = (
    '[models.delay.features]\nnumeric = ["distance", "hour"]\ncategorical = ["carrier"]\nhash_bits = 10\n'
)
LABELS = {
    "binary": lambda late: int(late > 0),
    "regression": lambda late: round(late / 100, 3),
    "multiclass": lambda late: "early" if late < -500 else "late" if late > 500 else "on time",
}


def settings_file(folder: Path, learning: str = "", task: str = "binary", features: str = FEATURES) -> Path:
    """gradstream.toml with the model `delay`; `learning`: lines of its table. Its servers answer nobody."""
    classes = 'classes = ["early", "on time", "late"]\n' if task == "multiclass" else ""
    path = folder / "gradstream.toml"
    path.write_text(
        f'{NO_SERVER}[models.delay]\nsamples = "flights"\ntask = "{task}"\n{classes}{learning}\n{features}'
    )
    return path


def spec_of(config: Path) -> ModelSpec:
    return load_settings(config, env={}).models["delay"].spec()


def flights(count: int, task: str = "binary", seed: int = 7) -> list[dict[str, Any]]:
    """Flights that are the later the longer they are; every tenth has no label yet."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        distance, carrier = rng.randint(100, 3000), rng.choice(["UA", "AA", "B6"])
        late = distance - 1500 + (400 if carrier == "B6" else 0) + rng.gauss(0, 500)
        sample: dict[str, Any] = {"carrier": carrier, "distance": distance, "hour": rng.randint(0, 23)}
        made.append({"features": sample, "label": None if i % 10 == 9 else LABELS[task](late)})
    return made


def json_lines(path: Path, messages: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(message) + "\n" for message in messages))
    return path


def run(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli.run(cli.cli, ["--config", str(config), *arguments])
    return code, *capsys.readouterr()


def answer(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> dict[str, Any]:
    """What `--json` prints."""
    code, out, err = run(capsys, config, *arguments, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found
