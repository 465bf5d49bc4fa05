"""Whatever stands in a file, a variable or a flag: settings, or one line that says what is wrong."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.settings import SettingsError, load_connections, load_settings
from models.spec import ModelSpec

HEAD = '[models.delay]\nsamples = "flights"\ntask = "binary"\n'
WHOLE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text().split("```toml\n")[1].split("```")[0]
PIECES = [
    *WHOLE.split(),
    *WHOLE.splitlines(),
    '"',
    "[",
    "]]",
    "{",
    "=",
    "nan",
    "-1",
    "1e999",
    "''",
    "\n",
    "é",
    "\x00",
]


@given(seed=st.integers(0, 2**32), edits=st.integers(1, 6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_file_never_raises_anything_but_one_line(tmp_path: Path, seed: int, edits: int) -> None:
    rng, text = random.Random(seed), WHOLE
    for _ in range(edits):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(PIECES) + text[at + rng.choice([0, 0, 1, 5, 30]) :]
    check_one_line(tmp_path, text, {})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
keys = st.sampled_from(
    [
        *("kafka", "redis", "models", "group_id", "session_timeout", "kafka.bootstrap_servers", "redis.url"),
        *("redis.password_file", "kafka.sasl_plain_password", "models.delay"),
        *(f"models.delay.{key}" for key in tomllib.loads(WHOLE)["models"]["delay"]),
        *("models.delay.classes", "models.delay.batch_size", "models.delay.save_every"),
        *(f"models.delay.features.{key}" for key in ("numeric", "categorical", "interactions", "scaling")),
        *(f"models.delay.features.{key}" for key in ("bins", "time", "utc_offset", "text")),
        *(f"models.delay.optimizer.{key}" for key in ("name", "learning_rate", "schedule", "beta")),
    ]
)


@given(flags=st.dictionaries(keys, values, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_of_any_type_raises_anything_but_one_line(tmp_path: Path, flags: dict[str, object]) -> None:
    check_one_line(tmp_path, WHOLE, {}, flags)


@given(
    env=st.dictionaries(
        keys.map(lambda key: "GRADSTREAM_" + key.replace(".", "__").upper())
        | st.text().map("GRADSTREAM_".__add__),
        st.text(max_size=12) | values.map(lambda value: json.dumps(value, default=str)),
        max_size=4,
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_variable_raises_anything_but_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    check_one_line(tmp_path, WHOLE, env)


@pytest.mark.parametrize("depth", [200, 2_000])
def test_tables_nested_without_end_are_a_mistake(tmp_path: Path, depth: int) -> None:
    check_one_line(tmp_path, "a = " + "[" * depth + "]" * depth, {}, fails=True)
    check_one_line(tmp_path, HEAD + ".".join(["a"] * depth) + " = 1", {}, fails=True)
    check_one_line(tmp_path, HEAD, {"GRADSTREAM_KAFKA": '{"a":' * depth + "1" + "}" * depth}, fails=True)


def check_one_line(
    tmp_path: Path,
    text: str,
    env: dict[str, str],
    flags: dict[str, object] | None = None,
    fails: bool = False,
) -> None:
    """Loading succeeds, and every model has a spec, or it fails with a SettingsError of one line."""
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    for load in (load_settings, load_connections):
        message = "fine"
        try:
            loaded = load(path, flags, env)
        except SettingsError as error:
            message = str(error)
        else:
            for model in getattr(loaded, "models", {}).values():
                assert ModelSpec.from_json(model.spec().to_json()) == model.spec()
        assert len(message.splitlines()) == 1
        assert message.encode()  # a lone surrogate could not be printed
        assert not fails or load is load_connections or message != "fine"
