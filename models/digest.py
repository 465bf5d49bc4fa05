"""A digest of the state that a save of a few blocks renews without reading all of them.

Each block of S has a BLAKE2b digest of 16 bytes; the state's digest is that of all of them in order, and
of the buffered rows. Bytes count: 0.0 and -0.0 differ, and so do NaNs with different payloads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from models.rows import Float64

_SIZE = 16
_LITTLE = sys.byteorder == "little"


def _digest(array: npt.NDArray[Any]) -> bytes:
    if not (_LITTLE and array.flags.c_contiguous):
        array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return blake2b(array.data, digest_size=_SIZE).digest()


class BlockDigests:
    """The digests of the blocks of one model's S, as last given to `update`."""

    def __init__(self, blocks: Mapping[int, Float64]) -> None:
        self._digests = bytearray(_SIZE * len(blocks))
        self.update(blocks)

    def update(self, blocks: Mapping[int, Float64]) -> None:
        """Take in the blocks that changed."""
        for block, values in blocks.items():
            self._digests[block * _SIZE : (block + 1) * _SIZE] = _digest(values)

    def combined(self, rows: Mapping[str, npt.NDArray[Any]]) -> str:
        """Hex digest of all blocks and the buffered rows."""
        whole = blake2b(self._digests, digest_size=_SIZE)
        for name in sorted(rows):
            whole.update(f"{name}{rows[name].shape}".encode())
            whole.update(_digest(rows[name]))
        return whole.hexdigest()
