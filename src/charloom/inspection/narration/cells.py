"""How each cell is told: the columns of a line for each character, and one step in full.

NARRATIONS has an entry for each cell that is told in its own terms; any other is told by
the names of its gates and quantities alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...engines.cell import CELLS, Cell
from ...engines.weights import Array
from ...model.model import Model
from ...model.tracing import Trace
from . import gru
from .lstm import newspaper, shown, struck_out, written
from .moment import Moment, number, signed, votes_of


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the line for each character."""

    name: str
    short: str
    """Its name where there is little room."""
    share: Callable[[Trace], Array]
    """(T, L), from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Narration:
    """How a cell is told."""

    opening: str
    """Stands above the lines of a text; may name {layer} and {layers}."""
    columns: tuple[Column, ...]
    step: Callable[[Moment], Iterator[str]]


def narration(model: Model) -> Narration:
    """How this model's cell is told."""
    name = model.settings.cell
    return NARRATIONS.get(name) or _by_name(CELLS[name])


def _mean(quantity: str) -> Callable[[Trace], Array]:
    return lambda trace: np.abs(trace.quantities[quantity]).mean(axis=-1)


def _plain(moment: Moment) -> Iterator[str]:
    """An RNN: the headline is written anew from the last one, and there is no article."""
    h_t, before = moment.quantities["h_t"], moment.before
    layers = moment.model.settings.num_layers
    yield f"Layer {moment.layer + 1} of {layers}: a plain RNN, without gates."
    for u in moment.units(h_t - before):
        x, h, b = moment.sums(u)["all"]
        yield (
            f"   unit {u:<4} h_t = tanh({number(x)} from x_t {signed(h)} from h_t-1"
            f" {signed(b)}) = {number(h_t[u])}, and was {number(before[u])}"
        )
    yield from votes_of(moment)


def _quantities(moment: Moment) -> Iterator[str]:
    """Any cell: each of its quantities, in the order in which they come about."""
    settings, q = moment.model.settings, moment.quantities
    units = moment.units(q["h_t"] - moment.before)
    yield (
        f"Layer {moment.layer + 1} of {settings.num_layers}: {settings.cell.upper()} with gates "
        f"{', '.join(CELLS[settings.cell].gates)}."
    )
    for u in units:
        values = ", ".join(f"{name} = {number(value[u])}" for name, value in q.items())
        yield f"   unit {u:<4} {values}"
    yield from votes_of(moment)


_HEADLINE = Column(name="headline, mean |h_t|", short="|h_t|", share=_mean("h_t"))


def _by_name(cell: Cell) -> Narration:
    """Any cell: the means of its gates and of its headline, by their names."""
    gates = [Column(name=q, short=q, share=_mean(q)) for q in cell.fractions]
    headline = Column(name="|h_t|", short="|h_t|", share=_mean("h_t")) if gates else _HEADLINE
    return Narration(
        opening="Layer {layer} of {layers}, as means over its units:",
        columns=(*gates, headline),
        step=_quantities,
    )


NARRATIONS = {
    "lstm": Narration(
        opening="Layer {layer} of {layers}: shares of the old article, of the new one, "
        "of what could be shown:",
        columns=(
            Column(name="struck out", short="out", share=struck_out),
            Column(name="written", short="in", share=written),
            Column(name="shown", short="shown", share=shown),
        ),
        step=newspaper,
    ),
    "gru": Narration(
        opening="Layer {layer} of {layers}, as shares of the headline; a GRU has no article:",
        columns=(
            Column(name="struck out", short="out", share=gru.struck_out),
            Column(name="written", short="in", share=gru.written),
            _HEADLINE,
        ),
        step=gru.headline,
    ),
    "rnn": Narration(
        opening="A plain RNN has no article and no gates; its headline is all it knows.",
        columns=(_HEADLINE,),
        step=_plain,
    ),
}
"""By the name of the cell, as in ModelSettings."""
