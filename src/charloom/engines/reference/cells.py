"""One layer, an LSTM or a plain RNN, forward and back, in NumPy: the definition.

Written to be read beside the blog, with its names; every other core has to agree with it.
It computes in the type of the weights: float32, float64, any float that NumPy has.

    f_t                 forget gate: 1 keeps and 0 removes what the cell held
    fC_t = f_t C_t-1    what is left of it
    i_t                 input gate: what of the new is let in
    g_t                 the candidate, all that might be let in
    gi_t = g_t i_t      what is let in
    C_t = fC_t + gi_t   the new cell: the article
    o_t                 output gate: what of the article is shown
    h_t = o_t tanh(C_t) the new hidden state: the headline

The four gates are computed side by side along G, in the order of `contract.GATES`; the
axes are those of `contract`. Both cells have the same face: an RNN hands its cell on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import Array


@dataclass(frozen=True, kw_only=True)
class LSTMTape:
    """All that happened in one LSTM layer; `C[t]` and `h[t]` stand before step t."""

    x: Array
    """(T, B, I), or (T, B) ids"""
    f: Array
    """(T, B, H), like i, g and o"""
    i: Array
    g: Array
    o: Array
    C: Array
    """(T + 1, B, H), like h"""
    h: Array

    @property
    def fC(self) -> Array:  # noqa: N802   the blog's name
        """(T, B, H) What each step kept of the cell before it."""
        return self.f * self.C[:-1]

    @property
    def gi(self) -> Array:
        """(T, B, H) What each step added to the cell."""
        return self.g * self.i


@dataclass(frozen=True, kw_only=True)
class RNNTape:
    """All that happened in one RNN layer; `h[t]` stands before step t."""

    x: Array
    """(T, B, I), or (T, B) ids"""
    h: Array
    """(T + 1, B, H)"""
    C: Array
    """(B, H), never touched"""


@dataclass(frozen=True, kw_only=True)
class LayerGradients:
    """The slope of the loss in everything that went into a layer, each in its shape."""

    x: Array
    """(T, B, I), but (T, B, 0) where x was ids, which have no slope"""
    hidden: Array
    cell: Array
    weight_ih: Array
    weight_hh: Array
    bias: Array


def lstm_forward(
    x: Array, *, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, Array, Array, LSTMTape]:
    """Read T steps: the outputs (T, B, H), the last hidden and cell (B, H), and the tape.

    `x` is (T, B, I), or (T, B) ids that stand for one-hot vectors. With one unit, weights
    of one and no bias, 0.1 read after the hidden state 0.2 and the cell 0.5:

    >>> one = np.ones((4, 1))
    >>> out, hidden, cell, _ = lstm_forward(
    ...     np.array([[[0.1]]]), hidden=np.array([[0.2]]), cell=np.array([[0.5]]),
    ...     weight_ih=one, weight_hh=one, bias=np.zeros(4))
    >>> gate, candidate = 1 / (1 + np.exp(-0.3)), np.tanh(0.3)
    >>> C_t = gate * 0.5 + candidate * gate
    >>> bool(np.isclose(cell[0, 0], C_t) and np.isclose(hidden[0, 0], gate * np.tanh(C_t)))
    True
    """
    from_x = _times_input(x, weight_ih) + bias  # every step at once: (T, B, G)
    T, B, G = from_x.shape
    H = G // 4
    f, i, g, o = (np.empty((T, B, H), from_x.dtype) for _ in range(4))
    C = np.empty((T + 1, B, H), from_x.dtype)
    h = np.empty_like(C)
    C[0], h[0] = cell, hidden
    for t in range(T):
        gates = from_x[t] + h[t] @ weight_hh.T
        i_t = sigmoid(gates[:, :H])
        f_t = sigmoid(gates[:, H : 2 * H])
        g_t = np.tanh(gates[:, 2 * H : 3 * H])
        o_t = sigmoid(gates[:, 3 * H :])

        fC_t = f_t * C[t]
        gi_t = g_t * i_t
        C_t = fC_t + gi_t
        h_t = o_t * np.tanh(C_t)

        f[t], i[t], g[t], o[t] = f_t, i_t, g_t, o_t
        C[t + 1], h[t + 1] = C_t, h_t
    return h[1:], h[T], C[T], LSTMTape(x=x, f=f, i=i, g=g, o=o, C=C, h=h)


def lstm_backward(
    d_out: Array, tape: LSTMTape, *, weight_ih: Array, weight_hh: Array
) -> LayerGradients:
    """Undo `lstm_forward` by the chain rule; `d_out` (T, B, H) is the slope in its outputs.

    Nothing comes from behind the last step: that is where the gradient is truncated.
    """
    d_gates = np.empty((*tape.f.shape[:2], weight_hh.shape[0]), d_out.dtype)
    d_h_next = np.zeros_like(tape.h[0])  # what step t + 1 asks of h_t, and of C_t
    d_C_next = np.zeros_like(tape.C[0])
    for t in reversed(range(len(d_out))):
        f_t, i_t, g_t, o_t = tape.f[t], tape.i[t], tape.g[t], tape.o[t]
        tanh_C_t = np.tanh(tape.C[t + 1])

        d_h_t = d_out[t] + d_h_next
        d_o_t = d_h_t * tanh_C_t
        d_C_t = d_C_next + d_h_t * o_t * (1 - tanh_C_t**2)
        d_f_t = d_C_t * tape.C[t]
        d_i_t = d_C_t * g_t
        d_g_t = d_C_t * i_t

        d_gates[t] = np.concatenate(
            [
                d_i_t * i_t * (1 - i_t),
                d_f_t * f_t * (1 - f_t),
                d_g_t * (1 - g_t**2),
                d_o_t * o_t * (1 - o_t),
            ],
            axis=-1,
        )
        d_h_next = d_gates[t] @ weight_hh
        d_C_next = d_C_t * f_t
    return _through_the_products(d_gates, tape, d_h_next, d_C_next, weight_ih)


def rnn_forward(
    x: Array, *, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, Array, Array, RNNTape]:
    """The blog's plain RNN, h_t = tanh(x W_ih^T + h_t-1 W_hh^T + b), as `lstm_forward`."""
    from_x = _times_input(x, weight_ih) + bias
    T = len(from_x)
    h = np.empty((T + 1, *hidden.shape), from_x.dtype)
    h[0] = hidden
    for t in range(T):
        h[t + 1] = np.tanh(from_x[t] + h[t] @ weight_hh.T)
    return h[1:], h[T], cell, RNNTape(x=x, h=h, C=cell)


def rnn_backward(
    d_out: Array, tape: RNNTape, *, weight_ih: Array, weight_hh: Array
) -> LayerGradients:
    """Undo `rnn_forward` by the chain rule, as `lstm_backward` does."""
    d_gates = np.empty_like(tape.h[1:])
    d_h_next = np.zeros_like(tape.h[0])
    for t in reversed(range(len(d_out))):
        d_gates[t] = (d_out[t] + d_h_next) * (1 - tape.h[t + 1] ** 2)
        d_h_next = d_gates[t] @ weight_hh
    return _through_the_products(d_gates, tape, d_h_next, np.zeros_like(tape.C), weight_ih)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), exact at both ends: no exponential that could overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def add_rows(ids: Array, rows: Array, count: int) -> Array:
    """(count, N) The rows (..., N) that share an id added up: the way back of `table[ids]`.

    >>> add_rows(np.array([2, 0, 2]), np.array([[1.0], [5.0], [10.0]]), 3).ravel()
    array([ 5.,  0., 11.])
    """
    total = np.zeros((count, rows.shape[-1]), rows.dtype)
    np.add.at(total, ids, rows)
    return total


def _times_input(x: Array, weight_ih: Array) -> Array:
    """(T, B, G) x W_ih^T, where ids pick the column that a one-hot vector would."""
    return weight_ih.T[x] if _are_ids(x) else x @ weight_ih.T


def _through_the_products(
    d_gates: Array,
    tape: LSTMTape | RNNTape,
    d_hidden: Array,
    d_cell: Array,
    weight_ih: Array,
) -> LayerGradients:
    """From the slopes before the sigmoids and tanhs to those of what was multiplied."""
    G = d_gates.shape[-1]
    flat, h = d_gates.reshape(-1, G), tape.h[:-1]
    if _are_ids(tape.x):
        d_x = np.empty((*tape.x.shape, 0), d_gates.dtype)
        d_weight_ih = add_rows(tape.x, d_gates, weight_ih.shape[1]).T
    else:
        d_x = d_gates @ weight_ih
        d_weight_ih = flat.T @ tape.x.reshape(len(flat), -1)
    return LayerGradients(
        x=d_x,
        hidden=d_hidden,
        cell=d_cell,
        weight_ih=d_weight_ih,
        weight_hh=flat.T @ h.reshape(len(flat), -1),
        bias=flat.sum(axis=0),
    )


def _are_ids(x: Array) -> bool:
    return np.issubdtype(x.dtype, np.integer)
