"""Learning, undoing and forgetting in any order, for models of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from models.model import Model
from models.rows import Rows
from models.spec import ModelSpec
from tests.models.samples import learn_all, state_bytes


def check_interleaving(spec: ModelSpec, rows_of: Callable[..., Rows], data: st.DataObject) -> None:
    """Undo gives back all bytes, forgetting changes none, and the fold is what it was before what is pending.

    rows_of(spec, n, seed=…) makes n rows.
    """
    model, seed = Model(spec), 0
    stack: list[tuple[Any, bytes, Rows]] = []
    learn_all(model, rows_of(spec, 17, seed=99))
    for action in data.draw(st.lists(st.sampled_from(["learn", "learn", "undo", "forget"]), max_size=25)):
        if action == "learn":
            seed += 1
            rows = rows_of(spec, data.draw(st.integers(0, 30)), seed=seed)
            before = state_bytes(model)
            stack.append((model.predict_and_learn(rows).undo, before, rows))
        elif action == "undo" and stack:
            undo, before, rows = stack.pop()
            after = state_bytes(model)
            model.undo(undo)
            assert state_bytes(model) == before
            if data.draw(st.booleans()):  # and learn it again
                stack.append((model.predict_and_learn(rows).undo, before, rows))
                assert state_bytes(model) == after
        elif action == "forget" and stack:
            view = state_bytes(model)
            model.forget(stack.pop(0)[0])
            assert state_bytes(model) == view
        fold = stack[0][1] if stack else state_bytes(model)
        tensors = model.tensors()
        assert b"".join(tensors[name].tobytes() for name in sorted(tensors)) == fold
