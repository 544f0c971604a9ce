"""All quantities of a network while it reads a text, in two halves: one to search, one to test.

A feature is one quantity of one unit. In each half it has mean 0 and length 1, so that its
product with a label scaled alike is their correlation. Which quantity of a unit follows a
label best, and with which sign, is chosen on the first half; the unit's score is their
correlation on the second.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engines.cell import CELLS
from ...engines.weights import Array
from ...errors import TextError, counted
from ...model.model import Model, Text
from ..settings import FEWEST
from .statistics import inverse_norm, unit_length

WARMUP = 128
"""Characters that a network reads before each block, where blocks are read side by side."""

_BYTES = 2**30  # of all features of a text
_STREAMS = 32
_STEPS = 64


def beginning(model: Model, text: Text, most: int) -> str:
    """The start of a text, no longer than `most` or than there is memory for.

    TextError for fewer than FEWEST characters.
    """
    shape = model.settings
    numbers = len(searched(model)) * shape.num_layers * shape.hidden_size
    most = min(most, max(FEWEST, _BYTES // (4 * numbers)))
    taken: list[str] = []
    for piece in model.pieces(text):
        taken.append(piece[: most - sum(map(len, taken))])
        if sum(map(len, taken)) >= most:
            break
    found = "".join(taken)
    if len(found) < FEWEST:
        raise TextError(
            f"the text has {counted(len(found), 'character')}; "
            f"{FEWEST} are the fewest in which a claim "
            "can be searched and tested"
        )
    return found


def searched(model: Model) -> list[str]:
    """The quantities that are searched: all that are no product of two others."""
    cell = CELLS[model.settings.cell]
    return [name for name in cell.quantities if name not in cell.products]


def halves(values: Array) -> tuple[Array, Array]:
    """Anything along a text (T, ...), cut into its two halves."""
    middle = len(values) // 2
    return values[:middle], values[middle:]


def can_search(y: Array) -> bool:
    """Whether a label holds, and does not hold, often enough in both halves."""
    fewest = FEWEST // 20
    return all(
        min(np.count_nonzero(half), np.count_nonzero(half != half.max())) >= fewest
        for half in halves(y)
    )


def searchable(model: Model, text: str, named: dict[str, Array]) -> dict[str, Array]:
    """The labels of a text that can be searched for, with a number for each id of the model."""
    if model.vocabulary.kind == "bytes":
        lengths = [len(character.encode()) for character in text]
        named = {name: np.repeat(values, lengths) for name, values in named.items()}
    return {name: y for name, y in named.items() if can_search(y)}


def scores(search: Array, held_out: Array) -> tuple[Array, Array, Array]:
    """The score of every unit for N labels, from correlations (Q, U, N) on the two halves.

    Score, quantity and sign, each (U, N).
    """
    quantity = np.abs(search).argmax(axis=0)[None]
    sign = np.sign(np.take_along_axis(search, quantity, axis=0))
    score = sign * np.take_along_axis(held_out, quantity, axis=0)
    return score[0], quantity[0], sign[0].astype(int)


class Features:
    """The features of a text, (quantities x units of all layers, T) float32 in each half.

    They are those of `quantities`, in which h_t stands last, or by default of all that are
    searched.
    """

    def __init__(self, model: Model, text: str, quantities: list[str] | None = None) -> None:
        columns: list[Array] = []
        names = quantities or searched(model)
        for piece in model.trace_pieces([text], alternatives=1):
            stacked = np.stack([piece.quantities[name] for name in names])  # (Q, T, L, H)
            columns.append(stacked.transpose(0, 2, 3, 1).reshape(-1, len(piece)))
        values = np.concatenate(columns, axis=1)
        self.quantities = names
        self.units = len(values) // len(names)
        self.mean_hidden = values[-self.units :].mean(axis=1, dtype=np.float64)
        search, held_out = halves(values.T)
        self.search, self.held_out = unit_length(search.T), unit_length(held_out.T)

    def scores(self, search: Array, held_out: Array) -> tuple[Array, Array, Array]:
        """`scores` of every unit for N labels, given in the two halves (T, N)."""
        shape = (-1, self.units, search.shape[1])
        return scores(
            (self.search @ unit_length(search.T).T).reshape(shape),
            (self.held_out @ unit_length(held_out.T).T).reshape(shape),
        )

    def values(self, quantity: int, unit: int) -> Array:
        """(T,) the held-out values of a feature, scaled."""
        return self.held_out[quantity * self.units + unit]


def best_scores(model: Model, text: str, labels: Array) -> Array:
    """(N,) the best score of any unit for each of N labels (T, N): what `Features` would find.

    Nothing is kept but sums, and a text of one stream is read as blocks side by side, each
    after WARMUP characters: several times faster, near enough for a control.
    """
    scaled = [unit_length(half.T).T for half in halves(labels)]  # (T, N)
    middle = len(scaled[0])
    sums: list[list[Array]] = [[], []]
    shift: Array | None = None
    for at, values in _read(model, text):
        shift = values[0] if shift is None else shift  # keeps squares small
        for half in (0, 1):
            chosen = (at >= middle) == half
            x = (values if chosen.all() else values[chosen]) - shift
            y = scaled[half][at[chosen] - half * middle]
            square = np.einsum("nf,nf->f", x, x)
            sums[half].append(np.vstack([x.sum(axis=0), square, y.T @ x]).astype(np.float64))
    found = []
    for half, parts in enumerate(sums):
        count = len(scaled[half])
        total, square, product = np.split(np.sum(parts, axis=0), [1, 2])
        norm = np.sqrt(np.maximum(square - total**2 / count, 0))
        correlations = (product * inverse_norm(norm, count)).T  # (F, N)
        units = model.settings.num_layers * model.settings.hidden_size
        found.append(correlations.reshape(-1, units, labels.shape[1]))
    return scores(*found)[0].max(axis=0)


def _read(model: Model, text: str) -> Iterator[tuple[Array, Array]]:
    """All features at some positions of a text: (n,) and (n, F), until each came once."""
    names = searched(model)
    if model.lines:  # each line is read from a zero state
        for piece in model.trace_pieces([text], alternatives=1):
            stacked = np.stack([piece.quantities[name] for name in names], axis=1)
            at = piece.start + np.arange(len(piece))
            yield at, stacked.reshape(len(piece), -1)
        return
    ids = model.vocabulary.encode(text).astype(np.int32)
    streams = max(1, min(_STREAMS, len(ids) // (2 * WARMUP)))
    length = -(-len(ids) // streams)
    starts = length * np.arange(streams)
    state = model.engine.zero_state(streams)
    for begin in range(-WARMUP, length, _STEPS):
        at = starts + np.arange(begin, min(begin + _STEPS, length))[:, None]  # (T, B)
        if begin == 0:
            state = state.cleared(0)  # nothing stands before the text
        seen = model.engine.trace(ids[np.clip(at, 0, len(ids) - 1)], state)
        state = seen.state
        if begin >= 0:
            values = np.stack([seen.quantities[name] for name in names])  # (Q, L, T, B, H)
            values = values.transpose(2, 3, 0, 1, 4).reshape(at.size, -1)
            there = at.ravel() < len(ids)
            yield at.ravel()[there], values[there]
