"""The example of docs/features.md is what comes out, and its limits are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from infra.settings import load_settings
from infra.settings_feature_kinds import CYCLES, MAX_EDGES
from models.encoding_text import MAX_CHARACTERS, MAX_NGRAMS, MAX_WORDS
from models.spec import FeatureSpec, ModelSpec, TextFeature
from streams.ingest import Ingest
from streams.ingest_report import describe

PAGE = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
HEAD = '[models.m]\nsamples = "s"\ntask = "binary"\n[models.m.features]\n'


def blocks(language: str) -> list[str]:
    """What stands between fences of this language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for found, text in fenced if found == language]


def settings(path: Path, text: str) -> ModelSpec:
    path.write_text(text)
    (model,) = load_settings(path, {}, {}).models.values()
    return model.spec()


def test_the_example_becomes_what_the_page_shows(tmp_path: Path) -> None:
    spec = settings(tmp_path / "x.toml", blocks("toml")[0])
    (encoded,) = describe(Ingest("m", spec), [blocks("json")[0].encode()]).samples
    shown = [line.rsplit(None, 1) for line in blocks("")[0].splitlines()]
    assert [name for name, _ in encoded] == [name for name, _ in shown]
    assert [f"{value + 0.0:.6g}" for _, value in encoded] == [value for _, value in shown]


def test_every_example_can_be_read(tmp_path: Path) -> None:
    for text in blocks("toml"):
        settings(tmp_path / "x.toml", text if "[models" in text else HEAD + text)
    for text in re.findall(r"`(\{ name = .*?\})`", PAGE):
        assert tomllib.loads(f"one = {text}")


def test_the_limits_stand_in_the_page() -> None:
    assert f"1 to {MAX_EDGES} edges" in PAGE
    assert f"1 to {MAX_WORDS}: 2 gives" in PAGE
    assert f"from 1 to {MAX_CHARACTERS} |" in PAGE
    assert f"at most {MAX_NGRAMS:,} n-grams" in " ".join(PAGE.split())
    assert set(CYCLES) == set(re.findall(r"^\| `([a-z]+-of-[a-z]+)` \|", PAGE, re.MULTILINE))


def test_the_pieces_of_the_page_are_the_n_grams_that_it_lists() -> None:
    spec = ModelSpec("regression", FeatureSpec(text=(TextFeature("title", 0, (3, 3)),), hash_bits=18))
    (encoded,) = describe(Ingest("m", spec), [b'{"features": {"title": "A b-c"}}']).samples
    assert [name for name, _ in encoded] == ["title# a ", "title# b-", "title#b-c", "title#-c "]
    assert all(f"`{name}`" in PAGE for name, _ in encoded)
