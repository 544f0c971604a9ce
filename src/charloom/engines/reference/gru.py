"""One GRU layer, forward and backward, in NumPy: the definition.

A GRU has no article: what it hands on is the headline h_t itself, which it edits in place.

    r_t                       reset gate: how much of the last headline the candidate listens to
    n_t = tanh(x_n + r_t m_t) the candidate, all that might be written; m_t is what the
                              candidate's recurrent weights make of h_t-1, with their bias
    z_t                       update gate: 1 keeps the last headline, 0 takes the candidate
    h_t = z_t h_t-1 + (1 - z_t) n_t

So one gate decides at once what an LSTM's forget and input gates decide apart. The reset gate
stands behind the product with h_t-1, as in PyTorch and in Keras 3 (`reset_after=True`), not
before it as in the first GRU (Cho et al., 2014); therefore the bias in m_t is one of its own.

The gates are computed side by side along G, in the order of `cell.GRU.gates`. It has the
interface of lstm.py, and hands its cell on untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..weights import Array
from .products import LayerGradients, back_through_products, sigmoid, times_input


@dataclass(frozen=True, kw_only=True)
class Tape:
    """All that happened in one GRU layer; `h[t]` stands before step t."""

    x: Array
    """(T, B, I), or (T, B) ids"""
    r: Array
    """(T, B, H), like m, n and z"""
    m: Array
    n: Array
    z: Array
    h: Array
    """(T + 1, B, H)"""
    C: Array
    """(B, H), never touched"""

    @property
    def traced(self) -> dict[str, Array]:
        """(T, B, H) by name, as `cell.GRU.traced` has them."""
        return {"r_t": self.r, "z_t": self.z, "n_t": self.n, "h_t": self.h[1:]}


def forward(
    x: Array, *, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, bias: Array
) -> tuple[Array, Array, Array, Tape]:
    """Read T steps, as `lstm.forward` does; the bias (4H,) ends with that of m_t.

    With one unit and weights of one, 0.1 read after the hidden state 0.2:

    >>> one, nothing = np.ones((3, 1)), np.zeros((1, 1))
    >>> out, *_ = forward(
    ...     np.array([[[0.1]]]), hidden=np.array([[0.2]]), cell=nothing,
    ...     weight_ih=one, weight_hh=one, bias=np.array([0, 0, 0, 0.5]))
    >>> gate = 1 / (1 + np.exp(-0.3))
    >>> n_t = np.tanh(0.1 + gate * (0.2 + 0.5))
    >>> bool(np.isclose(out[0, 0, 0], (1 - gate) * n_t + gate * 0.2))
    True
    """
    H = hidden.shape[-1]
    from_x = times_input(x, weight_ih) + bias[: 3 * H]  # every step at once: (T, B, G)
    r, m, n, z = (np.empty((*from_x.shape[:2], H), from_x.dtype) for _ in range(4))
    h = np.empty((len(from_x) + 1, *hidden.shape), from_x.dtype)
    h[0] = hidden
    for t in range(len(from_x)):
        from_h = h[t] @ weight_hh.T
        r_t = sigmoid(from_x[t, :, :H] + from_h[:, :H])
        z_t = sigmoid(from_x[t, :, H : 2 * H] + from_h[:, H : 2 * H])
        m_t = from_h[:, 2 * H :] + bias[3 * H :]
        n_t = np.tanh(from_x[t, :, 2 * H :] + r_t * m_t)

        h[t + 1] = z_t * h[t] + (1 - z_t) * n_t
        r[t], m[t], n[t], z[t] = r_t, m_t, n_t, z_t
    return h[1:], h[-1], cell, Tape(x=x, r=r, m=m, n=n, z=z, h=h, C=cell)


def backward(d_out: Array, tape: Tape, *, weight_ih: Array, weight_hh: Array) -> LayerGradients:
    """The chain rule through `forward`, as in lstm.py."""
    d_gates = np.empty((*d_out.shape[:2], weight_hh.shape[0]), d_out.dtype)
    d_recurrent = np.empty_like(d_gates)  # the same, but for the candidate
    d_h_next = np.zeros_like(tape.h[0])
    for t in reversed(range(len(d_out))):
        r_t, m_t, n_t, z_t = tape.r[t], tape.m[t], tape.n[t], tape.z[t]

        d_h_t = d_out[t] + d_h_next
        d_z_t = d_h_t * (tape.h[t] - n_t)
        d_n_t = d_h_t * (1 - z_t)
        d_sum_t = d_n_t * (1 - n_t**2)
        d_r_t = d_sum_t * m_t
        d_m_t = d_sum_t * r_t

        both = [d_r_t * r_t * (1 - r_t), d_z_t * z_t * (1 - z_t)]
        d_gates[t] = np.concatenate([*both, d_sum_t], axis=-1)
        d_recurrent[t] = np.concatenate([*both, d_m_t], axis=-1)
        d_h_next = d_recurrent[t] @ weight_hh + d_h_t * z_t
    found = back_through_products(
        d_gates, tape, d_h_next, np.zeros_like(tape.C), weight_ih, d_recurrent
    )
    H = tape.h.shape[-1]
    d_bias_m = d_recurrent[..., 2 * H :].reshape(-1, H).sum(axis=0)
    return replace(found, bias=np.concatenate([found.bias, d_bias_m]))
