"""A model that learns in order and can take back what it learned: the fold's state and its arithmetic."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.digest import BlockDigests
from models.errors import SpecError
from models.kernels.fold import (
    GIVEN,
    JOURNAL,
    NEED_ENTRIES,
    NEED_JOURNAL,
    NEED_SLOTS,
    PROGRESS,
    REFUSALS,
    ROW,
    fold_rows,
)
from models.kernels.journal import restore, restore_blocks
from models.kernels.judge import REASONS
from models.kernels.plain import lanes_size
from models.kernels.plan import Batch, Scratch, make_plan
from models.kernels.serve import serve_rows
from models.kernels.table import read_table
from models.layout import BINS, BLOCK, REFUSED, ROWS_END, ROWS_FIRST, RUN, SAMPLES, SCALARS, SKIPPED, Layout
from models.metrics import Metric, Metrics, read_metrics
from models.optimizers import CLOCK
from models.readable import Wanted, Weight, read_memory
from models.row_buffer import RowBuffer
from models.rows import Float64, Int64, Rows
from models.spec import ModelSpec
from models.undo import JournalPool, Undo, part_before

_DTYPES: dict[str, type[np.generic]] = {
    "numeric": np.float64,
    "indptr": np.int64,
    "indices": np.uint32,
    "values": np.float64,
    "scaled_by": np.int16,
    "labels": np.float64,
    "weights": np.float64,
    "codes": np.int64,
    "timestamps": np.int64,
}
"""Of the arrays of a Batch, in its order."""

NO_ORIGIN = np.empty(0, dtype=np.int64)
SCRUB = 1024
"""Unchanged blocks (2 MiB) that a digest reads all the same."""


@dataclass(slots=True)
class Learned:
    """What came of n rows. K is 1, or the number of classes of a multiclass model."""

    served: Float64
    """(n, K) predictions: a number, the probability of the second class, or those of all classes."""
    learned_before: Int64
    """(n,) samples learned before each row."""
    refused: list[tuple[int, str]]
    """Rows whose update was refused, and why."""
    undo: Undo | None
    skipped: int = 0
    """Labelled rows that came while learning was halted."""


@dataclass(slots=True)
class Folded:
    """The state without what is pending: blocks of S (all of them, or those asked for) and buffered rows."""

    blocks: dict[int, Float64]
    rows: dict[str, npt.NDArray[Any]]


class Model:
    """One model: parameters, optimizer, scaler, metrics, buffered rows; see Layout for `S`.

    Batches learned with `keep_undo` are pending: the newest can be undone, the oldest forgotten. While
    some are pending, `S` is the view (fold plus pending). A reading leaves out the batches named by `undos`,
    the newest pending ones, oldest first: all that is pending if None, which gives the fold; `()` gives the
    view. `samples_learned` and `refused` are the view's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """A model that has learned nothing; raises SpecError if the fold cannot run `spec`."""
        self.spec = spec
        self.layout = Layout(spec)
        self.S = self.layout.zeros()
        self.dirty = np.zeros(self.layout.blocks, dtype=np.uint8)
        self._plan = make_plan(spec, self.layout)
        self._rows = RowBuffer(self.layout.dense)
        self._scratch = _scratch(self.layout)
        self._pool = JournalPool()
        self._pending: deque[Undo] = deque()
        self._scrubbed = 0
        self._digests = BlockDigests(self._split(self.S))
        self._stale = np.zeros(self.layout.blocks, dtype=np.uint8)  # changed since their digest was taken

    @property
    def samples_learned(self) -> int:
        """Labelled samples learned from, pending ones included, refused ones not."""
        return int(self.S[SAMPLES])

    @property
    def refused(self) -> int:
        """Samples whose update was refused."""
        return int(self.S[REFUSED])

    @property
    def pending(self) -> tuple[Undo, ...]:
        """Undos of the pending batches, oldest first."""
        return tuple(self._pending)

    # Predicting and learning

    def predict(self, rows: Rows) -> Float64:
        """(n, K) predictions; the state stays as it is."""
        served = np.empty((len(rows), self.layout.outputs))
        scratch = self._scratch
        columns, z = np.empty(self.layout.columns), np.empty(self.layout.dense)
        serve_rows(
            self.S, self._plan, self._batch(rows), columns, z, scratch.units, scratch.slopes,
            served.reshape(-1),
        )  # fmt: skip
        return served

    def predict_and_learn(self, rows: Rows) -> Learned:
        """Predict each row, then learn from it if it is labelled, before the next one is predicted."""
        return self._fold(rows, None, keep_undo=True)

    def learn(self, rows: Rows, served: Float64, keep_undo: bool) -> Learned:
        """Learn from rows whose predictions (n, K) were made elsewhere or before; metrics take those.

        Raises ValueError without `keep_undo` while other batches are pending: they could not be undone.
        """
        expected = (len(rows), self.layout.outputs)
        if served.shape != expected:
            raise ValueError(f"served: found shape {served.shape}, expected {expected}")
        return self._fold(rows, np.require(served, np.float64, ["C", "A", "W"]), keep_undo)

    def join(self, rows: Rows, served: Float64, origin: Int64) -> Learned:
        """Predict samples and learn from those whose labels came, in the order of the rows.

        origin (n,): SERVE where the row is a sample to be predicted; GIVEN where `served` (n, K) has the
        prediction of the sample that the row's label belongs to; else the earlier row that is this sample.
        Raises ValueError for other shapes, or an origin that is no earlier row.
        """
        expected = (len(rows), self.layout.outputs)
        if served.shape != expected or origin.shape != expected[:1]:
            raise ValueError(f"found shapes {served.shape} and {origin.shape}, expected {expected}")
        if (origin >= np.arange(len(rows))).any() or (origin < GIVEN).any():
            raise ValueError("origin: expected an earlier row, SERVE or GIVEN")
        return self._fold(rows, np.array(served, dtype=np.float64, order="C"), True, origin)

    def _fold(
        self, rows: Rows, served: Float64 | None, keep_undo: bool, origin: Int64 = NO_ORIGIN
    ) -> Learned:
        if self._pending and not keep_undo:
            raise ValueError(
                f"learn without undo while {len(self._pending)} batches are pending; undo them first"
            )
        n, given, skipped = len(rows), served is not None, self.S[SKIPPED]
        if served is None:
            served = np.empty((n, self.layout.outputs))
        learned_before, refused_rows, codes = np.empty((3, n), dtype=np.int64)
        batch = self._batch(rows)
        self._reserve_rows(batch)
        small = self.S[: self.layout.small_end].copy()
        journal = self._pool.take()
        progress, changed = np.zeros(PROGRESS, dtype=np.int64), np.zeros_like(self.dirty)
        while progress[ROW] < n:
            fold_rows(
                self.S, changed, self._plan, batch, given, origin, served.reshape(-1), learned_before,
                refused_rows, codes, self._rows.stored, self._rows.base, self._scratch,
                keep_undo, journal, progress,
            )  # fmt: skip
            if progress[NEED_SLOTS] or progress[NEED_ENTRIES]:
                self._grow_scratch(int(progress[NEED_SLOTS]), int(progress[NEED_ENTRIES]))
            if progress[NEED_JOURNAL]:
                used, need = int(progress[JOURNAL]), int(progress[NEED_JOURNAL])
                journal = self._pool.grow(journal, used, need)
        undo = None
        self.dirty |= changed
        if keep_undo:
            undo = self._pool.wrap(small, journal, int(progress[JOURNAL]), changed.nonzero()[0])
            self._pending.append(undo)
        else:
            self._pool.keep(journal)
        refused = [(int(refused_rows[j]), REASONS[int(codes[j])]) for j in range(int(progress[REFUSALS]))]
        return Learned(served, learned_before, refused, undo, int(self.S[SKIPPED] - skipped))

    def _batch(self, rows: Rows) -> Batch:
        expected = (len(rows), len(self.spec.features.encode))
        if rows.codes.shape != expected:
            raise ValueError(f"codes: found shape {rows.codes.shape}, expected {expected}")
        return _batch(rows)

    def _reserve_rows(self, batch: Batch) -> None:
        """Room for the batch behind the buffered rows; in `sample` one row passes through at a time."""
        rows, entries = len(batch.labels), int(batch.indptr[-1] - batch.indptr[0])
        if self.spec.update.name == "sample":
            rows, entries = 1, int(np.diff(batch.indptr).max()) if entries else 0
        first = int(self._pending[0].rows_first if self._pending else self.S[ROWS_FIRST])
        self._rows.reserve(first, int(self.S[ROWS_END]), rows, entries)

    def _grow_scratch(self, slots: int, entries: int) -> None:
        old = self._scratch
        slots = 2 * slots if slots else len(old.touched)
        entries = 2 * entries if entries else len(old.entry_slots)
        self._scratch = _scratch(self.layout, slots, entries)

    # Halted: `halt_after` updates in a row were refused

    def halted(self, undos: Sequence[Undo] | None = None) -> bool:
        """Whether the model has stopped learning, until it is resumed; `undos` as in a reading."""
        scalars = part_before(self.S, self._left_out(undos), 0, SCALARS)
        return 0 < self.spec.halt_after <= int(scalars[RUN])

    def resume(self) -> None:
        """Learn again; raises ValueError while batches are pending."""
        if self._pending:
            raise ValueError(f"resume while {len(self._pending)} batches are pending; undo them first")
        self.S[RUN] = 0.0
        self.dirty[0] = 1

    # Pending batches

    def undo(self, undo: Undo) -> None:
        """Take back the newest pending batch: all bytes of the state are as they were before it.

        Raises ValueError if `undo` is another batch's.
        """
        if not self._pending or self._pending[-1] is not undo:
            raise ValueError("undo: not the newest pending batch; undo the newer ones first")
        self._pending.pop()
        restore(self.S, undo.small, undo.journal, undo.length)
        self.dirty[undo.blocks] = 1
        self._pool.give_back(undo)

    def forget(self, undo: Undo) -> None:
        """The oldest pending batch is now part of the fold; raises ValueError if `undo` is another's.

        Its blocks become dirty again: a save in the meantime stored them without it.
        """
        if not self._pending or self._pending[0] is not undo:
            raise ValueError("forget: not the oldest pending batch; forget the older ones first")
        self._pending.popleft()
        self.dirty[undo.blocks] = 1
        self._pool.give_back(undo)

    # State: out and in

    def folded(self, undos: Sequence[Undo] | None = None, blocks: npt.ArrayLike | None = None) -> Folded:
        """Copies of all blocks of S, or of those listed, and of the buffered rows, without `undos`."""
        undos = self._left_out(undos)
        wanted = np.arange(self.layout.blocks) if blocks is None else np.unique(np.asarray(blocks, np.int64))
        places = np.full(self.layout.blocks, -1, dtype=np.int64)
        places[wanted] = BLOCK * np.arange(len(wanted))  # the last one alone may be short
        full = len(self.S) // BLOCK
        out = self.S[: full * BLOCK].reshape(full, BLOCK)[wanted[wanted < full]].ravel()
        if len(wanted) and wanted[-1] == full:
            out = np.concatenate([out, self.S[full * BLOCK :]])
        at = places[wanted].tolist()
        result = {b: out[start : start + BLOCK] for b, start in zip(wanted.tolist(), at, strict=True)}
        for undo in reversed(undos):
            restore_blocks(out, places, undo.small, undo.journal, undo.length)
        first, end = self.S[ROWS_FIRST], self.S[ROWS_END]
        if undos:
            first, end = undos[0].rows_first, undos[0].rows_end
        return Folded(result, self._rows.export(int(first), int(end)))

    def digest(self, folded: Folded | None = None) -> str:
        """Hex digest of the state without what is pending; see models.digest for what counts.

        `folded`: as just returned by `folded(None, blocks)`, with at least the blocks that `take_dirty`
        just named. If None, those that changed since the last digest are read, and a few of the others
        in turn: what happens to memory behind the fold's back is found out in time.
        """
        if folded is None:
            changed = np.flatnonzero(self._stale | self.dirty)
            in_turn = (self._scrubbed + np.arange(min(SCRUB, self.layout.blocks))) % self.layout.blocks
            self._scrubbed = (self._scrubbed + SCRUB) % self.layout.blocks
            folded = self.folded(blocks=np.concatenate([changed, in_turn]))
        self._digests.update(folded.blocks)
        self._stale[list(folded.blocks)] = 0
        return self._digests.combined(folded.rows)

    def tensors(self, undos: Sequence[Undo] | None = None) -> dict[str, npt.NDArray[Any]]:
        """Copies of all tensors by name (Layout), and of the buffered rows, without `undos`."""
        folded = self.folded(undos)
        vector = np.concatenate([folded.blocks[b] for b in range(self.layout.blocks)])
        named = {name: self.layout.view(vector, name).copy() for name in self.layout.tensors}
        return {**named, **folded.rows}

    def load(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `tensors` gave; raises SpecError if a name or shape is not this model's."""
        vector = np.empty(self.layout.size)
        for name, (_, shape) in self.layout.tensors.items():
            found = tensors[name].shape if name in tensors else "nothing"
            if found != shape:
                raise SpecError(
                    f"tensor {name}: found {found}, expected shape {shape}; is it another model's?"
                )
            self.layout.view(vector, name)[...] = tensors[name]
        self._load(vector, tensors)

    def load_blocks(self, blocks: Mapping[int, Float64], rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what a `Folded` held, all blocks; raises SpecError if one is missing or too short."""
        vector = np.empty(self.layout.size)
        for block in range(self.layout.blocks):
            start, stop = self.layout.block_range(block)
            found = blocks[block].shape if block in blocks else "nothing"
            if found != (stop - start,):
                raise SpecError(
                    f"block {block}: found {found}, expected {stop - start} floats; load another save"
                )
            vector[start:stop] = blocks[block]
        self._load(vector, rows)

    def _load(self, vector: Float64, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        self._pending.clear()
        self.S[:] = vector
        self._rows.load(dict(rows), int(vector[ROWS_FIRST]))
        self.dirty[:] = 0
        self._digests = BlockDigests(self._split(self.S))
        self._stale[:] = 0

    def take_dirty(self) -> Int64:
        """Blocks that may have changed since the last call; the flags are cleared."""
        blocks = np.flatnonzero(self.dirty)
        self._stale[blocks] = 1
        self.dirty[:] = 0
        return blocks

    def restore_dirty(self, blocks: npt.ArrayLike) -> None:
        """Flag blocks again: a save of them failed."""
        self.dirty[np.asarray(blocks, dtype=np.int64)] = 1

    # Readings

    def metrics(self, undos: Sequence[Undo] | None = None) -> dict[str, Metric | Metrics]:
        """Prequential metrics since the start, and again under "recent"; None where undefined."""
        undos = self._left_out(undos)
        histograms, at = None, self.layout.offset("histograms")
        if at >= 0:
            histograms = part_before(self.S, undos, at, at + 4 * BINS)
        return read_metrics(self.spec.task, part_before(self.S, undos, 0, SCALARS), histograms)

    def weights(
        self, names: Mapping[int, str], top: int | None = None, undos: Sequence[Undo] | None = None
    ) -> list[Weight]:
        """(name, weight, mean, std) of the `top` weights by |weight|, all if None; see models.readable."""
        undos, layout = self._left_out(undos), self.layout
        # S itself where nothing is pending: a large model's weights are not copied for a few names.
        end = layout.size
        if not layout.shape.sizes and not self._plan.optimizer.drifts:
            end = layout.place("weights").stop
        vector = part_before(self.S, undos, 0, end) if undos else self.S
        wanted = Wanted(self.spec, layout, names)
        values = np.empty((len(wanted.coordinates), layout.outputs))
        if values.size:
            read_table(vector, self._plan, wanted.coordinates, values.reshape(-1))
        return wanted.weights(layout.view(vector, "scaler"), values, top)

    def heaviness(self, hashes: Int64) -> Float64:
        """(n,) largest size of a param of each hashed coordinate, in the view."""
        layout = self.layout
        table = layout.view(self.S, layout.table)
        largest: Float64 = np.abs(table[layout.shape.always + (hashes & (layout.hashed - 1))]).max(axis=1)
        return largest

    def memory(self) -> dict[str, dict[str, Any]]:
        """What features with a memory hold, for people, in the view; see models.readable."""
        return read_memory(self.spec, self.layout, self.S)

    def _left_out(self, undos: Sequence[Undo] | None) -> Sequence[Undo]:
        return self.pending if undos is None else undos

    def _split(self, vector: Float64) -> dict[int, Float64]:
        ranges = (self.layout.block_range(block) for block in range(self.layout.blocks))
        return {block: vector[start:stop] for block, (start, stop) in enumerate(ranges)}


def _batch(rows: Rows) -> Batch:
    """The arrays as the kernels were compiled for: flat, aligned, contiguous and read-only.

    Arrow gives read-only arrays, numpy writable ones; without this each kind would be compiled for itself.
    """
    arrays = []
    for name, dtype in _DTYPES.items():
        array = getattr(rows, name)
        if array.dtype != dtype or not (array.flags.c_contiguous and array.flags.aligned):
            array = np.require(array, dtype, ["C", "A"])
        array = array.reshape(-1).view()
        array.flags.writeable = False
        arrays.append(array)
    return Batch(*arrays)


def _scratch(layout: Layout, slots: int = 0, entries: int = 0) -> Scratch:
    """Working memory for steps on up to `slots` coordinates and `entries` stored entries."""
    slots = max(slots, layout.shape.always)
    size = layout.shape.network + slots * layout.shape.width
    units = layout.shape.units + 3 * layout.shape.width
    return Scratch(
        columns=np.zeros(layout.columns),
        z=np.zeros(layout.dense),
        scaler=np.zeros(3 * layout.columns),
        scores=np.zeros(layout.outputs),
        penalty=np.zeros(1),
        clock=np.zeros(CLOCK),
        slots=np.zeros(layout.hashed, dtype=np.uint32),
        touched=np.zeros(slots, dtype=np.int64),
        entry_slots=np.zeros(entries, dtype=np.uint32),
        w=np.zeros(size),
        state=np.zeros(size * len(layout.state_names)),
        g=np.zeros(size),
        before=np.zeros(0 if layout.shape.sizes else size),
        units=np.zeros(units),
        slopes=np.zeros(units),
        lanes=np.zeros(lanes_size(layout.dense)),
    )
