"""Comparing encoded rows, for tests."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from models.rows import Rows


def assert_same_rows(a: Rows, b: Rows) -> None:
    """Equal arrays; the names that came with them do not count."""
    for column in fields(Rows):
        if column.name != "names":
            found, expected = getattr(a, column.name), getattr(b, column.name)
            np.testing.assert_array_equal(found, expected, err_msg=column.name)
