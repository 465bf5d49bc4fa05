"""How the tensors of a layout are cut into stored fields, and what of them is to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from models.layout import BLOCK, Layout
from models.model import Folded
from models.rows import Float64, Int64

WHOLE = 8192
"""Numbers of the largest tensor that is stored whole, under its name."""


class Pieces:
    """Tensors of up to WHOLE numbers are fields of their own, larger ones are cut where blocks end.

    So a save writes small tensors that changed, and the pieces of large ones that changed.
    """

    def __init__(self, layout: Layout, buffered: bool) -> None:
        self._layout = layout
        # A buffer that was emptied must overwrite the rows of the save before.
        self._no_rows: dict[str, Any] = {}
        if buffered:
            self._no_rows = {
                "rows.x": np.zeros((0, layout.dense)),
                "rows.labels": np.zeros(0),
                "rows.weights": np.zeros(0),
                "rows.indptr": np.zeros(1, dtype=np.int64),
                "rows.coordinates": np.zeros(0, dtype=np.uint32),
                "rows.values": np.zeros(0),
            }
        self._whole: dict[str, tuple[int, int]] = {}  # first and past-the-last block
        self._cut: dict[str, slice] = {}
        for name, (_, shape) in layout.tensors.items():
            place = layout.place(name)
            if np.prod(shape, dtype=np.int64) <= WHOLE:
                self._whole[name] = place.start // BLOCK, -(-place.stop // BLOCK)
            else:
                self._cut[name] = place
        self._headers: dict[tuple[str, int], bytes] = {}

    def wanted(self, dirty: Int64) -> Int64:
        """The blocks that a save of these needs: all of a whole tensor, if one is dirty."""
        marked = np.zeros(self._layout.blocks, dtype=np.bool_)
        marked[dirty] = True
        for first, last in self._whole.values():
            if marked[first:last].any():
                marked[first:last] = True
        return np.flatnonzero(marked)

    def encode(self, folded: Folded) -> dict[str, bytes]:
        """Field → safetensors bytes, of the blocks (as `wanted` names them) and buffered rows of `folded`."""
        fields: dict[str, bytes] = {}
        blocks = folded.blocks
        for name, (first, last) in self._whole.items():
            if first == last or first in blocks:
                fields[name] = self._tensor(name, [blocks[b] for b in range(first, last)], first)
        numbers = np.sort(np.fromiter(blocks, np.int64, len(blocks)))
        for name, place in self._cut.items():
            fields |= self._pieces(name, place, blocks, numbers)
        for name, rows in (folded.rows or self._no_rows).items():
            fields[name] = safetensors.numpy.save({name: np.ascontiguousarray(rows)})
        return fields

    def decode(self, fields: Mapping[str, bytes]) -> dict[str, Any]:
        """Inverse of `encode`, of all blocks; raises KeyError, ValueError or SafetensorError."""
        rest = dict(fields)
        tensors: dict[str, Any] = {}
        for name, (_, shape) in self._layout.tensors.items():
            if name in self._whole:
                tensors[name] = safetensors.numpy.load(rest.pop(name))[name].reshape(shape)
                continue
            place = self._cut[name]
            pieces = (place.stop - 1) // BLOCK - place.start // BLOCK + 1
            parts = [self._numbers(name, rest.pop(f"{name}/{i}")) for i in range(pieces)]
            tensors[name] = np.concatenate(parts).reshape(shape)
        for name, value in rest.items():
            tensors[name] = safetensors.numpy.load(value)[name]
        return tensors

    def _pieces(
        self, name: str, place: slice, blocks: Mapping[int, Float64], numbers: Int64
    ) -> dict[str, bytes]:
        """Those of one tensor that lie in blocks of these numbers."""
        first, last = place.start // BLOCK, (place.stop - 1) // BLOCK
        wanted = numbers[(numbers >= first) & (numbers <= last)]
        inner = wanted[(wanted > first) & (wanted < last)] if BLOCK % place.step == 0 else wanted[:0]
        fields: dict[str, bytes] = {}
        if len(inner):  # of these each has as many, at the same places
            start, _ = self._within(place, int(inner[0]))
            parts = np.stack([blocks[block][start :: place.step] for block in inner.tolist()])
            header, together, size = self._header(name, parts.shape[1]), parts.tobytes(), 8 * parts.shape[1]
            for at, block in enumerate((inner - first).tolist()):
                fields[f"{name}/{block}"] = header + together[at * size : (at + 1) * size]
        for block in np.setdiff1d(wanted, inner).tolist():
            start, stop = self._within(place, block)
            part = blocks[block][start : stop : place.step]
            fields[f"{name}/{block - first}"] = self._header(name, len(part)) + part.tobytes()
        return fields

    def _tensor(self, name: str, blocks: Sequence[Float64], first: int) -> bytes:
        place = self._layout.place(name)
        together = np.concatenate(blocks) if blocks else np.zeros(0)
        start = place.start - first * BLOCK
        part = together[start : start + place.stop - place.start : place.step]
        shaped = np.ascontiguousarray(part).reshape(self._layout.tensors[name][1])
        return safetensors.numpy.save({name: shaped})

    def _within(self, place: slice, block: int) -> tuple[int, int]:
        """Where the numbers of a tensor begin and end in a block."""
        begin = block * BLOCK
        skipped = -(-max(0, begin - place.start) // place.step)  # numbers of the blocks before
        return place.start + skipped * place.step - begin, min(BLOCK, place.stop - begin)

    def _header(self, name: str, length: int) -> bytes:
        """What stands before the numbers of a piece: the same for all pieces of a length."""
        known = self._headers.get((name, length))
        if known is None:
            made = safetensors.numpy.save({name: np.zeros(length)})
            known = self._headers[name, length] = made[: len(made) - 8 * length]
        return known

    def _numbers(self, name: str, value: bytes) -> npt.NDArray[Any]:
        """The numbers of a piece."""
        length = int.from_bytes(value[:8], "little")
        header, count = value[: 8 + length], (len(value) - 8 - length) // 8
        if count >= 0 and header == self._header(name, count) and len(value) == len(header) + 8 * count:
            return np.frombuffer(value, "<f8", count, len(header))
        return safetensors.numpy.load(value)[name].ravel()
