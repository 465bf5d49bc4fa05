"""Texts as counts of their n-grams.

A text is lowercased and composed (Unicode NFC). Then
    words        are runs of letters, marks, numbers (Unicode's categories L, M, N) and underscores; an
                 n-gram is n neighbouring words with one space between them: `title~free shipping`
    characters   come from the pieces between white space, each with a space before and behind it; an n-gram
                 is n neighbouring characters of such a piece, `title# fr`, `title#fre`, and a piece shorter
                 than the smallest n is one as a whole

The value of an n-gram is how often it occurs, with norm "l2" divided by √(Σ count²) over the whole feature.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from models.encoding_names import MAX_NAME_BYTES, MEMO_ENTRIES, Memo, NameBook
from models.errors import SpecError
from models.spec import TextFeature

MAX_WORDS, MAX_CHARACTERS = 5, 10
"""The longest n-grams."""

MAX_NGRAMS = 1 << 16
"""Of one feature in one sample, repeated ones included."""

SURELY_FEW = 4096
"""N-grams of all texts of a sample, with which it is far from being too large for the log."""


class _WordCharacters(dict[int, int]):
    """Code point → itself where it belongs to a word, else a space; a memo for str.translate."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        found = code if char == "_" or unicodedata.category(char)[0] in "LMN" else ord(" ")
        if len(self) >= MEMO_ENTRIES:
            self.clear()
        self[code] = found
        return found


_WORD_CHARACTERS = _WordCharacters()


class GramMemo(Memo):
    """N-gram → hash of its name."""

    def __init__(self, book: NameBook, prefix: str) -> None:
        super().__init__(book)
        self._prefix = prefix

    def __missing__(self, gram: str) -> int:
        hashed = self._book.hash(self._prefix + gram)
        return self.keep(gram, hashed) if len(gram) <= MAX_NAME_BYTES else hashed


class TextEncoder:
    """Hashes the n-grams of one text feature."""

    def __init__(self, book: NameBook, feature: TextFeature) -> None:
        check_text(feature)
        self._feature = feature
        self._words = GramMemo(book, word_name(feature, ""))
        self._characters = GramMemo(book, character_name(feature, ""))

    def append(self, text: str | None, indices: list[int], values: list[float]) -> None:
        """Append the entries of one text: words, then characters, each as they first occur."""
        if not text:
            return
        words, characters = count_ngrams(self._feature, text)
        indices.extend(map(self._words.__getitem__, words))
        indices.extend(map(self._characters.__getitem__, characters))
        counts = [*words.values(), *characters.values()]
        values.extend(counts if self._feature.norm == "none" else l2(counts))


def check_text(feature: TextFeature) -> None:
    """Raise SpecError for n-grams that cannot be."""
    first, last = feature.characters or (1, 1)
    if not (0 <= feature.words <= MAX_WORDS and 1 <= first <= last <= MAX_CHARACTERS):
        raise SpecError(f"features.text: {feature.name}: n-grams out of range")
    if not feature.words and feature.characters is None:
        raise SpecError(f"features.text: {feature.name}: expected words, characters or both")


def word_name(feature: TextFeature, gram: str) -> str:
    """The name of an n-gram of words."""
    return f"{feature.name}~{gram}"


def character_name(feature: TextFeature, gram: str) -> str:
    """The name of an n-gram of characters."""
    return f"{feature.name}#{gram}"


def count_ngrams(feature: TextFeature, text: str) -> tuple[Counter[str], Counter[str]]:
    """How often each n-gram of words, and of characters, occurs in `text`; in the order of occurrence."""
    text = _normal(text)
    words = _word_ngrams(text, feature.words) if feature.words else ()
    characters = _character_ngrams(text, *feature.characters) if feature.characters else ()
    return Counter(words), Counter(characters)


def l2(counts: Sequence[float]) -> list[float]:
    """Divided by the square root of the sum of their squares, which is exact."""
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]


def ngrams_at_most(feature: TextFeature, text: str) -> int:
    """A bound of `ngrams_in`, found without looking at the text."""
    size = len(text) if text.isascii() else 3 * len(text)  # composing makes at most 3 of one (Unicode TR 15)
    first, last = feature.characters or (1, 0)
    # In the extreme each second character is a piece of its own, with two spaces around it.
    return (size + 2) // 2 * (feature.words + 3 * (last - first + 1))


def ngrams_in(feature: TextFeature, text: str) -> int:
    """How many n-grams `text` has, repeated ones included, without making them."""
    text = _normal(text)
    count = len(_words(text)) if feature.words else 0
    total = sum(max(0, count - n) for n in range(feature.words))
    if feature.characters is not None:
        first, last = feature.characters
        for piece in text.split():
            size = len(piece) + 2
            total += sum(max(0, size - n + 1) for n in range(first, last + 1)) or 1
    return total


def _normal(text: str) -> str:
    text = text.lower()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _words(text: str) -> list[str]:
    return text.translate(_WORD_CHARACTERS).split()


def _word_ngrams(text: str, longest: int) -> Iterator[str]:
    words = _words(text)
    yield from words
    for n in range(2, longest + 1):
        yield from map(" ".join, zip(*(words[i:] for i in range(n)), strict=False))


def _character_ngrams(text: str, first: int, last: int) -> Iterator[str]:
    for piece in text.split():
        padded = f" {piece} "
        size = len(padded)
        if size < first:
            yield padded
        for n in range(first, min(last, size) + 1):
            for i in range(size - n + 1):
                yield padded[i : i + n]
