"""One LSTM layer, forward and backward, in NumPy: the definition.

Written to be read beside the blog, with its names; every other engine has to agree with it.
It computes in the type of the weights: float32, float64, any float that NumPy has.

    f_t                 forget gate: 1 keeps and 0 removes what the cell held
    fC_t = f_t C_t-1    what is left of it
    i_t                 input gate: what of the new is let in
    g_t                 the candidate, all that might be let in
    gi_t = g_t i_t      what is let in
    C_t = fC_t + gi_t   the new cell: the article
    o_t                 output gate: what of the article is shown
    h_t = o_t tanh(C_t) the new hidden state: the headline

The four gates are computed side by side along G, in the order of `cell.LSTM.gates`; the
axes are those of base.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..weights import Array
from .products import LayerGradients, back_through_products, sigmoid, times_input


@dataclass(frozen=True, kw_only=True)
class Tape:
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
    def traced(self) -> dict[str, Array]:
        """(T, B, H) by name, as `cell.LSTM.traced` has them."""
        gates = {f"{gate}_t": getattr(self, gate) for gate in "ifgo"}
        return {**gates, "C_t": self.C[1:], "h_t": self.h[1:]}

    @property
    def fC(self) -> Array:  # noqa: N802   the blog's name
        """(T, B, H) What each step kept of the cell before it."""
        return self.f * self.C[:-1]

    @property
    def gi(self) -> Array:
        """(T, B, H) What each step added to the cell."""
        return self.g * self.i


def forward(
    x: Array, *, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, Array, Array, Tape]:
    """Read T steps: the outputs (T, B, H), the last hidden and cell (B, H), and the tape.

    `x` is (T, B, I), or (T, B) ids that stand for one-hot vectors. With one unit, weights
    of one and no bias, 0.1 read after the hidden state 0.2 and the cell 0.5:

    >>> one = np.ones((4, 1))
    >>> out, hidden, cell, _ = forward(
    ...     np.array([[[0.1]]]), hidden=np.array([[0.2]]), cell=np.array([[0.5]]),
    ...     weight_ih=one, weight_hh=one, bias=np.zeros(4))
    >>> gate, candidate = 1 / (1 + np.exp(-0.3)), np.tanh(0.3)
    >>> C_t = gate * 0.5 + candidate * gate
    >>> bool(np.isclose(cell[0, 0], C_t) and np.isclose(hidden[0, 0], gate * np.tanh(C_t)))
    True
    """
    from_x = times_input(x, weight_ih) + bias  # every step at once: (T, B, G)
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
    return h[1:], h[T], C[T], Tape(x=x, f=f, i=i, g=g, o=o, C=C, h=h)


def backward(d_out: Array, tape: Tape, *, weight_ih: Array, weight_hh: Array) -> LayerGradients:
    """Undo `forward` by the chain rule; `d_out` (T, B, H) is the gradient in its outputs.

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
    return back_through_products(d_gates, tape, d_h_next, d_C_next, weight_ih)
