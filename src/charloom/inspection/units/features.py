"""All quantities of a network while it reads a text, in two halves: one to search, one to test.

A feature is one quantity of one unit. In each half it has mean 0 and length 1, so that its
product with a label scaled alike is their correlation.
"""

from __future__ import annotations

import numpy as np

from ...engines.cell import CELLS
from ...engines.weights import Array
from ...errors import TextError
from ...model.model import Model, Text
from ..settings import FEWEST
from .statistics import unit_length

_BYTES = 2**30  # of all features of a text


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
            f"the text has {len(found)} characters; {FEWEST} are the fewest in which a claim "
            "can be searched and tested"
        )
    return found


def searched(model: Model) -> list[str]:
    """The quantities that are searched: all that are no product of two others."""
    cell = CELLS[model.settings.cell]
    return [name for name in cell.quantities if name not in cell.products]


class Features:
    """The features of a text, (quantities x units of all layers, T) float32 in each half."""

    def __init__(self, model: Model, text: str) -> None:
        columns: list[Array] = []
        names = searched(model)
        for piece in model.trace_pieces([text], alternatives=1):
            stacked = np.stack([piece.quantities[name] for name in names])  # (Q, T, L, H)
            columns.append(stacked.transpose(0, 2, 3, 1).reshape(-1, len(piece)))
        values = np.concatenate(columns, axis=1)
        self.quantities = names
        self.units = len(values) // len(names)
        self.hidden_size = model.settings.hidden_size
        self.length = values.shape[1]
        self.middle = self.length // 2
        self.ids = model.vocabulary.encode(text).astype(np.int32)
        self.mean_hidden = values[-self.units :].mean(axis=1, dtype=np.float64)
        self.search = unit_length(values[:, : self.middle])
        self.held_out = unit_length(values[:, self.middle :])

    def cut(self, y: Array) -> tuple[Array, Array]:
        """A label, or anything else along the text, in the two halves."""
        return y[: self.middle], y[self.middle :]

    def can_search(self, y: Array) -> bool:
        """Whether a label holds, and does not hold, often enough in both halves."""
        fewest = FEWEST // 20
        return all(
            min(np.count_nonzero(half), np.count_nonzero(half != half.max())) >= fewest
            for half in self.cut(y)
        )

    def scores(self, search: Array, held_out: Array) -> tuple[Array, Array, Array]:
        """The held-out score (U, N) of every unit for N labels (T, N).

        And, for the first label, which quantity of each it is, and with which sign: (U,).
        """
        shape = (-1, self.units, search.shape[1])
        chosen_on = (self.search @ unit_length(search.T).T).reshape(shape)
        tested_on = (self.held_out @ unit_length(held_out.T).T).reshape(shape)
        quantity = np.abs(chosen_on).argmax(axis=0)[None]
        sign = np.sign(np.take_along_axis(chosen_on, quantity, axis=0))
        score = (sign * np.take_along_axis(tested_on, quantity, axis=0))[0]
        return score, quantity[0, :, 0], sign[0, :, 0].astype(int)

    def values(self, quantity: int, unit: int) -> Array:
        """(T,) the held-out values of a feature, scaled."""
        return self.held_out[quantity * self.units + unit]
