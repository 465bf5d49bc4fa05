"""Loads the compiled fast paths before the first record needs them; the first time they are compiled."""

from __future__ import annotations

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from models.features import Encoder
from models.spec import FeatureSpec, ModelSpec
from streams.data_codec import DataCodec
from streams.native.fetching import RawFetch, RawPartitionRecords
from streams.native.merge import merged
from streams.native.predictions import PredictionWriter
from streams.native.raw_ids import RawIds, RawKeys
from streams.native.samples import offsets_of, parser_of

_VALUE = b'{"id":"a","features":{"c":"d"},"label":1}'


def load() -> None:
    """One record all the way; half a minute from an empty cache, afterwards a fraction of a second."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 16)
    builder.append(0, 0, None, _VALUE, [])
    fetched = RawPartitionRecords(None, RawFetch(bytes(builder.build())), None, 0)
    spec = ModelSpec("binary", FeatureSpec(categorical=("c",), hash_bits=8), (0, 1))
    parser, writer = parser_of(spec, Encoder(spec.features)), PredictionWriter("m", spec)
    assert parser is not None
    for records in fetched:
        parsed, _ = parser.parse(records)
        rows = parser.rows(parsed, offsets_of(records))
        ids = RawIds(records.data, parsed.id_at, parsed.id_size, "", rows.offsets)
        sets = writer.write(ids, RawKeys(records), np.zeros((1, 1)), np.zeros(1, np.int64), "s", 0, 1 << 16)
        merged([*sets, *sets])
        DataCodec(ModelSpec("regression", FeatureSpec())).encode_all([(rows, np.zeros((1, 1)))], {})
