"""The multilayer perceptron: any number of hidden layers of one activation, K linear outputs.

    a_0 = [dense features, Σ_e x_e · embedding_e]     embeddings of the row's hashed features, summed
    a_l = φ(b_l + a_(l-1) W_l),  s = b_L + a_(L-1) W_L

    δ_L = ∂J/∂s,  δ_(l-1) = φ'(·) ∘ (W_l δ_l),  ∂J/∂W_l = a_(l-1) ⊗ δ_l,  ∂J/∂b_l = δ_l,
    ∂J/∂embedding_e = x_e δ_0                          (Rumelhart, Hinton & Williams 1986)

    relu   φ(z) = max(0, z)              (Glorot, Bordes & Bengio 2011)
    tanh   φ(z) = tanh(z)
    gelu   φ(z) = ½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))      (Hendrycks & Gimpel 2016, its tanh form)

A network is one flat vector: for each layer W_l (in × out, row-major), then b_l. `units` holds a_0 … a_L one
after the other, `slopes` φ' of each, then δ.
"""

from __future__ import annotations

from models.kernels.elementary import tanh
from models.kernels.jit import helper, part
from models.rows import Float64, Int64, UInt32

RELU, TANH, GELU = 0, 1, 2
ACTIVATIONS = {"relu": RELU, "tanh": TANH, "gelu": GELU}
_ROOT = 0.7978845608028654  # √(2/π)
_CUBIC = 0.044715


@helper
def _activate(activation: int, units: Float64, slopes: Float64, start: int, stop: int) -> None:
    if activation == RELU:
        for j in range(start, stop):
            alive = units[j] > 0.0
            slopes[j] = 1.0 if alive else 0.0
            units[j] = units[j] if alive else 0.0
    elif activation == TANH:
        for j in range(start, stop):
            y = tanh(units[j])
            units[j] = y
            slopes[j] = 1.0 - y * y
    else:
        for j in range(start, stop):
            z = units[j]
            y = tanh(_ROOT * (z + _CUBIC * (z * z * z)))
            inner = _ROOT * (1.0 + 3.0 * _CUBIC * (z * z))
            units[j] = 0.5 * z * (1.0 + y)
            slopes[j] = 0.5 * (1.0 + y) + 0.5 * z * (1.0 - y * y) * inner


@part
def forward(
    params: Float64, base: int, sizes: Int64, activation: int, units: Float64, slopes: Float64,
    out: Float64, at: int,
) -> None:  # fmt: skip
    """Raw scores to out[at : at + K] from units[: sizes[0]] and the network at params[base]."""
    p, u = base, 0
    for layer in range(sizes.size - 1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        o = u + inputs
        bias = p + inputs * outputs
        for k in range(outputs):
            units[o + k] = params[bias + k]
        for j in range(inputs):
            a = units[u + j]
            row = p + j * outputs
            if a != 0.0:
                for k in range(outputs):
                    units[o + k] += params[row + k] * a
        if layer < sizes.size - 2:
            _activate(activation, units, slopes, o, o + outputs)
        p, u = bias + outputs, o
    for k in range(sizes[sizes.size - 1]):
        out[at + k] = units[u + k]


@part
def backward(
    params: Float64, sizes: Int64, units: Float64, slopes: Float64, g: Float64, derivative: Float64,
    weight: float,
) -> None:  # fmt: skip
    """g += weight · ∂J/∂network after `forward`; leaves weight · ∂J/∂a_0 in slopes[: sizes[0]]."""
    p, u = 0, 0
    for layer in range(sizes.size - 1):
        p += (sizes[layer] + 1) * sizes[layer + 1]
        u += sizes[layer]
    for k in range(sizes[sizes.size - 1]):
        slopes[u + k] = weight * derivative[k]
    for layer in range(sizes.size - 2, -1, -1):
        inputs, outputs = sizes[layer], sizes[layer + 1]
        bias = p - outputs
        p -= (inputs + 1) * outputs
        o, u = u, u - inputs
        for k in range(outputs):
            g[bias + k] += slopes[o + k]
        for j in range(inputs):
            a, row = units[u + j], p + j * outputs
            if a != 0.0:
                for k in range(outputs):
                    g[row + k] += a * slopes[o + k]
            back = _dot(params, row, slopes, o, outputs)
            slopes[u + j] = back if layer == 0 else back * slopes[u + j]


@helper
def _dot(a: Float64, at: int, b: Float64, bt: int, n: int) -> float:
    """Σ a b in four interleaved sums, which are added at the end: a fixed order that needs no waiting."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = n - n % 4
    for k in range(0, whole, 4):
        s0 += a[at + k] * b[bt + k]
        s1 += a[at + k + 1] * b[bt + k + 1]
        s2 += a[at + k + 2] * b[bt + k + 2]
        s3 += a[at + k + 3] * b[bt + k + 3]
    for k in range(whole, n):
        s0 += a[at + k] * b[bt + k]
    return (s0 + s1) + (s2 + s3)


@part
def put_inputs(
    w: Float64, network: int, width: int, dense: int, x: Float64, xat: int, slots: UInt32, values: Float64,
    first: int, last: int, entries: int, units: Float64,
) -> None:  # fmt: skip
    """units[: dense + width] of a stored row, from compact params."""
    shift = entries - first
    for j in range(dense):
        units[j] = x[xat + j]
    for k in range(width):
        units[dense + k] = 0.0
    for e in range(first, last):
        p = network + slots[e + shift] * width
        for k in range(width):
            units[dense + k] += w[p + k] * values[e]


@part
def add_embeddings(
    g: Float64, network: int, width: int, dense: int, slots: UInt32, values: Float64, first: int, last: int,
    entries: int, slopes: Float64,
) -> None:  # fmt: skip
    """g += the gradient by the embeddings of a row, after `backward`."""
    shift = entries - first
    for e in range(first, last):
        p = network + slots[e + shift] * width
        for k in range(width):
            g[p + k] += values[e] * slopes[dense + k]
