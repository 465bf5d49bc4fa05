"""What differs between families of learners: raw scores, from the state or from a step's compact params, and
the gradient. A further family has a branch in each function.
"""

from __future__ import annotations

from models.kernels.jit import Mark, helper, part, unsigned
from models.kernels.plan import Batch, Plan, Scratch, Stored, place
from models.kernels.vocabulary import takes_part
from models.learners import factorization as machine
from models.learners import linear, mlp
from models.optimizers.catch_up import param_now
from models.optimizers.normalized import bounded
from models.rows import Float64
from models.scaling import multiply, scale


@helper
def param(lazy: Mark, nag: Mark, S: Float64, plan: Plan, j: int) -> float:
    """The j-th param of the table, as it is after all steps so far."""
    if lazy is not None and plan.optimizer.drifts:
        return param_now(plan.optimizer, S, plan.table_states, j, plan.table + j)
    value: float = S[unsigned(plan.table + place(nag, plan, j))]
    return value


@helper
def taken(nag: Mark, S: Float64, plan: Plan, j: int, x: float) -> float:
    """A feature's value as the prediction takes it, for the j-th param of the table."""
    if nag is None:
        return x
    return bounded(plan.optimizer, x, S[unsigned(plan.table_states[1] + place(nag, plan, j))])


@helper
def _served_linear(S: Float64, plan: Plan, batch: Batch, i: int, z: Float64, out: Float64, at: int) -> None:
    outputs = plan.outputs
    for k in range(outputs):
        s = param(None, plan.nag, S, plan, plan.dense * outputs + k)
        for j in range(plan.dense):
            p = j * outputs + k
            s += param(None, plan.nag, S, plan, p) * taken(plan.nag, S, plan, p, z[j])
        for e in range(unsigned(batch.indptr[i]), unsigned(batch.indptr[i + 1])):
            if not takes_part(plan.known, S, plan, batch, i, e, 0.0):
                continue
            c = batch.scaled_by[e]
            value = batch.values[e] * z[c] if c >= 0 else batch.values[e]
            p = (plan.always + (batch.indices[e] & plan.mask)) * outputs + k
            s += param(plan.lazy, plan.nag, S, plan, p) * taken(plan.nag, S, plan, p, value)
        out[at + k] = s


@part
def _served_fm(
    S: Float64, plan: Plan, batch: Batch, i: int, z: Float64, units: Float64, out: Float64, at: int
) -> None:
    outputs, factors, width = plan.outputs, plan.factors, plan.width
    count = outputs * factors
    for k in range(outputs):
        out[at + k] = S[plan.table + plan.dense * width + k]
    machine.begin_sums(units, count)
    for j in range(plan.dense):
        machine.take_feature(S, plan.table + j * width, z[j], outputs, factors, units, out, at)
    for e in range(batch.indptr[i], batch.indptr[i + 1]):
        if not takes_part(plan.known, S, plan, batch, i, e, 0.0):
            continue
        c = batch.scaled_by[e]
        x = batch.values[e] * z[c] if c >= 0 else batch.values[e]
        p = (plan.always + (batch.indices[e] & plan.mask)) * width
        if plan.optimizer.drifts:
            for j in range(width):  # behind the sums, for take_feature to read
                units[2 * count + j] = param(plan.lazy, None, S, plan, p + j)
            machine.take_feature(units, 2 * count, x, outputs, factors, units, out, at)
        else:
            machine.take_feature(S, plan.table + p, x, outputs, factors, units, out, at)
    machine.end_sums(outputs, factors, units, out, at)


@part
def _served_mlp(
    S: Float64, plan: Plan, batch: Batch, i: int, z: Float64, units: Float64, slopes: Float64,
    out: Float64, at: int,
) -> None:  # fmt: skip
    dense, width = plan.dense, plan.width
    for j in range(dense):
        units[j] = z[j]
    for k in range(width):
        units[dense + k] = 0.0
    for e in range(batch.indptr[i], batch.indptr[i + 1]):
        if not takes_part(plan.known, S, plan, batch, i, e, 0.0):
            continue
        c = batch.scaled_by[e]
        x = batch.values[e] * z[c] if c >= 0 else batch.values[e]
        p = (batch.indices[e] & plan.mask) * width
        for k in range(width):
            units[dense + k] += param(plan.lazy, None, S, plan, p + k) * x
    mlp.forward(S, plan.network, plan.sizes, plan.activation, units, slopes, out, at)


@helper
def served_scores(
    fm: Mark, net: Mark, S: Float64, plan: Plan, batch: Batch, i: int, columns: Float64, z: Float64,
    units: Float64, slopes: Float64, out: Float64, at: int,
) -> None:  # fmt: skip
    """Raw scores of row i, with these columns, to out[at : at + K]; z, units and slopes are scratch."""
    d = plan.columns
    scale(S, plan.scaler, columns, 0, d, plan.standard, z, 0)
    multiply(plan.pairs, d, z, 0)
    if fm is not None:
        _served_fm(S, plan, batch, i, z, units, out, at)
    elif net is not None:
        _served_mlp(S, plan, batch, i, z, units, slopes, out, at)
    else:
        _served_linear(S, plan, batch, i, z, out, at)


@helper
def stored_scores(
    fm: Mark, net: Mark, plan: Plan, stored: Stored, i: int, origin: int, scratch: Scratch
) -> None:
    """Raw scores of stored row i from the compact params; entry e's position is entry_slots[e - origin]."""
    first, last, dense = stored.indptr[i], stored.indptr[i + 1], plan.dense
    if fm is not None:
        machine.stored_scores(
            scratch.w, plan.outputs, plan.factors, dense, stored.x, i * dense, scratch.entry_slots,
            stored.values, first, last, first - origin, scratch.units, scratch.scores,
        )  # fmt: skip
    elif net is not None:
        mlp.put_inputs(
            scratch.w, plan.network_size, plan.width, dense, stored.x, i * dense, scratch.entry_slots,
            stored.values, first, last, first - origin, scratch.units,
        )  # fmt: skip
        mlp.forward(
            scratch.w, 0, plan.sizes, plan.activation, scratch.units, scratch.slopes, scratch.scores, 0
        )
    else:
        linear.raw_scores(
            scratch.w, 0, 1, plan.outputs, dense, stored.x, i * dense, scratch.entry_slots, stored.values,
            first, last, first - origin, scratch.scores, 0,
        )  # fmt: skip


@helper
def add_gradient(
    fm: Mark, net: Mark, plan: Plan, stored: Stored, i: int, origin: int, scratch: Scratch, weight: float
) -> None:
    """scratch.g += weight · ∂J/∂params of stored row i; scratch.scores holds ∂J/∂s, after `stored_scores`."""
    first, last, dense = stored.indptr[i], stored.indptr[i + 1], plan.dense
    if fm is not None:
        machine.add_gradient(
            scratch.w, scratch.g, plan.outputs, plan.factors, dense, stored.x, i * dense,
            scratch.entry_slots, stored.values, first, last, first - origin, scratch.units,
            scratch.scores, weight,
        )  # fmt: skip
    elif net is not None:
        mlp.backward(scratch.w, plan.sizes, scratch.units, scratch.slopes, scratch.g, scratch.scores, weight)
        mlp.add_embeddings(
            scratch.g, plan.network_size, plan.width, dense, scratch.entry_slots, stored.values,
            first, last, first - origin, scratch.slopes,
        )  # fmt: skip
    else:
        linear.add_gradient(
            scratch.g, plan.outputs, dense, stored.x, i * dense, scratch.entry_slots, stored.values,
            first, last, first - origin, scratch.scores, weight,
        )  # fmt: skip
