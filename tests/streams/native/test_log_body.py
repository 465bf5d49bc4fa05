"""Plain data records: the compiled writer against pyarrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import Float64, Rows
from models.spec import FeatureSpec, ModelSpec, NumericFeature
from streams.data_codec import DataCodec, _marked
from streams.native.log_body import LogBody, UnexpectedStream

WIDTHS = (0, 1, 3, 12)
CODECS = {
    width: DataCodec(
        ModelSpec("regression", FeatureSpec(numeric=tuple(NumericFeature(f"n{i}") for i in range(width))))
    )
    for width in WIDTHS
}


def rows_of(rng: np.random.Generator, n: int, width: int, missing: bool = False) -> tuple[Rows, Float64]:
    """n rows of any bits but NaN, and their predictions."""

    def numbers(*shape: int) -> Float64:
        found = rng.integers(0, 1 << 64, shape, np.uint64).view(np.float64)
        return np.where(np.isnan(found), -0.0, found)

    numeric = numbers(n, width)
    if missing and numeric.size:
        numeric.reshape(-1)[rng.integers(numeric.size)] = rng.choice([np.nan, -np.nan])
    rows = Rows(
        numeric=numeric,
        indptr=np.zeros(n + 1, np.int64),
        indices=np.zeros(0, np.uint32),
        values=np.zeros(0),
        scaled_by=np.zeros(0, np.int16),
        labels=numbers(n),
        weights=numbers(n),
        timestamps=rng.integers(-(1 << 62), 1 << 62, n),
        offsets=rng.integers(0, 1 << 62, n),
    )
    return rows, numbers(n, 1)


@settings(deadline=None, max_examples=150)
@given(
    width=st.sampled_from(WIDTHS),
    counts=st.lists(st.sampled_from([0, 1, 2, 63, 64, 65, 500]), min_size=1, max_size=4),
    missing=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_a_record_has_the_bytes_that_pyarrow_writes(
    width: int, counts: list[int], missing: bool, seed: int
) -> None:
    rng, codec = np.random.default_rng(seed), CODECS[width]
    parts = [rows_of(rng, n, width, missing) for n in counts]
    together = Rows.concatenate([rows for rows, _ in parts])
    expected = codec.write(together, np.concatenate([served for _, served in parts]), {})
    assert codec.encode_all(parts, {}) == expected
    body = codec._body.write(parts) if codec._body is not None else b"nothing"
    assert body == (None if np.isnan(together.numeric).any() or not len(together) else expected)


def test_every_plain_model_has_a_writer() -> None:
    assert all(codec._body is not None for codec in CODECS.values())


def test_large_records_have_the_bytes_that_pyarrow_writes() -> None:
    rows, served = rows_of(np.random.default_rng(3), 40_000, 12)
    assert CODECS[12].encode_all([(rows, served)], {}) == CODECS[12].write(rows, served, {})


@pytest.mark.parametrize(
    "features",
    [
        FeatureSpec(numeric=(NumericFeature("a"),), categorical=("k",), hash_bits=4),
        FeatureSpec(numeric=(NumericFeature("a"),)),
    ],
)
def test_names_and_lists_are_left_to_pyarrow(features: FeatureSpec) -> None:
    codec = DataCodec(ModelSpec("regression", features))
    assert (codec._body is None) == (features.hash_bits is not None)


def test_several_outputs_are_left_to_pyarrow() -> None:
    spec = ModelSpec("multiclass", FeatureSpec(numeric=(NumericFeature("a"),)), classes=("x", "y", "z"))
    assert DataCodec(spec)._body is None


def test_another_form_of_stream_is_noticed() -> None:
    def by_arrow(n: int) -> bytes:
        stream = CODECS[1].write(*_marked(n, 1), {})
        return stream[:8] + (n * n).to_bytes(8, "little") + stream[8:]

    with pytest.raises(UnexpectedStream):
        LogBody(1, by_arrow)
