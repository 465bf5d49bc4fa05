"""Undeclared features (`others = "include"`, or no features table): taken by the type of their value."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from models.encoding_names import MEMO_ENTRIES, NameBook, PairMemo, PlainMemo

MAX_LIST_MEMO = 4096
"""Elements of one list whose hashes are remembered."""

MAX_LAYOUTS = 1024
MAX_LAYOUT_WIDTH = 256
"""Layouts, and features of a layout, that are remembered."""

_NUMBERS = {float, int, bool}


class UndeclaredEncoder:
    """Number and boolean: `name` with its value; text: `name=text` with 1; list: `name[i]`; null: nothing."""

    def __init__(self, book: NameBook, declared: Container[str]) -> None:
        self._declared = declared
        self._plain = PlainMemo(book)
        self._pairs = PairMemo(book)
        self._elements: dict[str, list[int]] = {}
        self._kept_elements = 0
        self._layouts: dict[tuple[object, ...], list[int]] = {}

    def forget(self) -> None:
        """Forget hashes that stand in no memo, so that their names are met again."""
        self._layouts.clear()
        self._elements.clear()
        self._kept_elements = 0

    def append(self, features: Mapping[str, Any], indices: list[int], values: list[float]) -> None:
        """Append the entries of one sample, in the order in which its features stand."""
        numbers = features.values()
        layout = (*features, *map(type, numbers))
        hashes = self._layouts.get(layout)
        if hashes is None:
            before = len(indices)
            self._append_each(features, indices, values)
            if self._is_plain(features):
                self._layouts[layout] = indices[before:]
            return
        indices.extend(hashes)
        values.extend(numbers)

    def _is_plain(self, features: Mapping[str, Any]) -> bool:
        """Whether all are undeclared numbers, so that the next sample of the same names has the same hashes."""
        plain = len(features) <= MAX_LAYOUT_WIDTH and {*map(type, features.values())} <= _NUMBERS
        if plain and len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
        return plain and not any(name in self._declared for name in features)

    def _append_each(self, features: Mapping[str, Any], indices: list[int], values: list[float]) -> None:
        for name, value in features.items():
            if value is None or name in self._declared:
                continue
            if isinstance(value, str):
                indices.append(self._pairs[name, value])
                values.append(1.0)
            elif isinstance(value, list):
                indices.extend(self._element_hashes(name, len(value)))
                values.extend(value)
            else:
                indices.append(self._plain[name])
                values.append(value)

    def _element_hashes(self, name: str, length: int) -> list[int]:
        known = self._elements.get(name, [])
        if length <= len(known):
            return known[:length]
        plain = self._plain
        if length > MAX_LIST_MEMO:
            return known + [plain[f"{name}[{i}]"] for i in range(len(known), length)]
        if self._kept_elements > MEMO_ENTRIES:
            self.forget()
            known = []
        added = [plain[f"{name}[{i}]"] for i in range(len(known), length)]
        self._kept_elements += len(added)
        self._elements[name] = known + added
        return known + added
