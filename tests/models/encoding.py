"""Encoding samples in tests as they come: from JSON, through the type that the encoder decodes them as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from models.features import Encoder
from models.rows import Rows
from models.spec import FeatureSpec


def encode(spec: FeatureSpec | Encoder, objects: Sequence[dict[str, Any]], times: Sequence[int] = ()) -> Rows:
    """Rows of samples with these features, and event times in ms."""
    encoder = spec if isinstance(spec, Encoder) else Encoder(spec)
    decode = msgspec.json.Decoder(encoder.features_type).decode
    features = [decode(msgspec.json.encode(one)) for one in objects]
    n = len(features)
    timestamps = np.array(times or [0] * n, dtype=np.int64)
    return encoder.encode(features, np.zeros(n), np.ones(n), timestamps, np.arange(n))


def entries(rows: Rows, i: int = 0) -> list[tuple[str, float, int]]:
    """Name, value and scaling column of each entry of row i; all names have to be fresh."""
    part = slice(rows.indptr[i], rows.indptr[i + 1])
    values = zip(rows.values[part].tolist(), rows.scaled_by[part].tolist(), strict=True)
    return [(rows.names[h], *one) for h, one in zip(rows.indices[part].tolist(), values, strict=True)]
