"""The PyTorch engine: the network on a GPU, or anywhere else where PyTorch runs.

What a step returns stays on the device. Its numbers are copied to the host when they are
read, and its state only for a checkpoint, so that the device never waits for the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from ...errors import SettingsError, counted
from ...settings import ComputingSettings, ModelSettings
from ...text.batches import NOT_COUNTED
from ..base import Activations, Engine, OptimizerState, State, Step, StepSettings, Surprisal
from ..weights import Array, Weights, check_weights, weight_shapes
from .capture import CapturedStep
from .network import Network
from .optimizer import Adam
from .random import dropout_mask
from .state import DeferredStep, Results, TorchState, on_device
from .transfer import Sender, Unpacked

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOSS_SCALE = 4096.0  # in float16, whose smallest number is 6e-8, gradients need to be larger
_GRAPHS = 4  # captured steps that are kept, each for one shape of batch
_WARM_UP = 2  # steps of a shape before it is captured


class TorchEngine(Engine):
    """An Engine in PyTorch, in float32 or with layers in bfloat16 or float16.

    On CUDA products of float32 are TF32 (a mantissa of 10 bits, sums in float32), PyTorch's
    "high" precision; NVIDIA_TF32_OVERRIDE=0 in the environment switches that off. Weights,
    Adam's memory, states between steps, the head and the loss are float32 in any precision.
    A step is captured as one CUDA graph, unless `graph` is False. SettingsError for a device
    that is not there.

    >>> from charloom.engines.weights import initial_weights
    >>> settings = ModelSettings(hidden_size=8, num_layers=1)
    >>> weights = initial_weights(settings, 5, seed=0)
    >>> engine = TorchEngine(settings, 5, weights, device="cpu")
    >>> logits, state = engine.logits(np.array([[0], [3]], np.int32), engine.zero_state(1))
    >>> logits.shape, tuple(state.hidden.shape)
    ((2, 1, 5), (1, 1, 8))
    """

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        weights: Weights,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        graph: bool = True,
    ) -> None:
        precision = "float32" if precision == "auto" else precision
        if precision not in _PRECISIONS:
            raise SettingsError(
                f"precision: {precision} was given, but the torch engine has no {precision}; "
                f"it must be auto, {', '.join(_PRECISIONS)}"
            )
        self.device = _device(device)
        if threads and self.device.type == "cpu":
            torch.set_num_threads(threads)
        self.settings, self.vocabulary_size = settings, vocabulary_size
        self.precision = precision
        name = torch.cuda.get_device_name(self.device) if self._cuda else self.device.type
        self.kernels = f"torch {torch.__version__} {name}"
        self._network = Network(settings, vocabulary_size, self.device, _PRECISIONS[precision])
        self._weights = {
            name: torch.zeros(shape, device=self.device, requires_grad=True)
            for name, shape in weight_shapes(settings, vocabulary_size).items()
        }
        self._adam = Adam(self._weights)
        self._sender, self._results = Sender(self.device), Results(self.device)
        self._graph = graph and self._cuda
        self._taken: dict[Any, int] = {}
        self._captured: dict[Any, CapturedStep] = {}
        self._calls: list[list[Tensor]] | None = None  # the layers' weights as they are read
        self.load(weights)

    @property
    def _cuda(self) -> bool:
        return self.device.type == "cuda"

    def weights(self) -> Weights:
        """A copy of the weights."""
        return _on_host(self._weights)

    def optimizer_state(self) -> OptimizerState:
        """A copy of Adam's memory."""
        adam = self._adam
        return OptimizerState(
            steps=int(adam.steps), mean=_on_host(adam.mean), mean_square=_on_host(adam.mean_square)
        )

    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put copies of weights, and of Adam's memory (zero when None), in place.

        ModelFileError where a weight is missing or has another shape.
        """
        check_weights(weights, self.settings, self.vocabulary_size)
        for name, weight in self._weights.items():
            weight.detach().copy_(torch.from_numpy(np.array(weights[name], np.float32)))
        self._adam.load(optimizer)
        self._calls = None

    def zero_state(self, streams: int) -> State:
        """The state before the first character, on the device."""
        shape = (self.settings.num_layers, streams, self.settings.hidden_size)
        hidden, cell = torch.zeros((2, *shape), device=self.device)
        return TorchState(hidden=hidden, cell=cell)

    def place_state(self, state: State) -> State:
        """A state of NumPy arrays on the device."""
        return on_device(state, self.device)

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """Forward, backward, clip, Adam; nothing is updated if the result is not finite.

        It returns before the device has done it.
        """
        return self._step_of(inputs, targets, state, settings)

    def _step_of(
        self,
        inputs: Array,
        targets: Array,
        state: State,
        settings: StepSettings,
        of: int | None = None,
    ) -> DeferredStep:
        """A step; the loss is the mean over `of` targets, by default those counted here."""
        self._calls = None
        before = on_device(state, self.device)
        shape = (inputs.shape[0], inputs.shape[1])
        key = (shape, replace(settings, learning_rate=0.0, dropout_key=0))
        captured = self._captured_step(key, shape, settings)
        into = captured and captured.packed
        packed, counted = self._sender.send(inputs, targets, settings, into, of)
        if captured:
            found = captured.replay(before.hidden, before.cell)
        else:
            found = self._step(packed, shape, before.hidden, before.cell, settings)
        result, hidden, cell = found
        if self._results.full:
            self._results = Results(self.device)
        outcome = self._results.add(result)
        return DeferredStep(outcome, counted, TorchState(hidden=hidden, cell=cell))

    def _captured_step(
        self, key: Any, shape: tuple[int, int], settings: StepSettings
    ) -> CapturedStep | None:
        """The graph of steps like this one, captured if it is time to."""
        if not self._graph:
            return None
        self._taken[key] = self._taken.get(key, 0) + 1
        if key not in self._captured and self._taken[key] > _WARM_UP:
            if len(self._captured) == _GRAPHS:
                return None
            L, H = self.settings.num_layers, self.settings.hidden_size
            self._captured[key] = CapturedStep(
                lambda packed, hidden, cell: self._step(packed, shape, hidden, cell, settings),
                Sender.size(shape),
                (L, shape[1], H),
                self.device,
            )
        return self._captured.get(key)

    def _step(
        self,
        packed: Tensor,
        shape: tuple[int, int],
        hidden: Tensor,
        cell: Tensor,
        settings: StepSettings,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Nats and gradient norm (2,), and hidden and cell after; all of it on the device.

        Of the settings it reads neither the learning rate nor the key: they are in `packed`.
        """
        given = Unpacked(packed, shape)
        half = self.precision == "float16"
        scale = torch.full((), _LOSS_SCALE if half else 1.0, device=self.device)
        nats, gradients, hidden, cell = self._backward(given, hidden, cell, scale, settings)
        with torch.no_grad():
            lengths = torch.stack([torch.linalg.vector_norm(g) for g in gradients])
            norm = torch.linalg.vector_norm(lengths) / scale
            good = nats.isfinite() & norm.isfinite() & (given.share > 0)
            if settings.clip_norm:
                scale = scale * (norm / settings.clip_norm).clamp(min=1)
            rate, skip = given.learning_rate, 1 - good.float()
            self._adam.step(self._weights, gradients, rate, scale, skip, settings)
            return torch.stack([nats, norm]), hidden, cell

    def _backward(
        self, given: Unpacked, hidden: Tensor, cell: Tensor, scale: Tensor, settings: StepSettings
    ) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """Nats, the gradient of the mean loss times `scale`, and hidden and cell after."""
        with torch.enable_grad(), self._tf32():
            logits, hidden, cell = self._network.logits(
                self._weights,
                given.inputs,
                hidden,
                cell,
                self._kept(given, settings),
                training=True,
            )
            nats = functional.cross_entropy(
                logits.flatten(0, 1),
                given.targets.flatten().long(),
                ignore_index=NOT_COUNTED,
                reduction="sum",
            )
            loss = nats * (given.share * scale)
            gradients = list(torch.autograd.grad(loss, list(self._weights.values())))
        return nats.detach(), gradients, hidden.detach(), cell.detach()

    def _kept(self, given: Unpacked, settings: StepSettings) -> list[Tensor]:
        """What the outputs of each layer are multiplied with: 0, or 1 / (1 - dropout)."""
        if not settings.dropout:
            return []
        shape = (*given.inputs.shape, self.settings.hidden_size)
        masks = (
            self._mask(given.dropout_key, layer, shape, settings.dropout)
            for layer in range(self.settings.num_layers)
        )
        return [mask.to(self._network.dtype) / (1 - settings.dropout) for mask in masks]

    def _mask(self, key: Tensor, layer: int, shape: tuple[int, ...], dropout: float) -> Tensor:
        return dropout_mask(key, layer, shape, dropout)

    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V) float32 logits of the next character, and the state after."""
        logits, after = self._read(inputs, state)
        return logits.cpu().numpy(), after

    @torch.no_grad()
    def surprisal(self, inputs: Array, targets: Array, state: State) -> Surprisal:
        """-ln p and the rank of each target."""
        logits, after = self._read(inputs, state)
        wanted = torch.from_numpy(targets.astype(np.int64)).to(self.device)
        counted, at = wanted != NOT_COUNTED, wanted.clamp(min=0)[..., None]
        nats = -logits.log_softmax(-1).gather(-1, at)[..., 0]
        ranks = 1 + (logits > logits.gather(-1, at)).sum(-1)
        both = (torch.stack([nats, ranks.float()]) * counted).cpu().numpy()
        return Surprisal(nats=both[0], ranks=both[1].astype(np.int32), state=after)

    @torch.no_grad()
    def trace(self, inputs: Array, state: State) -> Activations:
        """The gates, cells and hidden states of a forward pass, one step at a time."""
        before = on_device(state, self.device)
        with self._tf32():
            quantities, logits, hidden, cell = self._network.trace(
                self._weights, self._ids(inputs), before.hidden, before.cell
            )
        return Activations(
            quantities=_on_host(quantities),
            logits=logits.cpu().numpy(),
            state=TorchState(hidden=hidden, cell=cell),
        )

    @torch.no_grad()
    def _read(self, inputs: Array, state: State) -> tuple[Tensor, State]:
        before = on_device(state, self.device)
        with self._tf32():
            if self._calls is None:
                self._calls = self._network.calls(self._weights)
            logits, hidden, cell = self._network.logits(
                self._weights, self._ids(inputs), before.hidden, before.cell, calls=self._calls
            )
        return logits, TorchState(hidden=hidden, cell=cell)

    def _ids(self, ids: Array) -> Tensor:
        return torch.from_numpy(np.array(ids, np.int32)).to(self.device)

    @contextmanager
    def _tf32(self) -> Iterator[None]:
        """Products of float32 on tensor cores, as long as this lasts."""
        if not self._cuda:
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _on_host(tensors: dict[str, Tensor]) -> Weights:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def _device(name: str) -> torch.device:
    """The device of this name; auto is a GPU where there is one. SettingsError for others."""
    mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    device = torch.device(ComputingSettings(device=name).device)
    if device.type == "cuda":
        # The last bits of sums are then the same each time; read when CUDA is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise SettingsError(
                f"device: {name} was given, but PyTorch {torch.__version__} finds "
                f"{counted(count, 'CUDA device')}; use cpu, or install a PyTorch that is built for "
                "your GPU"
            )
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not mps:
        raise SettingsError("device: mps was given, but PyTorch finds none here; use cpu")
    return device
