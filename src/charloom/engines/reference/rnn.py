"""One layer of the blog's plain RNN, forward and backward, in NumPy: the definition.

    h_t = tanh(x W_ih^T + h_t-1 W_hh^T + b)

It has the interface of lstm.py, and hands its cell on untouched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..weights import Array
from .products import LayerGradients, back_through_products, times_input


@dataclass(frozen=True, kw_only=True)
class Tape:
    """All that happened in one RNN layer; `h[t]` stands before step t."""

    x: Array
    """(T, B, I), or (T, B) ids"""
    h: Array
    """(T + 1, B, H)"""
    C: Array
    """(B, H), never touched"""

    @property
    def traced(self) -> dict[str, Array]:
        """(T, B, H) by name, as `cell.RNN.traced` has them."""
        return {"h_t": self.h[1:]}


def forward(
    x: Array, *, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, Array, Array, Tape]:
    """Read T steps, as `lstm.forward` does."""
    from_x = times_input(x, weight_ih) + bias
    T = len(from_x)
    h = np.empty((T + 1, *hidden.shape), from_x.dtype)
    h[0] = hidden
    for t in range(T):
        h[t + 1] = np.tanh(from_x[t] + h[t] @ weight_hh.T)
    return h[1:], h[T], cell, Tape(x=x, h=h, C=cell)


def backward(d_out: Array, tape: Tape, *, weight_ih: Array, weight_hh: Array) -> LayerGradients:
    """The chain rule through `forward`, as in lstm.py."""
    d_gates = np.empty_like(tape.h[1:])
    d_h_next = np.zeros_like(tape.h[0])
    for t in reversed(range(len(d_out))):
        d_gates[t] = (d_out[t] + d_h_next) * (1 - tape.h[t + 1] ** 2)
        d_h_next = d_gates[t] @ weight_hh
    return back_through_products(d_gates, tape, d_h_next, np.zeros_like(tape.C), weight_ih)
