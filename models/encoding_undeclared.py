"""Undeclared features (`others = "include"`, or no features table): taken by the type of their value.

Samples of one stream mostly have the same features of the same types. What to do with such a layout is
planned once, and then applied to each sample that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from models.encoding_names import MEMO_ENTRIES, NameBook, PairMemo, PlainMemo

MAX_LAYOUTS = 1024
MAX_LAYOUT_WIDTH = 256
"""Layouts, and features of a layout, that are remembered."""

MAX_LIST_MEMO = 4096
"""Elements of one list whose hashes are remembered."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Numbers: their hashes, and how to pick their values; texts and lists: names and positions."""

    hashes: list[int]
    pick: Callable[[Sequence[Any]], Sequence[Any]]
    texts: list[tuple[str, int]]
    lists: list[tuple[str, int]]


class UndeclaredEncoder:
    """Number and boolean: `name` with its value; text: `name=text` with 1; list: `name[i]`; null: nothing."""

    def __init__(self, book: NameBook, declared: Container[str]) -> None:
        self._declared = declared
        self._plain = PlainMemo(book)
        self._pairs = PairMemo(book)
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._elements: dict[str, list[int]] = {}
        self._kept_elements = 0

    def forget(self) -> None:
        """Forget hashes that stand in no memo, so that their names are met again."""
        self._plans.clear()
        self._elements.clear()
        self._kept_elements = 0

    def append(self, features: Mapping[str, Any], indices: list[int], values: list[float]) -> None:
        """Append the entries of one sample: numbers, texts, lists, each as they stand in the sample."""
        found = tuple(features.values())
        layout = (*features, *map(type, found))
        plan = self._plans.get(layout) or self._plan(layout, features)
        indices.extend(plan.hashes)
        values.extend(plan.pick(found))
        for name, at in plan.texts:
            indices.append(self._pairs[name, found[at]])
            values.append(1.0)
        for name, at in plan.lists:
            indices.extend(self._element_hashes(name, len(found[at])))
            values.extend(found[at])

    def _plan(self, layout: tuple[object, ...], features: Mapping[str, Any]) -> _Plan:
        numbers: list[tuple[str, int]] = []
        texts: list[tuple[str, int]] = []
        lists: list[tuple[str, int]] = []
        for at, (name, value) in enumerate(features.items()):
            if value is not None and name not in self._declared:
                kind = texts if isinstance(value, str) else lists if isinstance(value, list) else numbers
                kind.append((name, at))
        hashes = [self._plain[name] for name, _ in numbers]
        plan = _Plan(hashes, _picker([at for _, at in numbers], len(features)), texts, lists)
        if len(features) <= MAX_LAYOUT_WIDTH:
            if len(self._plans) >= MAX_LAYOUTS:
                self._plans.clear()
            self._plans[layout] = plan
        return plan

    def _element_hashes(self, name: str, length: int) -> list[int]:
        known = self._elements.get(name, [])
        if length <= len(known):
            return known[:length]
        plain = self._plain
        if length > MAX_LIST_MEMO:
            return known + [plain[f"{name}[{i}]"] for i in range(len(known), length)]
        if self._kept_elements > MEMO_ENTRIES:
            self._elements.clear()
            self._kept_elements = 0
            known = []
        added = [plain[f"{name}[{i}]"] for i in range(len(known), length)]
        self._kept_elements += len(added)
        self._elements[name] = known + added
        return known + added


def _picker(positions: list[int], width: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function from all values of a sample to those at the positions."""
    if len(positions) == width:
        return _all
    if len(positions) > 1:
        return itemgetter(*positions)
    first = slice(positions[0], positions[0] + 1) if positions else slice(0)
    return itemgetter(first)


def _all(values: Sequence[Any]) -> Sequence[Any]:
    return values
