"""Feature transforms in gradstream.toml: what they become, and what is wrong with them in one line."""

# Each entry of the tables is what is written, and the line that comes back.
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from infra.settings import load_settings
from models.spec import (
    BinnedFeature,
    EncodedFeature,
    FeatureSpec,
    NumericFeature,
    TextFeature,
    VocabularySpec,
)
from tests.infra.test_settings_mistakes import FEATURES, message

RESOLVED = {
    'numeric = [{ name = "price", transform = "log", scaling = "none" }, "a"]\nscaling = "min-max"': FeatureSpec(
        (NumericFeature("price", None, "none", "log"), NumericFeature("a", None, "min-max"))
    ),
    'numeric = [{ name = "v", size = 2, transform = "none" }]': FeatureSpec((NumericFeature("v", 2),)),
    'bins = [{ name = "age", edges = [18, 30.5, 65] }]': FeatureSpec(
        hash_bits=18, bins=(BinnedFeature("age", (18.0, 30.5, 65.0)),)
    ),
    'numeric = ["age"]\nbins = [{ name = "group", of = "age", edges = [-1] }]': FeatureSpec(
        (NumericFeature("age"),), hash_bits=18, bins=(BinnedFeature("group", (-1.0,), "age"),)
    ),
    'time = ["hour-of-day", "minute-of-hour"]': FeatureSpec(time=("hour-of-day", "minute-of-hour")),
    'time = ["day-of-week"]\nutc_offset = "+01:00"': FeatureSpec(time=("day-of-week",), utc_offset=60),
    'time = ["month-of-year"]\nutc_offset = "-09:30"\nhash_bits = 8': FeatureSpec(
        hash_bits=8, time=("month-of-year",), utc_offset=-570
    ),
    'text = ["title"]': FeatureSpec(hash_bits=18, text=(TextFeature("title"),)),
    'text = [{ name = "title", words = 3 }]\nhash_bits = 20': FeatureSpec(
        hash_bits=20, text=(TextFeature("title", 3),)
    ),
    'text = [{ name = "t", characters = [3, 5], norm = "l2" }]': FeatureSpec(
        hash_bits=18, text=(TextFeature("t", 0, (3, 5), "l2"),)
    ),
    'text = [{ name = "t", words = 1, characters = [2, 2], of = "t" }]': FeatureSpec(
        hash_bits=18, text=(TextFeature("t", 1, (2, 2)),)
    ),
    'categorical = ["agent"]\ntext = [{ name = "agent-parts", of = "agent" }]': FeatureSpec(
        categorical=("agent",), hash_bits=18, text=(TextFeature("agent-parts", of="agent"),)
    ),
    'encode = [{ name = "dest", as = "frequency" }]': FeatureSpec(
        encode=(EncodedFeature("dest", "frequency"),)
    ),
    'categorical = ["dest"]\nencode = [{ name = "dest", as = "target", prior_weight = 2.5, bits = 10 }, { name = "d", of = "dest", '
    'as = "frequency", scaling = "none" }]\nscaling = "min-max"': FeatureSpec(
        categorical=("dest",),
        hash_bits=18,
        encode=(
            EncodedFeature("dest", "target", None, 2.5, 10, "min-max"),
            EncodedFeature("d", "frequency", "dest", 10.0, 14, "none"),
        ),
    ),
    'numeric = ["p"]\ncategorical = ["c"]\nencode = [{ name = "c", as = "target" }]\ninteractions = [["p", "c#target"], ["c", '
    '"c#target"]]': FeatureSpec(
        (NumericFeature("p"),),
        ("c",),
        (("p", "c#target"), ("c", "c#target")),
        18,
        encode=(EncodedFeature("c", "target"),),
    ),
    'categorical = ["u"]\nvocabulary = { min_count = 5, expire_after = "1d" }': FeatureSpec(
        categorical=("u",), hash_bits=18, vocabulary=VocabularySpec(5, 86_400_000)
    ),
    'text = ["t"]\nvocabulary = { min_count = 2 }': FeatureSpec(
        hash_bits=18, text=(TextFeature("t"),), vocabulary=VocabularySpec(2)
    ),
    'numeric = ["p"]\ncategorical = ["c"]\nbins = [{ name = "b", edges = [0] }]\ninteractions = [["b", "c", "p"]]': FeatureSpec(
        (NumericFeature("p"),), ("c",), (("b", "c", "p"),), 18, bins=(BinnedFeature("b", (0.0,)),)
    ),
}


@pytest.mark.parametrize(("lines", "features"), RESOLVED.items(), ids=RESOLVED)
def test_transforms_become_the_features_of_the_spec(
    tmp_path: Path, lines: str, features: FeatureSpec
) -> None:
    (tmp_path / "x.toml").write_text(f"{FEATURES}{lines}\n")
    spec = load_settings(tmp_path / "x.toml", {}, {}).models["delay"].spec()
    assert spec.features == features


def test_a_variable_gives_lists_and_tables_as_json(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'{FEATURES}numeric = ["a"]\n')
    env = {
        "GRADSTREAM_MODELS__DELAY__FEATURES__TIME": '["hour-of-day"]',
        "GRADSTREAM_MODELS__DELAY__FEATURES__UTC_OFFSET": "+05:30",
        "GRADSTREAM_MODELS__DELAY__FEATURES__BINS": '[{"name": "b", "edges": [1, 2.5]}]',
    }
    assert load_settings(tmp_path / "x.toml", {}, env).models["delay"].spec().features == FeatureSpec(
        (NumericFeature("a"),),
        hash_bits=18,
        bins=(BinnedFeature("b", (1.0, 2.5)),),
        time=("hour-of-day",),
        utc_offset=330,
    )


MISTAKES = {
    # transforms and scalings
    'numeric = [{ name = "p", transform = "logg" }]': ".numeric[0].transform: expected 'none' or 'log', found 'logg'; did "
    "you mean 'log'?",
    'numeric = [{ name = "p", transform = "sqrt" }]': ".numeric[0].transform: expected 'none' or 'log', found 'sqrt'",
    'numeric = [{ name = "p", transfrom = "log" }]': ".numeric[0].transfrom: unknown key; did you mean 'transform'?",
    'numeric = ["a"]\nscaling = "min_max"': ".scaling: expected 'standard', 'min-max' or 'none', found 'min_max'; did you "
    "mean 'min-max'?",
    'numeric = [{ name = "p", of = "" }]': ".numeric[0].of: expected the name of a field of the samples' features, found ''",
    # bins
    'bins = ["age"]': ".bins[0]: expected a table { name = …, edges = […] }, found 'age'",
    'bins = { name = "age", edges = [1] }': ".bins: expected a list of tables { name = …, edges = […] }, found a table",
    'bins = [{ name = "age" }]': ".bins[0].edges: missing; expected the numbers between the bins",
    "bins = [{ edges = [1] }]": ".bins[0].name: missing; expected the feature's name",
    'bins = [{ name = "age", edges = 18 }]': ".bins[0].edges: expected a list of numbers, found 18",
    'bins = [{ name = "age", edges = [] }]': ".bins[0].edges: expected 1 to 1000 numbers, found 0",
    'bins = [{ name = "age", edges = [18, 65, 30] }]': ".bins[0].edges[2]: expected a number above the edge before, 65, "
    "found 30",
    'bins = [{ name = "age", edges = [18, 18] }]': ".bins[0].edges[1]: expected a number above the edge before, 18, found 18",
    'bins = [{ name = "age", edges = [18, "x"] }]': ".bins[0].edges[1]: expected a finite number, found 'x'",
    'bins = [{ name = "age", edges = [18, inf] }]': ".bins[0].edges[1]: expected a finite number, found inf",
    'bins = [{ name = "age", edge = [18] }]': ".bins[0].edge: unknown key; did you mean 'edges'?",
    'bins = [{ name = "a", edges = [1] }, { name = "a", edges = [2] }]': ".bins[1]: 'a' is declared twice",
    'numeric = ["age"]\nbins = [{ name = "age", edges = [1] }]': ".bins[0]: 'age' is declared twice; give one another "
    "name, and of = 'age'",
    # time
    'time = "hour-of-day"': ".time: expected a list of cycles, found 'hour-of-day'",
    'time = ["hour-of-dya"]': ".time[0]: expected 'minute-of-hour', 'hour-of-day', 'day-of-week', 'day-of-month' or "
    "'month-of-year', found 'hour-of-dya'; did you mean 'hour-of-day'?",
    'time = ["hour-of-day", "hour-of-day"]': ".time[1]: 'hour-of-day' is given twice",
    'time = ["hour-of-day"]\nutc_offset = "1"': ".utc_offset: expected hours and minutes ahead of UTC such as '+01:00', "
    "found '1'",
    'time = ["hour-of-day"]\nutc_offset = 1': ".utc_offset: expected hours and minutes ahead of UTC such as '+01:00', found 1",
    'time = ["hour-of-day"]\nutc_offset = "+24:00"': ".utc_offset: expected hours and minutes ahead of UTC such as "
    "'+01:00', found '+24:00'",
    'time = ["hour-of-day"]\nutc_offset = "+01:60"': ".utc_offset: expected hours and minutes ahead of UTC such as "
    "'+01:00', found '+01:60'",
    'numeric = ["a"]\nutc_offset = "+01:00"': ".utc_offset: used by time only; no cycle is declared there",
    'numeric = ["time.hour-of-day.sin"]\ntime = ["hour-of-day"]': ".numeric: two weights would be called "
    "'time.hour-of-day.sin'; rename the feature",
    # text
    'text = "title"': ".text: expected a list of feature names or tables { name = …, words = … }, found 'title'",
    'text = [{ name = "t", words = 0 }]': ".text[0].words: expected an integer between 1 and 5, found 0",
    'text = [{ name = "t", words = 6 }]': ".text[0].words: expected an integer between 1 and 5, found 6",
    'text = [{ name = "t", words = [1, 2] }]': ".text[0].words: expected an integer between 1 and 5, found [1, 2]",
    'text = [{ name = "t", characters = 3 }]': ".text[0].characters: expected a list of two lengths, found 3",
    'text = [{ name = "t", characters = [3] }]': ".text[0].characters: expected the shortest and the longest n-gram, such "
    "as [3, 5], found [3]",
    'text = [{ name = "t", characters = [5, 3] }]': ".text[0].characters: expected the shortest and the longest n-gram, "
    "such as [3, 5], found [5, 3]",
    'text = [{ name = "t", characters = [0, 3] }]': ".text[0].characters[0]: expected an integer between 1 and 10, found 0",
    'text = [{ name = "t", characters = [3, 11] }]': ".text[0].characters[1]: expected an integer between 1 and 10, "
    "found 11",
    'text = [{ name = "t", norm = "L2" }]': ".text[0].norm: expected 'none' or 'l2', found 'L2'; did you mean 'l2'?",
    'text = [{ name = "t", word = 2 }]': ".text[0].word: unknown key; did you mean 'words'?",
    'text = ["t", "t"]': ".text[1]: 't' is declared twice",
    'categorical = ["c"]\ntext = ["t"]\ninteractions = [["c", "t"]]': ".interactions[0][1]: 't' is a text; an interaction "
    "takes single values",
    'bins = [{ name = "age", edges = [1] }]\ncategorical = ["c"]\ninteractions = [["agee", "c"]]': ".interactions[0][0]: "
    "'agee' is not declared under numeric, categorical, bins or encode; did you mean 'age'?",
    # bounded vocabulary
    'categorical = ["u"]\nvocabulary = { min_count = 0 }': ".vocabulary.min_count: expected an integer between 1 and 1000000000, found 0",
    'categorical = ["u"]\nvocabulary = { min_count = 1 }': ".vocabulary: expected min_count above 1, expire_after, or both; else leave the table out",
    'categorical = ["u"]\nvocabulary = { expire_after = 5 }': ".vocabulary.expire_after: expected a duration, a number and a unit in quotes: '500ms', '1s', '5m', '6h' or '30d', found 5",
    'categorical = ["u"]\nvocabulary = { expire_after = "1ms" }': ".vocabulary.expire_after: expected a duration between '1s' and '36500d', found '1ms'",
    'categorical = ["u"]\nvocabulary = { mincount = 2 }': ".vocabulary.mincount: unknown key; did you mean 'min_count'?",
    'categorical = ["u"]\nvocabulary = 3': ".vocabulary: expected a table",
    'numeric = ["p"]\nvocabulary = { min_count = 2 }': ".vocabulary: bounds hashed features, and none is declared; list some under categorical, bins or text, or leave it out",
    # encoded categories
    'encode = ["dest"]': ".encode[0]: expected a table { name = …, as = … }, found 'dest'",
    'encode = { name = "dest", as = "target" }': ".encode: expected a list of tables { name = …, as = … }, found a table",
    'encode = [{ name = "dest" }]': ".encode[0].as: missing; expected 'frequency' or 'target'",
    'encode = [{ as = "target" }]': ".encode[0].name: missing; expected the feature's name",
    'encode = [{ name = "dest", as = "mean" }]': ".encode[0].as: expected 'frequency' or 'target', found 'mean'",
    'encode = [{ name = "dest", as = "targte" }]': ".encode[0].as: expected 'frequency' or 'target', found 'targte'; did you "
    "mean 'target'?",
    'encode = [{ name = "dest", encoding = "target" }]': ".encode[0].encoding: unknown key; allowed: name, as, of, "
    "prior_weight, bits, scaling (and 1 more)",
    'encode = [{ name = "d", as = "target", prior = 1 }]': ".encode[0].prior: unknown key; did you mean 'prior_weight'?",
    'encode = [{ name = "d", as = "target", prior_weight = -1 }]': ".encode[0].prior_weight: expected a finite number at "
    "least 0 and at most 1e+09, found -1",
    'encode = [{ name = "d", as = "frequency", prior_weight = 1 }]': ".encode[0].prior_weight: used by as = 'target' only; "
    "this feature is as = 'frequency'",
    'encode = [{ name = "d", as = "target", bits = 3 }]': ".encode[0].bits: expected an integer between 4 and 24, found 3",
    'encode = [{ name = "d", as = "target", scaling = "log" }]': ".encode[0].scaling: expected 'standard', 'min-max' or "
    "'none', found 'log'",
    'encode = [{ name = "d", as = "target" }, { name = "d", of = "e", as = "target" }]': ".encode[1]: 'd#target' is declared "
    "twice",
    'text = ["t"]\nencode = [{ name = "t", as = "target" }]': ".encode[0]: 't' is a text, whose n-grams have such names too; "
    "give one another name, and of = 't'",
    'numeric = [{ name = "v", size = 2 }]\nencode = [{ name = "v", as = "target" }]': ": 'v' cannot be a list of 2 numbers "
    "and a category at once",
    'numeric = ["a", "b"]\nencode = [{ name = "c", as = "target" }]\ninteractions = [["a", "b", "c#target"]]': ".interactions"
    "[0]: expected categorical names with at most one numeric, or two numeric names, found 3 numeric of 3",
    'numeric = ["a"]\nencode = [{ name = "c", as = "target" }]\ninteractions = [["a", "c#targte"]]': ".interactions[0][1]: "
    "'c#targte' is not declared under numeric, categorical, bins or encode; did you mean 'c#target'?",
    # one field, several features
    'numeric = ["price"]\ntext = [{ name = "t", of = "price" }]': ": 'price' cannot be a number and a text at once",
    'numeric = [{ name = "v", size = 2 }]\nbins = [{ name = "b", of = "v", edges = [1] }]': ": 'v' cannot be a list of 2 "
    "numbers and a number at once",
}


@pytest.mark.parametrize(("lines", "expected"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_in_a_transform_names_its_entry(tmp_path: Path, lines: str, expected: str) -> None:
    assert message(tmp_path / "x.toml", f"{FEATURES}{lines}\n") == f"FILE: models.delay.features{expected}"


def test_a_target_of_several_classes_is_no_part_of_an_interaction(tmp_path: Path) -> None:
    head = FEATURES.replace('task = "binary"', 'task = "multiclass"\nclasses = ["x", "y", "z"]')
    assert head != FEATURES
    lines = 'numeric = ["a"]\nencode = [{ name = "c", as = "target" }]\n'
    path = tmp_path / "x.toml"
    path.write_text(head + lines)
    features = load_settings(path, {}, {}).models["delay"].spec().features
    assert features.dense_columns() == ["a", "c#target[x]", "c#target[y]", "c#target[z]"]
    assert message(path, f'{head}{lines}interactions = [["a", "c#target"]]\n') == (
        "FILE: models.delay.features.interactions[0][1]: 'c#target' has a column for each class; an interaction "
        "takes single values"
    )
    many = ", ".join(f'"k{i}"' for i in range(17_000))
    head = head.replace('"x", "y", "z"', many)
    two = 'encode = [{ name = "c", as = "target" }, { name = "d", as = "target" }]\n'
    assert message(path, head + two) == (
        "FILE: models.delay.features.encode: 34000 columns with one for each class; at most 32767 are allowed"
    )
