"""A text that a model has read, of which any range of numbers can be had.

    text   b0        b1        b2        blocks of 256 characters
    state  s0        s1        s2        kept for every block: the state before it
    nats   ....................          kept for every character, with its alternatives
    gates            ######              of some blocks; the others are computed again

So a long text needs little memory, and what is seen of it is there at once.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import numpy as np

from ..engines.base import State
from ..engines.cell import CELLS
from ..engines.weights import Array
from ..errors import SettingsError
from ..model.model import Model
from ..model.tracing import judged, opening, read_steps, symbols
from ..text.reading import InMemory, read

BLOCK = 256
"""Characters that are traced in one call."""

ALTERNATIVES = 8
"""Likeliest next characters that are kept for every position."""

_MEMORY = 2**29  # bytes of all blocks that are kept: 10,000 characters of 3 x 512 units


class BlockCache:
    """Blocks of all texts that are open: those asked for last, as many as there is room for.

    The engine does one thing at a time: who computes holds the `lock`.
    """

    def __init__(self, lock: Lock | None = None) -> None:
        self.lock = lock or Lock()
        self._kept: OrderedDict[tuple[TracedText, int], dict[str, Array]] = OrderedDict()
        self._bytes = 0

    def get(self, traced: TracedText, number: int) -> dict[str, Array] | None:
        """A block, if it is kept."""
        if (traced, number) in self._kept:
            self._kept.move_to_end((traced, number))
        return self._kept.get((traced, number))

    def keep(self, traced: TracedText, number: int, block: dict[str, Array]) -> None:
        """Keep a block, in the place of others if need be."""
        self._kept[traced, number] = block
        self._bytes += _size(block)
        while self._bytes > _MEMORY and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(block: dict[str, Array]) -> int:
    return sum(array.nbytes for array in block.values())


class TracedText:
    """A text and what the model made of it; read it with `blocks` before asking.

    >>> from charloom import ModelSettings
    >>> from charloom.engines.weights import initial_weights
    >>> from charloom.text.vocabulary import Vocabulary
    >>> vocabulary, settings = Vocabulary.of("banana"), ModelSettings(hidden_size=4)
    >>> model = Model(settings, vocabulary, initial_weights(settings, 3, seed=0))
    >>> traced = TracedText(model, "nab", BlockCache())
    >>> [block["start"] for block in traced.blocks()]
    [0]
    >>> traced.values(1, ["C_t", "h_t"], 0, 3).shape
    (2, 3, 4)

    Attributes:
        ids: (T,) int32 what was read, one per character (or per byte).
        cells: how each of them is written.
        unknown: positions of characters that the model has never seen.
        quantities: the names of its numbers: those of the model's cell.
        before: (L, H) of its first character C_t-1, or h_t-1 of a cell that carries no C.

    """

    def __init__(self, model: Model, text: str, kept: BlockCache) -> None:
        """Take a text as the model's own was; TextError if it cannot be read."""
        text = "".join(read(InMemory(text), model.text_settings))
        vocabulary = model.vocabulary
        self.model = model
        self.ids = vocabulary.encode(text).astype(np.int32)
        self.cells = symbols(vocabulary, self.ids, text)
        unknown = self.ids == (-1 if vocabulary.unknown_id is None else vocabulary.unknown_id)
        self.unknown: list[int] = np.flatnonzero(unknown).tolist()
        layers, units = model.settings.num_layers, model.settings.hidden_size
        self._cell = CELLS[model.settings.cell]
        self.quantities = self._cell.quantities
        self._sums = np.zeros((2, len(self.quantities), layers, units))
        self._kept = kept
        with kept.lock:
            self._predictor = model.predictor
            self._expected, start = opening(self._predictor)
        self._states = [start]
        initial = start.numpy()
        carried = initial.cell if self._cell.has_cell_state else initial.hidden
        self.before: Array = carried[:, 0]

    def heading(self) -> dict[str, Any]:
        """What a page has to know before the first number, as JSON."""
        settings, vocabulary = self.model.settings, self.model.vocabulary
        return {
            "model": repr(self.model),
            "cell": settings.cell,
            "layers": settings.num_layers,
            "units": settings.hidden_size,
            "lines": self.model.lines,
            "quantities": list(self.quantities),
            "block": BLOCK,
            "cells": self.cells,
            "unknown": self.unknown,
            "symbols": symbols(vocabulary, np.arange(vocabulary.size)),
            "alternatives": min(ALTERNATIVES, vocabulary.size),
            "speaks": encoded(self._speaks()),
            "before": encoded(self.before),
        }

    def blocks(self) -> Iterator[dict[str, Any]]:
        """Read the text, once: for every block its surprisal and its alternatives.

        nats and ranks belong to the characters of the block (rank 0: not predicted);
        `after` holds the ids, and `probabilities` the shares, of what was likeliest after
        each of them. Arrays are base64 of little-endian float32 and int32.
        """
        vocabulary, expected = self.model.vocabulary, self._expected
        for start in range(0, len(self.ids), BLOCK):
            block = self._block(start // BLOCK)
            ids = self.ids[start : start + BLOCK]
            logits = np.concatenate([expected[None], block["logits"]])
            blind = start == 0 and not self._predictor.lines
            found = judged(vocabulary, ids, logits, ALTERNATIVES, blind=blind)
            expected = logits[-1]
            self._count(block)
            yield {
                "start": start,
                "nats": encoded(-found["log_probability"]),
                "ranks": encoded(found["rank"]),
                "after": encoded(found["expected"][1:]),
                "probabilities": encoded(np.exp(found["expected_log_probability"][1:])),
            }

    def values(
        self,
        layer: int,
        quantities: Sequence[str],
        start: int,
        stop: int,
        unit: int | None = None,
    ) -> Array:
        """(quantities, characters, units) float32: all units of a layer, or one."""
        if not 0 <= layer < self.model.settings.num_layers:
            raise SettingsError(f"layer: {layer} was given; {self._range('num_layers')}")
        if unit is not None and not 0 <= unit < self.model.settings.hidden_size:
            raise SettingsError(f"unit: {unit} was given; {self._range('hidden_size')}")
        if not 0 <= start <= stop <= len(self.ids):
            raise SettingsError(
                f"characters {start} to {stop} were asked for; the text has {len(self.ids)}"
            )
        for name in quantities:
            if name not in self.quantities:
                raise SettingsError(
                    f"quantity: {name!r} was given; it must be one of {', '.join(self.quantities)}"
                )
        units = slice(None) if unit is None else slice(unit, unit + 1)
        parts = [np.empty((len(quantities), 0, self._width(unit)), np.float32)]
        for number in range(start // BLOCK, -(-stop // BLOCK)):
            block, first = self._block(number), number * BLOCK
            here = slice(max(start - first, 0), stop - first)
            parts.append(np.stack([block[name][here, layer, units] for name in quantities]))
        return np.concatenate(parts, axis=1)

    def levels(self, layer: int, quantity: str, start: int, stop: int) -> Array:
        """(characters, units) uint8: the values, on a scale of 0 to 255, to be drawn.

        0 to 255 stand for 0 to 1 of a gate, and for -1 to 1 of the other quantities, but
        C_t and fC_t, which know no bounds, are put on it as x / (1 + |x|).
        """
        values = self.values(layer, [quantity], start, stop)[0]
        if quantity in ("C_t", "fC_t"):
            values = values / (1 + np.abs(values))
        scaled = values if quantity in self._cell.fractions else (values + 1) / 2
        return np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)

    def totals(self, layer: int, quantity: str) -> Array:
        """(2, units) float64: sums over the text, and sums of squares."""
        self.values(layer, [quantity], 0, 0)  # checks both
        return self._sums[:, self.quantities.index(quantity), layer]

    def _block(self, number: int) -> dict[str, Array]:
        """The trace of a block, from memory or from the state before it."""
        with self._kept.lock:
            if number >= len(self._states):
                raise SettingsError("this part of the text is not read yet")
            block = self._kept.get(self, number)
            if block is None:
                block, after = self._traced(number)
                if number + 1 == len(self._states):
                    self._states.append(after)
                self._kept.keep(self, number, block)
            return block

    def _traced(self, number: int) -> tuple[dict[str, Array], State]:
        ids = self.ids[number * BLOCK : (number + 1) * BLOCK]
        seen, state = read_steps(self._predictor, ids, self._states[number])
        return {**seen.quantities, "logits": seen.logits}, state

    def _count(self, block: dict[str, Array]) -> None:
        for q, name in enumerate(self.quantities):
            values = block[name].astype(np.float64)
            self._sums[0, q] += values.sum(axis=0)
            self._sums[1, q] += np.square(values).sum(axis=0)

    def _speaks(self) -> Array:
        """(2, H) int32: the id that each unit of the top layer raises most, and lowers."""
        weight = self.model.weights["head.weight"]
        effect = weight - weight.mean(axis=0)
        return np.stack([effect.argmax(axis=0), effect.argmin(axis=0)]).astype("<i4")

    def _width(self, unit: int | None) -> int:
        return self.model.settings.hidden_size if unit is None else 1

    def _range(self, field: str) -> str:
        return f"it must be at least 0 and less than {getattr(self.model.settings, field)}"


def encoded(values: Array) -> str:
    """Base64 of an array, little-endian: int32 if it is one, else float32."""
    kind = "<i4" if values.dtype == np.dtype("<i4") else "<f4"
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")
