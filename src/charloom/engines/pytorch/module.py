"""A network as a torch.nn.Module: embedding or one-hot, recurrent layers, a linear head.

Its parameters have the names that the tensors of a model file have (docs/file-format.md), so
a state dict of it fits into a file, and a file's tensors into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]

from ...errors import SettingsError, counted
from ...settings import ModelSettings
from .. import cell as cells
from ..weights import Weights, folded_bias, torch_biases
from .cells import CELLS


class CharacterModel(nn.Module):
    """Ids (T, B) to logits (T, B, V) of the next character, and the state after the last."""

    def __init__(self, settings: ModelSettings, vocabulary_size: int) -> None:
        super().__init__()
        embedding_size = settings.embedding_size
        if embedding_size:
            self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        layers = CELLS[settings.cell].module(
            embedding_size or vocabulary_size, settings.hidden_size, settings.num_layers
        )
        self.add_module(settings.cell, layers)
        self.head = nn.Linear(settings.hidden_size, vocabulary_size)
        self.cell, self.one_hot = settings.cell, not embedding_size

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """`state` is what a call before gave, as of PyTorch's layers; without one, zeros."""
        if self.one_hot:
            x = nn.functional.one_hot(ids, self.head.out_features).to(self.head.weight.dtype)
        else:
            x = self.embedding(ids)
        hidden, state = getattr(self, self.cell)(x, state)
        return self.head(hidden), state


def module_of(settings: ModelSettings, vocabulary_size: int, weights: Weights) -> CharacterModel:
    """The network with copies of these weights, for evaluation until `.train()` is called."""
    tensors: dict[str, np.ndarray] = {}
    for name, values in weights.items():
        if ".bias_l" in name:
            first, second = torch_biases(settings, values)
            tensors[name.replace("bias", "bias_ih")] = first
            tensors[name.replace("bias", "bias_hh")] = second
        else:
            tensors[name] = values
    module = CharacterModel(settings, vocabulary_size)
    module.load_state_dict({name: torch.tensor(values) for name, values in tensors.items()})
    return module.eval()


def network_of(module: nn.Module) -> tuple[ModelSettings, Weights]:
    """The settings and the weights of a module with the same parts, under any names.

    It has one nn.LSTM, nn.GRU or nn.RNN, one nn.Linear (the head), and one nn.Embedding or none
    (then its input is one-hot); dropout does not matter. SettingsError names any other part.
    """
    parts = _parts(module)
    layers, head, embedding = parts["layers"], parts["head"], parts.get("embedding")
    names = {kind.module: name for name, kind in CELLS.items()}
    settings = ModelSettings(
        cell=names[type(layers)],  # pyright: ignore[reportArgumentType]
        hidden_size=layers.hidden_size,
        num_layers=layers.num_layers,
        embedding_size=embedding.embedding_dim if embedding else 0,
    )
    size = head.out_features
    for part, width, expected in (
        ("the recurrent layers read", layers.input_size, settings.embedding_size or size),
        ("the nn.Linear reads", head.in_features, settings.hidden_size),
        ("the nn.Embedding knows", embedding.num_embeddings if embedding else size, size),
    ):
        if width != expected:
            raise SettingsError(
                f"module: {part} {counted(width, 'number')}; expected: {expected:,}"
            )
    weights: Weights = {"embedding.weight": _array(embedding.weight)} if embedding else {}
    rows = cells.CELLS[settings.cell].gate_rows(settings.hidden_size)
    for k in range(settings.num_layers):
        biases = [
            _array(getattr(layers, f"bias_{kind}_l{k}")) if layers.bias else np.zeros(rows, "f4")
            for kind in ("ih", "hh")
        ]
        for kind in ("ih", "hh"):
            name = f"weight_{kind}_l{k}"
            weights[f"{settings.cell}.{name}"] = _array(getattr(layers, name))
        weights[f"{settings.cell}.bias_l{k}"] = folded_bias(settings, *biases)
    weights["head.weight"] = _array(head.weight)
    weights["head.bias"] = np.zeros(size, "f4") if head.bias is None else _array(head.bias)
    return settings, weights


def _parts(module: nn.Module) -> dict[str, Any]:
    """The recurrent layers, the head and the embedding of a module."""
    kinds = {
        "layers": tuple(kind.module for kind in CELLS.values()),
        "head": (nn.Linear,),
        "embedding": (nn.Embedding,),
    }
    found: dict[str, Any] = {}
    for name, part in module.named_modules():
        role = next((role for role, types in kinds.items() if type(part) in types), None)
        if role is None:
            inner = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
            harmless = part is module or isinstance(part, (nn.Dropout, *_LISTS))
            if inner or not (harmless or [*part.children()]):
                _refuse(f"{name or 'itself'} is an nn.{type(part).__name__}")
        elif role in found:
            _refuse(f"{name} is a second {_KINDS[role]}")
        else:
            found[role] = part
            wrong = _difference(part)
            if wrong:
                _refuse(f"{name} has {wrong}")
    for role in ("layers", "head"):
        if role not in found:
            raise SettingsError(f"module: it has no {_KINDS[role]}, as a charloom model has")
    return found


_LISTS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
_KINDS = {
    "layers": "nn.LSTM, nn.GRU or nn.RNN",
    "head": "nn.Linear",
    "embedding": "nn.Embedding",
}


def _difference(part: nn.Module) -> str:
    """What a part computes that charloom does not; empty if there is nothing."""
    options = {"bidirectional": False, "proj_size": 0, "nonlinearity": "tanh", "max_norm": None}
    for name, expected in options.items():
        if getattr(part, name, expected) != expected:
            return f"{name}={getattr(part, name)}"
    return ""


def _refuse(why: str) -> None:
    raise SettingsError(f"module: {why}, which a charloom model has no part for")


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).numpy().copy()
