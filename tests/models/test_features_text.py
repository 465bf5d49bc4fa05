"""Texts as counts of n-grams, against scikit-learn's vectorizers."""

from __future__ import annotations

import random
import string
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from models import encoding_names
from models.encoding_text import MAX_NGRAMS, ngrams_at_most, ngrams_in
from models.errors import SpecError
from models.features import Encoder
from models.hashing import feature_hash
from models.spec import FeatureSpec, TextFeature
from tests.models.encoding import encode, entries

TITLE = TextFeature("title", words=2)
anything = st.text(max_size=60) | st.text(string.printable, max_size=60)
features = st.builds(
    lambda words, characters, norm: TextFeature(
        "t", words if characters else max(1, words), characters, norm
    ),
    words=st.integers(0, 5),
    characters=st.none() | st.tuples(st.integers(1, 10), st.integers(1, 10)).map(sorted).map(tuple),
    norm=st.sampled_from(["none", "l2"]),
)


def of(feature: TextFeature, text: str | None) -> dict[str, float]:
    found = entries(encode(FeatureSpec(text=(feature,), hash_bits=18), [{feature.name: text}]))
    assert all(by == -1 for _, _, by in found)
    assert len({name for name, _, _ in found}) == len(found)
    return {name: value for name, value, _ in found}


def counted(vectorizer: CountVectorizer, text: str) -> dict[str, float]:
    try:
        row = vectorizer.fit_transform([text])
    except ValueError:  # "empty vocabulary"
        return {}
    return dict(zip(vectorizer.get_feature_names_out(), row.toarray()[0].tolist(), strict=True))


# What they are


def test_words_are_lowercased_runs_of_letters_digits_and_underscores() -> None:
    assert of(TextFeature("t"), "Don't PANIC: 42 towels, snake_case & don't!") == {
        "t~don": 2.0, "t~t": 2.0, "t~panic": 1.0, "t~42": 1.0, "t~towels": 1.0, "t~snake_case": 1.0,
    }  # fmt: skip


def test_neighbouring_words_are_n_grams_whatever_stands_between_them() -> None:
    assert list(of(TITLE, "free -- shipping, FREE!")) == [
        "title~free", "title~shipping", "title~free shipping", "title~shipping free",
    ]  # fmt: skip


def test_characters_are_those_of_the_pieces_between_white_space_with_a_space_around() -> None:
    feature = TextFeature("t", words=0, characters=(3, 4))
    assert list(of(feature, "A b-c")) == ["t# a ", "t# b-", "t#b-c", "t#-c ", "t# b-c", "t#b-c "]


def test_a_piece_shorter_than_the_shortest_n_gram_is_one_as_a_whole() -> None:
    assert of(TextFeature("t", words=0, characters=(5, 6)), "ab a ab") == {"t# ab ": 2.0, "t# a ": 1.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CAFÉ cafe\u0301", {"café": 2.0}),  # composed and decomposed
        ("हिन्दी भाषा", {"हिन्दी": 1.0, "भाषा": 1.0}),  # vowel signs are marks
        ("ΣΊΣΥΦΟΣ", {"σίσυφος": 1.0}),
        ("北京 2008", {"北京": 1.0, "2008": 1.0}),
        ("🙂 ok🙂", {"ok": 1.0}),
    ],
)
def test_words_of_other_scripts_stay_whole(text: str, words: dict[str, float]) -> None:
    assert of(TextFeature("t"), text) == {f"t~{word}": count for word, count in words.items()}


@pytest.mark.parametrize("text", [None, "", " ", "\n\t", "!?"])
def test_a_text_that_is_missing_or_has_no_word_has_no_entry(text: str | None) -> None:
    assert of(TITLE, text) == {}


# Against scikit-learn


@given(text=st.text(string.printable, max_size=80), n=st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_word_n_grams_are_scikit_learns(text: str, n: int) -> None:
    theirs = counted(CountVectorizer(token_pattern=r"\w+", ngram_range=(1, n)), text)
    assert of(TextFeature("t", words=n), text) == {f"t~{gram}": count for gram, count in theirs.items()}


@given(text=anything, lengths=st.tuples(st.integers(1, 8), st.integers(1, 8)).map(sorted))
@settings(max_examples=200, deadline=None)
def test_character_n_grams_are_scikit_learns_char_wb(text: str, lengths: list[int]) -> None:
    composed = unicodedata.normalize("NFC", text.lower())
    theirs = counted(
        CountVectorizer(analyzer="char_wb", ngram_range=tuple(lengths), lowercase=False), composed
    )
    found = of(TextFeature("t", words=0, characters=(lengths[0], lengths[1])), text)
    assert found == {f"t#{gram}": count for gram, count in theirs.items()}


@given(text=anything)
@settings(max_examples=100, deadline=None)
def test_the_l2_norm_is_scikit_learns_over_words_and_characters_together(text: str) -> None:
    plain = of(TextFeature("t", 2, (2, 3)), text)
    found = of(TextFeature("t", 2, (2, 3), "l2"), text)
    assert found.keys() == plain.keys()
    if plain:
        theirs = normalize([list(plain.values())])[0]
        np.testing.assert_allclose(list(found.values()), theirs, rtol=1e-14)


# Bounds


@given(text=anything, feature=features)
@settings(max_examples=300, deadline=None)
def test_n_grams_are_counted_and_bounded_without_making_them(text: str, feature: TextFeature) -> None:
    counts = of(TextFeature("t", feature.words, feature.characters), text)
    assert ngrams_in(feature, text) == sum(counts.values())
    assert ngrams_in(feature, text) <= ngrams_at_most(feature, text)


def test_the_bound_holds_for_texts_made_of_single_characters_and_of_what_composing_expands() -> None:
    feature = TextFeature("t", 5, (1, 2))
    for text in ("a", "ab", "a b c d e f", "\U0001d160" * 9, "\U0001d160 " * 9, "İ" * 5, "ΐ a" * 5):
        assert ngrams_in(feature, text) <= ngrams_at_most(feature, text)


@pytest.mark.parametrize(
    "feature",
    [
        TextFeature("t", 0),
        TextFeature("t", 6),
        TextFeature("t", 1, (0, 2)),
        TextFeature("t", 1, (3, 2)),
        TextFeature("t", 1, (3, 11)),
    ],
)
def test_n_grams_out_of_range_are_refused(feature: TextFeature) -> None:
    with pytest.raises(SpecError, match=r"features\.text: t: "):
        Encoder(FeatureSpec(text=(feature,), hash_bits=18))


# Hashes and names


def test_full_memos_start_over_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = FeatureSpec(text=(TextFeature("t", 2, (2, 3), "l2"),), hash_bits=18)
    rng = random.Random(4)
    texts = [{"t": " ".join(rng.choices(["büro", "Ada", "x1", "a-b", "ß"], k=6))} for _ in range(50)]
    expected = encode(spec, texts)
    monkeypatch.setattr(encoding_names, "MEMO_ENTRIES", 2)
    monkeypatch.setattr(encoding_names, "KNOWN_NAMES", 2)
    found = encode(spec, texts)
    assert found.indices.tolist() == expected.indices.tolist()
    assert found.values.tolist() == expected.values.tolist()
    assert found.names == expected.names


def test_names_of_a_dropped_batch_are_reported_again() -> None:
    encoder = Encoder(FeatureSpec(text=(TITLE,), hash_bits=18))
    first = encode(encoder, [{"title": "free shipping"}])
    assert encode(encoder, [{"title": "Shipping free"}]).names == {
        feature_hash("title~shipping free"): "title~shipping free"
    }
    encoder.unname(first.names)
    assert encode(encoder, [{"title": "free shipping"}]).names == first.names


def test_a_very_long_word_is_hashed_and_not_reported() -> None:
    word = "x" * 300
    rows = encode(FeatureSpec(text=(TextFeature("t"),), hash_bits=18), [{"t": word}])
    assert (rows.indices.tolist(), rows.names) == ([feature_hash(f"t~{word}")], {})


def test_a_long_text_is_left_to_a_careful_look() -> None:
    encoder = Encoder(FeatureSpec(text=(TITLE,), hash_bits=18))
    assert encoder.fits(encoder.build({"title": "two words"}))
    assert encoder.fits(encoder.build({"title": None}))
    assert not encoder.fits(encoder.build({"title": "word " * MAX_NGRAMS}))


def test_two_features_of_one_text_have_their_own_names() -> None:
    spec = FeatureSpec(
        categorical=("title",),
        text=(TextFeature("words", of="title"), TextFeature("pairs", 2, of="title")),
        hash_bits=18,
    )
    found = Counter(name for name, _, _ in entries(encode(spec, [{"title": "A b"}])))
    assert found == Counter(["title=A b", "words~a", "words~b", "pairs~a", "pairs~b", "pairs~a b"])
