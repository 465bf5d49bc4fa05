"""Feature names to hashes, once per name: memos in front of the hash, and the names not reported yet.

Hashing costs more than all the rest of the encoding, and streams repeat their values, so each feature and
each cross has a memo from value to hash. Memos are bounded: a full one starts over. A memo only ever holds
what the hash would give again, so encoding stays a function of the sample alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Protocol

from models.hashing import feature_hash

Present = str | int | float | bool
"""A categorical value as it stands in JSON."""
Category = Present | None

ABSENT = -1
"""Stands in a column of hashes where a sample has no such feature."""

MAX_NAME_BYTES = 256
"""Longer names are hashed like all others, and neither reported nor kept in a memo: memory is bounded."""

MEMO_ENTRIES = 1 << 17
KNOWN_NAMES = 1 << 20
_EXACT = 1 << 53
"""Whole float64 numbers up to here are exact, so their text is that of the integer."""


def category_text(value: Present) -> str:
    """The text of a categorical value: `UA`, `true`, and of a number its shortest decimal text.

    1, 1.0 and 1e0 are all `1`, -0.0 is `0`; integers are exact at any size; other numbers, and whole ones
    beyond 2^53 that are written with a point or an exponent, are the shortest text that reads back as the
    same float64 (`0.1`, `1e+20`).
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return str(int(value))
    return repr(value)


def _may_be_kept(value: Category) -> bool:
    """Whether the value as a dict key stands for one text alone.

    To Python 1, 1.0 and True are one key, but `1` and `true` are two names; a float beyond 2^53 equals
    integers of another text.
    """
    if isinstance(value, str):
        return len(value) <= MAX_NAME_BYTES
    if value is None:
        return True
    return not isinstance(value, bool) and value not in (0, 1) and -_EXACT <= value <= _EXACT


class Clears(Protocol):
    """What has to be cleared when names are to be met again."""

    def clear(self) -> None: ...


class NameBook:
    """Hashes names and remembers which ones have been reported."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._fresh: dict[int, str] = {}
        self._memos: list[Clears] = []

    def hash(self, name: str) -> int:
        """The hash of `name`, which is reported by the next `take_fresh` if it has not been before."""
        hashed = feature_hash(name)
        if hashed not in self._known and len(name.encode()) <= MAX_NAME_BYTES:
            if len(self._known) >= KNOWN_NAMES:
                self._known.clear()
            self._known.add(hashed)
            self._fresh[hashed] = name
        return hashed

    def take_fresh(self) -> dict[int, str]:
        """Full hash → name of what was first met since the last call."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def unname(self, hashes: Iterable[int]) -> None:
        """Report these names again when they are met again."""
        self._known.difference_update(hashes)
        for memo in self._memos:
            memo.clear()

    def attach(self, memo: Clears) -> None:
        """Clear `memo` too when names have to be met again: only a memo's miss comes here."""
        self._memos.append(memo)


class Memo(dict[object, int]):
    """A bounded dict from a key to the hash of the name that `_name` makes of it."""

    def __init__(self, book: NameBook) -> None:
        super().__init__()
        self._book = book
        book.attach(self)

    def keep(self, key: object, hashed: int) -> int:
        """Remember and return `hashed`."""
        if len(self) >= MEMO_ENTRIES:
            self.clear()
        self[key] = hashed
        return hashed


class PlainMemo(Memo):
    """Feature name → hash, for numbers that are not dense columns."""

    def __missing__(self, name: str) -> int:
        hashed = self._book.hash(name)
        return self.keep(name, hashed) if len(name) <= MAX_NAME_BYTES else hashed


class ValueMemo(Memo):
    """Value of one categorical feature → hash of `name=value`, `ABSENT` of None."""

    def __init__(self, book: NameBook, name: str) -> None:
        super().__init__(book)
        self._prefix = f"{name}="

    def __missing__(self, value: Category) -> int:
        hashed = ABSENT if value is None else self._book.hash(self._prefix + category_text(value))
        return self.keep(value, hashed) if _may_be_kept(value) else hashed


class CodeMemo(Memo):
    """Value of one encoded feature → hash of `name=value`, `ABSENT` of None.

    It is a slot of a table, not the place of a weight, so nobody is told of the name.
    """

    def __init__(self, book: NameBook, name: str) -> None:
        super().__init__(book)
        self._prefix = f"{name}="

    def __missing__(self, value: Category) -> int:
        hashed = ABSENT if value is None else feature_hash(self._prefix + category_text(value))
        return self.keep(value, hashed) if _may_be_kept(value) else hashed


class PairMemo(Memo):
    """(name, text) of an undeclared feature → hash of `name=text`."""

    def __missing__(self, pair: tuple[str, str]) -> int:
        hashed = self._book.hash(f"{pair[0]}={pair[1]}")
        return self.keep(pair, hashed) if len(pair[0]) + len(pair[1]) <= MAX_NAME_BYTES else hashed


class CrossMemo(Memo):
    """Values of the categorical features of a cross → hash of its name, `ABSENT` where one is None."""

    def __init__(self, book: NameBook, cross: Sequence[str], categorical: Container[str]) -> None:
        super().__init__(book)
        self._parts = [(name, name in categorical) for name in cross]

    def __missing__(self, values: tuple[Category, ...]) -> int:
        present = [value for value in values if value is not None]
        complete = len(present) == len(values)
        hashed = self._book.hash(cross_name(self._parts, present)) if complete else ABSENT
        return self.keep(values, hashed) if all(map(_may_be_kept, values)) else hashed


def cross_name(parts: Sequence[tuple[str, bool]], values: Sequence[Present]) -> str:
    """`origin=JFK*dest=LAX`; parts: (feature, whether categorical); values: those of the categorical."""
    following = iter(values)
    return "*".join(
        f"{name}={category_text(next(following))}" if categorical else name for name, categorical in parts
    )
