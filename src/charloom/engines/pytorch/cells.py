"""What differs between the cells in PyTorch: the call that runs layers, and one traced step.

A new cell is one more entry of CELLS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]

Layers = Callable[[Tensor, Tensor, Tensor, list[Tensor], bool], tuple[Tensor, Tensor, Tensor]]
TracedStep = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class TorchCell:
    """One kind of cell."""

    module: Callable[..., torch.nn.RNNBase]
    """PyTorch's class of such layers, which knows the order of weights in cuDNN's memory."""
    layers: Layers
    """Some layers, all T steps at once: x (T, B, I), hidden and cell (L, B, H), four weights
    for each layer (input, recurrent, and PyTorch's two biases), whether gradients are wanted.
    Gives the outputs (T, B, H) of the last layer, and hidden and cell after the last step."""
    step: TracedStep
    """One step of one layer: the part of the gates that comes from x (B, G), with its bias, hidden
    and cell (B, H), the recurrent weights (G, H), and all of the layer's bias. Gives the quantities
    of `Cell.traced`, (B, H) each."""


def _lstm_layers(
    x: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor], training: bool
) -> tuple[Tensor, Tensor, Tensor]:
    state = (hidden, cell)
    return torch.lstm(x, state, weights, True, len(hidden), 0.0, training, False, False)


def _gru_layers(
    x: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor], training: bool
) -> tuple[Tensor, Tensor, Tensor]:
    out, after = torch.gru(x, hidden, weights, True, len(hidden), 0.0, training, False, False)
    return out, after, cell


def _rnn_layers(
    x: Tensor, hidden: Tensor, cell: Tensor, weights: list[Tensor], training: bool
) -> tuple[Tensor, Tensor, Tensor]:
    out, after = torch.rnn_tanh(x, hidden, weights, True, len(hidden), 0.0, training, False, False)
    return out, after, cell


def _lstm_step(
    from_x: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor, bias: Tensor
) -> dict[str, Tensor]:
    i, f, g, o = (from_x + h @ weight_hh.T).chunk(4, dim=-1)
    i_t, f_t, g_t, o_t = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    C_t = f_t * c + i_t * g_t
    return {"i_t": i_t, "f_t": f_t, "g_t": g_t, "o_t": o_t, "C_t": C_t, "h_t": o_t * C_t.tanh()}


def _gru_step(
    from_x: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor, bias: Tensor
) -> dict[str, Tensor]:
    x_r, x_z, x_n = from_x.chunk(3, dim=-1)
    h_r, h_z, h_n = (h @ weight_hh.T).chunk(3, dim=-1)
    r_t, z_t = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n_t = (x_n + r_t * (h_n + bias[-h.shape[-1] :])).tanh()
    return {"r_t": r_t, "z_t": z_t, "n_t": n_t, "h_t": z_t * h + (1 - z_t) * n_t}


def _rnn_step(
    from_x: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor, bias: Tensor
) -> dict[str, Tensor]:
    return {"h_t": (from_x + h @ weight_hh.T).tanh()}


CELLS = {
    "lstm": TorchCell(module=torch.nn.LSTM, layers=_lstm_layers, step=_lstm_step),
    "gru": TorchCell(module=torch.nn.GRU, layers=_gru_layers, step=_gru_step),
    "rnn": TorchCell(module=torch.nn.RNN, layers=_rnn_layers, step=_rnn_step),
}
"""Every cell, by the name that ModelSettings.cell gives."""
