"""From ids through the layers to logits in PyTorch, which differentiates it.

Weights are float32 and keep our names and shapes. The layers compute in `dtype`: in 16 bits
a copy of their weights is rounded, products are summed in float32 by the device, and the
gradient comes back in float32 because the rounding is part of what is differentiated. The
embedding, the head and the loss are float32 throughout. Autocast is not used: for recurrent
layers it may choose float16 whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from ...settings import ModelSettings
from .. import cell as cells
from .cells import CELLS


class Network:
    """The function that a network computes; the weights are given with each call."""

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        multiple: int | None = None,
    ) -> None:
        """Sizes are padded to a `multiple`, by default the 8 that tensor cores want.

        What is added is zero, in the states and in the weights, and stays so: a unit that
        nothing reads from has no gradient.
        """
        if multiple is None:
            multiple = 8 if device.type == "cuda" else 1
        self.settings, self.device, self.dtype = settings, device, dtype
        self._orders: dict[int, list[int]] = {}
        self._cell = CELLS[settings.cell]
        self._hidden = _up(settings.hidden_size, multiple)
        self._inputs = _up(settings.embedding_size or vocabulary_size, multiple)
        if not settings.embedding_size:  # row n is the one-hot vector of id n
            self._one_hot = torch.eye(vocabulary_size, self._inputs, device=device, dtype=dtype)

    def logits(
        self,
        weights: Mapping[str, Tensor],
        ids: Tensor,
        hidden: Tensor,
        cell: Tensor,
        kept: Sequence[Tensor] = (),
        *,
        training: bool = False,
        calls: list[list[Tensor]] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(T, B, V) float32 logits, and hidden and cell (L, B, H) float32 after the last step.

        `kept` has for each layer what its outputs are multiplied with on the way up: 0 where
        they are dropped, else 1 / (1 - dropout); empty without dropout. `calls` are those of
        `self.calls`, where they are at hand.
        """
        H = self.settings.hidden_size
        x = self._first(weights, ids)
        hidden, cell = (_pad(part.to(self.dtype), 0, self._hidden - H) for part in (hidden, cell))
        calls = calls or self.calls(weights, apart=bool(kept))
        h, c = list(hidden.tensor_split(len(calls))), list(cell.tensor_split(len(calls)))
        for k, call in enumerate(calls):
            x, h[k], c[k] = self._cell.layers(x, h[k], c[k], call, training)
            if kept:
                x = x * _pad(kept[k], 0, self._hidden - H)
        hidden, cell = torch.cat(h), torch.cat(c)
        logits = functional.linear(x[..., :H].float(), weights["head.weight"], weights["head.bias"])
        return logits, hidden[..., :H].float(), cell[..., :H].float()

    def calls(self, weights: Mapping[str, Tensor], *, apart: bool = False) -> list[list[Tensor]]:
        """The weights of each call of PyTorch's layers: one for all, or `apart` for each.

        One call is faster (3.0 ms a step against 4.6 on an H200 with 512 units), but our
        dropout has to stand between the layers. Slower were a stream for each layer, taking
        turns at pieces of the time, and cuDNN's persistent float16 kernel, which is for one
        layer a call and for multiples of 128.

        On CUDA those of a call lie in one piece of memory, in cuDNN's order, or PyTorch would
        put them together at every call. All of it is differentiated.
        """
        layers = [self._layer_weights(weights, k) for k in range(self.settings.num_layers)]
        calls = layers if apart else [[w for layer in layers for w in layer]]
        return [self._in_one_piece(call) for call in calls] if self.device.type == "cuda" else calls

    def _in_one_piece(self, given: list[Tensor]) -> list[Tensor]:
        order = self._order(len(given) // 4)
        flat = torch.cat([given[n].flatten() for n in order])
        parts = flat.split([given[n].numel() for n in order])
        placed = dict(zip(order, parts, strict=True))
        return [placed[n].view_as(given[n]) for n in range(len(given))]

    def _order(self, layers: int) -> list[int]:
        """Which of PyTorch's weights of so many layers comes first in cuDNN's memory, and so on."""
        if layers not in self._orders:
            module = self._cell.module(self._inputs, self._hidden, layers, device="meta")
            module.to_empty(device=self.device).flatten_parameters()
            at = [weight.data_ptr() for weight in module.parameters()]
            self._orders[layers] = sorted(range(len(at)), key=at.__getitem__)
        return self._orders[layers]

    def _first(self, weights: Mapping[str, Tensor], ids: Tensor) -> Tensor:
        """(T, B, I) what the first layer reads: a gather of rows in either case."""
        if not self.settings.embedding_size:
            return functional.embedding(ids, self._one_hot)
        x = functional.embedding(ids, weights["embedding.weight"]).to(self.dtype)
        return _pad(x, 0, self._inputs - x.shape[-1])

    def _layer_weights(self, weights: Mapping[str, Tensor], layer: int) -> list[Tensor]:
        """The four of a layer as PyTorch wants them.

        Of its second bias only what a gate weighs is learned; the rest is zero.
        """
        name, H = self.settings.cell, self.settings.hidden_size
        inputs = self._hidden if layer else self._inputs
        found = []
        for kind, width in (("weight_ih", inputs), ("weight_hh", self._hidden), ("bias", 0)):
            w = weights[f"{name}.{kind}_l{layer}"].to(self.dtype)
            w = w.view(-1, H, w[0].numel())  # rows are padded gate by gate
            w = _pad(w, self._hidden - H, width and width - w.shape[2])
            found.append(w.flatten(0, 1) if width else w[..., 0])
        *matrices, bias = found
        gates = cells.CELLS[name].gates
        apart = bias[len(gates) :]
        rest = torch.zeros_like(bias[: len(gates) - len(apart)])
        return [*matrices, bias[: len(gates)].flatten(), torch.cat([rest, apart]).flatten()]

    def trace(
        self, weights: Mapping[str, Tensor], ids: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
        """(L, T, B, H) by name as in `Cell.traced`, logits (T, B, V), hidden and cell after.

        It takes one step at a time, with weights and inputs rounded as in `logits`, but
        float32 states.
        """
        x = self._first(weights, ids)[
            ..., : self.settings.embedding_size or len(weights["head.bias"])
        ]
        name, layers, afters = self.settings.cell, [], []
        for layer in range(self.settings.num_layers):
            w_ih, w_hh, bias = (
                weights[f"{name}.{kind}_l{layer}"].to(self.dtype).float()
                for kind in ("weight_ih", "weight_hh", "bias")
            )
            from_x = x.float() @ w_ih.T + bias[: len(w_ih)]
            h, c, steps = hidden[layer], cell[layer], []
            for t in range(len(ids)):
                steps.append(self._cell.step(from_x[t], h, c, w_hh, bias))
                h, c = steps[-1]["h_t"], steps[-1].get("C_t", c)
            layers.append({q: torch.stack([step[q] for step in steps]) for q in steps[0]})
            afters.append((h, c))
            x = layers[-1]["h_t"].to(self.dtype)
        logits = functional.linear(x.float(), weights["head.weight"], weights["head.bias"])
        quantities = {q: torch.stack([layer[q] for layer in layers]) for q in layers[0]}
        after_hidden, after_cell = (torch.stack(parts) for parts in zip(*afters, strict=True))
        return quantities, logits, after_hidden, after_cell


def _pad(x: Tensor, rows: int, columns: int) -> Tensor:
    """More rows and columns of zeros, the last two axes; `x` itself where there are none."""
    return functional.pad(x, (0, columns, 0, rows)) if rows or columns else x


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
