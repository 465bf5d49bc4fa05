"""CRC-32C, the checksum of Kafka's record batches."""

from __future__ import annotations

from collections.abc import Callable

import google_crc32c
import numpy as np
from aiokafka.record.util import calc_crc32c

from models.kernels.plan import UInt8

# Without a compiled one (a platform without a wheel) aiokafka's own is the faster of the two.
_value: Callable[[UInt8], int] = google_crc32c.value if google_crc32c.implementation == "c" else calc_crc32c


def crc32c(data: bytes | bytearray, start: int, stop: int) -> int:
    """Of data[start:stop], uncopied. Processors have an instruction for it: ten times as fast as tables."""
    view = np.frombuffer(data, np.uint8)[start:stop]
    view.flags.writeable = False  # google_crc32c takes nothing else
    return _value(view)
