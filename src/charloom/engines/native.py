"""The native engine: the C++ kernels behind the interface of every engine.

Which kernels run is decided when an engine is opened: the fastest that the processor has,
or the ones that the environment variable CHARLOOM_KERNELS names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import SettingsError
from ..settings import ModelSettings, SamplingSettings
from . import _native  # pyright: ignore[reportAttributeAccessIssue]
from .base import Activations, Engine, OptimizerState, State, Step, StepSettings, Surprisal
from .cell import CELLS
from .int8 import rounded
from .restriction import Restriction
from .weights import Array, Weights, check_weights, weight_shapes

_WEIGHT, _MEAN, _MEAN_SQUARE = range(3)  # Kind in network.h
MULTIPLY_BFLOAT16 = ("amx", "avx512_bf16")
"""Kernels with instructions for it."""

_PRECISIONS = ("float32", "bfloat16", "int8")


def available_kernels() -> list[str]:
    """Instruction sets that this processor can run, the fastest first.

    >>> available_kernels()[-1]
    'baseline'
    """
    return _native.available_kernels()


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class NativeEngine(Engine):
    """An Engine on the C++ kernels, in float32, or with products in bfloat16 or int8.

    Weights, sums, states and Adam's memory are float32 in either precision; "auto" is
    bfloat16 where the processor multiplies it (kernels avx512_bf16); elsewhere bfloat16 is
    emulated, for comparisons, and slower than float32. With int8 the weights are
    `rounded` and everything is float32, but text is written with products of bytes where the
    processor has them (the same kernels); nothing can be trained. Results do not depend on the
    number of threads; 0 threads means one for each usable core.

    >>> from charloom.engines.weights import initial_weights
    >>> settings = ModelSettings(hidden_size=8, num_layers=1)
    >>> engine = NativeEngine(settings, 5, initial_weights(settings, 5, seed=0))
    >>> logits, state = engine.logits(np.array([[0], [3]], np.int32), engine.zero_state(1))
    >>> logits.shape, state.hidden.shape
    ((2, 1, 5), (1, 1, 8))
    """

    def __init__(
        self,
        settings: ModelSettings,
        vocabulary_size: int,
        weights: Weights,
        *,
        precision: str = "auto",
        threads: int = 0,
        kernels: str | None = None,
    ) -> None:
        available = available_kernels()
        name = kernels or os.environ.get("CHARLOOM_KERNELS") or available[0]
        if name not in available:
            raise SettingsError(
                f"kernels {name!r} were asked for (CHARLOOM_KERNELS); this processor has "
                f"{', '.join(available)}"
            )
        if precision == "auto":
            precision = "bfloat16" if name in MULTIPLY_BFLOAT16 else "float32"
        if precision not in _PRECISIONS:
            raise SettingsError(
                f"precision: {precision} was given, but the native engine has no {precision}; it "
                "must be auto, float32 or bfloat16, and for a trained model may be int8"
            )
        self.precision, self.kernels = precision, f"native {name}"
        self.settings, self.vocabulary_size = settings, vocabulary_size
        self._shapes = weight_shapes(settings, vocabulary_size)
        self._network: Any = _native.Network(
            kernels=name,
            precision=precision,
            threads=threads or usable_cores(),
            cell=settings.cell,
            vocabulary=vocabulary_size,
            embedding=settings.embedding_size,
            hidden=settings.hidden_size,
            layers=settings.num_layers,
        )
        self._steps = 0
        self.load(weights)

    def weights(self) -> Weights:
        """A copy of the weights."""
        return self._read(_WEIGHT)

    def optimizer_state(self) -> OptimizerState:
        """A copy of Adam's memory."""
        return OptimizerState(
            steps=self._steps, mean=self._read(_MEAN), mean_square=self._read(_MEAN_SQUARE)
        )

    def load(self, weights: Weights, optimizer: OptimizerState | None = None) -> None:
        """Put weights, and Adam's memory (zero when None), in place.

        ModelFileError where a weight is missing or has another shape.
        """
        nothing = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        check_weights(weights, self.settings, self.vocabulary_size)
        if self.precision == "int8":
            weights = rounded(weights)
        self._write(_WEIGHT, weights)
        self._write(_MEAN, optimizer.mean if optimizer else nothing)
        self._write(_MEAN_SQUARE, optimizer.mean_square if optimizer else nothing)
        self._steps = optimizer.steps if optimizer else 0

    def _read(self, kind: int) -> Weights:
        copies = {name: np.empty(shape, np.float32) for name, shape in self._shapes.items()}
        for tensor, copy in enumerate(copies.values()):
            self._network.read(tensor, kind, copy)
        return copies

    def _write(self, kind: int, values: Weights) -> None:
        for tensor, name in enumerate(self._shapes):
            self._network.write(tensor, kind, np.ascontiguousarray(values[name], np.float32))

    def train_step(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> Step:
        """Forward, backward, clip, Adam; nothing is updated if the result is not finite."""
        return self._train_step(inputs, targets, state, settings, None)

    def train_step_with_logits(
        self, inputs: Array, targets: Array, state: State, settings: StepSettings
    ) -> tuple[Step, Array]:
        """The same, and the logits (T, B, V) that it had before the update.

        Every target counts, and nothing is dropped.
        """
        logits = np.empty((*inputs.shape, self.vocabulary_size), np.float32)
        return self._train_step(inputs, targets, state, settings, logits), logits

    def _train_step(
        self,
        inputs: Array,
        targets: Array,
        state: State,
        settings: StepSettings,
        logits: Array | None,
    ) -> Step:
        if self.precision == "int8":
            raise SettingsError(
                "precision: int8 was given; training needs float32 or bfloat16, and the model "
                "that comes of it can be opened with int8"
            )
        after = state.numpy()
        nats, characters, norm, updated = self._network.train_step(
            _ids(inputs),
            _ids(targets),
            after.hidden,
            after.cell,
            settings.learning_rate,
            settings.beta1,
            settings.beta2,
            settings.epsilon,
            settings.clip_norm,
            settings.dropout,
            settings.dropout_key,
            self._steps + 1,
            logits,
        )
        self._steps += updated
        return Step(nats=nats, characters=characters, gradient_norm=norm, state=after)

    def logits(self, inputs: Array, state: State) -> tuple[Array, State]:
        """(T, B, V) float32 logits of the next character, and the state after."""
        after = state.numpy()
        logits = np.empty((*inputs.shape, self.vocabulary_size), np.float32)
        self._network.logits(_ids(inputs), after.hidden, after.cell, logits)
        return logits, after

    def surprisal(self, inputs: Array, targets: Array, state: State) -> Surprisal:
        """-ln p and the rank of each target."""
        after = state.numpy()
        nats = np.empty(inputs.shape, np.float32)
        ranks = np.empty(inputs.shape, np.int32)
        self._network.surprise(_ids(inputs), _ids(targets), after.hidden, after.cell, nats, ranks)
        return Surprisal(nats=nats, ranks=ranks, state=after)

    def trace(self, inputs: Array, state: State) -> Activations:
        """The gates, cells and hidden states of a forward pass, as the kernels had them."""
        after = state.numpy()
        names = CELLS[self.settings.cell].traced
        shape = (self.settings.num_layers, *inputs.shape, self.settings.hidden_size)
        quantities = np.empty((len(names), *shape), np.float32)
        logits = np.empty((*inputs.shape, self.vocabulary_size), np.float32)
        self._network.trace(_ids(inputs), after.hidden, after.cell, quantities, logits)
        by_name = dict(zip(names, quantities, strict=True))
        return Activations(quantities=by_name, logits=logits, state=after)

    def generate(
        self,
        last: Array,
        state: State,
        length: int,
        sampling: SamplingSettings | Sequence[SamplingSettings],
        seeds: Array,
        start: int | Array,
        forbidden: tuple[int, ...] = (),
        restriction: Restriction | None = None,
    ) -> tuple[Array, State]:
        """(length, B) ids drawn inside C++, and the state before the last is read."""
        after = state.numpy()
        B = len(last)
        ids = np.empty((length, B), np.int32)
        each = [sampling] if isinstance(sampling, SamplingSettings) else sampling
        self._network.generate(
            _ids(last),
            after.hidden,
            after.cell,
            np.full(B, [one.temperature for one in each], np.float64),
            np.full(B, [one.top_k for one in each], np.int32),
            np.full(B, [one.top_p for one in each], np.float64),
            np.ascontiguousarray(seeds, np.uint64),
            np.full(B, start, np.int64),
            list(forbidden),
            ids,
            *_tables(restriction),
        )
        return ids, after


def _tables(restriction: Restriction | None) -> tuple[Any, ...]:
    """What C++ takes of a restriction: each table once, and which of them each stream has."""
    if restriction is None:
        return ()
    tables = {id(table): table for table in restriction.tables if table is not None}
    numbers = {key: number for number, key in enumerate(tables)}
    return (
        [table.following for table in tables.values()],
        [table.distance for table in tables.values()],
        [table.classes for table in tables.values()],
        np.array([numbers.get(id(table), -1) for table in restriction.tables], np.int32),
        restriction.left,
        restriction.states,
    )


def _ids(ids: Array) -> Array:
    return np.ascontiguousarray(ids, np.int32)
