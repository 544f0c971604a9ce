"""What differs between the kinds of cell, as data: gates, quantities, first biases.

Each engine has its own file with a cell's forward and backward pass; all else asks the
record here, so that no code outside an engine compares a cell's name.

    lstm   [i f g o] = x W_ih^T + h W_hh^T + b      i, f, o through a sigmoid, g through tanh
           C_t = f_t * C_t-1 + i_t * g_t            the blog: C_t = fC_t + gi_t
           h_t = o_t * tanh(C_t)
    gru    [r z] = x W_ih^T + h W_hh^T + b          both through a sigmoid
           n_t = tanh(x W_in^T + b_in + r_t * (h W_hn^T + b_hn))
           h_t = (1 - z_t) * n_t + z_t * h_t-1      PyTorch's form, and that of Keras 3
    rnn    h_t = tanh(x W_ih^T + h W_hh^T + b)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Quantities = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of cell."""

    name: str
    """As in ModelSettings.cell, and the prefix of its weights' names."""
    gates: tuple[str, ...]
    """The order of the gates along G = len(gates) * H, in weights, files and traces."""
    apart: tuple[str, ...] = ()
    """Gates whose recurrent products have a bias of their own, after those of all gates: where a
    gate weighs these products, it weighs that bias, too, which so cannot be added to the other."""
    traced: tuple[str, ...]
    """The quantities that an engine's trace has, in the order of the native core's array."""
    quantities: tuple[str, ...]
    """All quantities that are shown, in the order in which they come about."""
    products: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Quantities that are the product of two others; `C_before` is C_t-1."""
    fractions: tuple[str, ...] = ()
    """Its gates' values, those between 0 and 1, in the order of the story."""
    first_bias: Mapping[str, float] = field(default_factory=dict)
    """Gates whose bias does not start at 0 in Keras's first values."""
    has_scaled_values: bool = False
    """Whether scaled first values were measured with it; otherwise it always starts as Keras."""

    @property
    def has_cell_state(self) -> bool:
        """Whether it carries a cell state (the article) beside the hidden state."""
        return "C_t" in self.traced

    @property
    def carried(self) -> str:
        """The quantity that is handed on, and that each step edits.

        >>> CELLS["lstm"].carried, CELLS["gru"].carried
        ('C_t', 'h_t')
        """
        return "C_t" if self.has_cell_state else "h_t"

    def gate_rows(self, hidden_size: int) -> int:
        """G: rows of its weight matrices.

        >>> CELLS["lstm"].gate_rows(75), CELLS["rnn"].gate_rows(75)
        (300, 75)
        """
        return len(self.gates) * hidden_size

    def bias_rows(self, hidden_size: int) -> int:
        """Numbers in a layer's bias.

        >>> CELLS["lstm"].bias_rows(75), CELLS["gru"].bias_rows(75)
        (300, 300)
        """
        return (len(self.gates) + len(self.apart)) * hidden_size

    def recurrent_bias(self, hidden_size: int) -> NDArray[np.intp]:
        """(G,) for each row of the recurrent weights, which number of the bias is added to it.

        >>> CELLS["lstm"].recurrent_bias(1), CELLS["gru"].recurrent_bias(1)
        (array([0, 1, 2, 3]), array([0, 1, 3]))
        """
        order = (*self.gates, *self.apart)
        last = [len(order) - 1 - order[::-1].index(gate) for gate in self.gates]
        return (np.array(last)[:, None] * hidden_size + np.arange(hidden_size)).ravel()

    def complete(self, traced: Quantities) -> dict[str, NDArray[Any]]:
        """All of `quantities`, from the traced ones and `C_before`; products in float32."""
        found = dict(traced)
        for name, (a, b) in self.products.items():
            found[name] = found[a] * found[b]
        return {name: found[name] for name in self.quantities}


LSTM = Cell(
    name="lstm",
    gates=("input", "forget", "candidate", "output"),
    traced=("i_t", "f_t", "g_t", "o_t", "C_t", "h_t"),
    quantities=("f_t", "fC_t", "i_t", "g_t", "gi_t", "C_t", "o_t", "h_t"),
    products={"fC_t": ("f_t", "C_before"), "gi_t": ("i_t", "g_t")},
    fractions=("f_t", "i_t", "o_t"),
    first_bias={"forget": 1.0},
    has_scaled_values=True,
)
GRU = Cell(
    name="gru",
    gates=("reset", "update", "candidate"),
    apart=("candidate",),
    traced=("r_t", "z_t", "n_t", "h_t"),
    quantities=("r_t", "n_t", "z_t", "h_t"),
    fractions=("r_t", "z_t"),
    has_scaled_values=True,
)
RNN = Cell(name="rnn", gates=("all",), traced=("h_t",), quantities=("h_t",))

CELLS = {cell.name: cell for cell in (LSTM, GRU, RNN)}
"""Every cell, by the name that ModelSettings.cell gives."""
