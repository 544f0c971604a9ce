"""A trace as text: a line for each character, a table of one unit, or one step in full.

What is told of a step depends on the cell; narration/ has it, cell by cell.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import numpy as np

from ..errors import SettingsError
from ..model.model import Model, Text, check_model
from ..model.tracing import Trace, joined
from ..text.visible import visible
from .narration.cells import narration
from .narration.moment import Moment


def explain(
    model: Model,
    text: Text,
    *,
    at: int | None = None,
    unit: int | None = None,
    layer: int | None = None,
    width: int = 80,
) -> Iterator[str]:
    """Yield lines that say what happens in a model as it reads a text.

    A line for each character: how much of the cell state was struck out, written and shown.
    With `at`, one step (from 0, or from the end if it is negative) with its numbers in the
    equations. With `unit`, that unit (from 0) alone. `layer` counts from 1; the top one is the
    default. `width` is the columns that the lines may take. Load the model with
    `precision="float32"` for equations that come out to the last digit.

    SettingsError for a step, unit or layer that does not exist, TextError for an empty text.

    >>> import charloom
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> lines = list(charloom.explain(model, "the", layer=1))
    >>> len(lines), lines[1].split()[:3]
    (5, ['step', 'reads', 'bits'])
    """
    check_model("model", model)
    pieces = model.trace_pieces(text)
    if at is not None:
        return tell_step(model, around(pieces, at), at, unit=unit, layer=layer)
    if unit is not None:
        return tell_unit(model, pieces, unit, layer)
    return tell_text(model, pieces, layer, width=width)


def tell_text(
    model: Model, pieces: Iterator[Trace], layer: int | None = None, *, width: int = 80
) -> Iterator[str]:
    """A line for each character; of an LSTM, how much was struck out, written and shown.

    Bars are as long as a line of `width` columns has room for, or left out. `layer` counts
    from 1, and is the top one by default; SettingsError for a layer that there is not.
    """
    layer = _layer(model, layer)
    told = narration(model)
    count = len(told.columns)
    long = min(8, max(0, (width - 19) // count - 7))
    names = [c.short if count > 1 and long < 6 else c.name for c in told.columns]
    wide = long + 7 if long else 6
    for trace in pieces:
        if trace.start == 0:
            opening = told.opening.format(layer=layer + 1, layers=model.settings.num_layers)
            yield from textwrap.wrap(opening, width)
            head = "".join(f"{name:<{wide}}" for name in names)
            yield f"step  reads    bits  {head}".rstrip()
        values = [column.share(trace)[:, layer] for column in told.columns]
        for t in range(len(trace)):
            shown = [f"{v[t]:4.0%} {_bar(float(v[t]), long)}" for v in values]
            symbol = f"{visible(trace.symbols[t]):<6}"
            bars = "".join(f"{one:<{wide}}" for one in shown)
            yield f"{trace.start + t:4}  {symbol} {trace.bits[t]:6.2f}  {bars}".rstrip()


def tell_unit(
    model: Model, pieces: Iterator[Trace], unit: int, layer: int | None = None
) -> Iterator[str]:
    """A line for each character: every quantity of one unit."""
    layer, unit = _layer(model, layer), _unit(model, unit)
    names: list[str] = []
    for trace in pieces:
        if not names:
            names = list(trace.quantities)
            yield f"Unit {unit} of layer {layer + 1}:"
            yield "step  reads  " + "".join(f"{name:>8}" for name in names)
        rows = np.stack([trace.quantities[name][:, layer, unit] for name in names], axis=1)
        for t, row in enumerate(rows.tolist()):
            symbol = f"{visible(trace.symbols[t]):<6}"
            yield f"{trace.start + t:4}  {symbol} " + "".join(f"{value:8.3f}" for value in row)


def tell_step(
    model: Model, trace: Trace, at: int, *, unit: int | None = None, layer: int | None = None
) -> Iterator[str]:
    """One step in the blog's order, with its numbers in the equations.

    `at` counts from 0, or from the end of the trace if it is negative. `unit` tells of one
    unit, and where its gates come from; without it, of the units to which most happened.
    SettingsError for a step, unit or layer that there is not.
    """
    end = trace.start + len(trace)
    at = at + end if at < 0 else at
    if not trace.start <= at < end:
        raise SettingsError(f"at: {at} was given; the text has steps {trace.start} to {end - 1}")
    at -= trace.start
    layer = _layer(model, layer)
    unit = None if unit is None else _unit(model, unit)
    yield from _reading(trace, at)
    yield ""
    moment = Moment(model=model, trace=trace, at=at, layer=layer, unit=unit)
    yield from narration(model).step(moment)
    yield ""
    yield "Predicted next: " + _alternatives(trace, at + 1)


def around(pieces: Iterator[Trace], at: int) -> Trace:
    """As much of a trace as `tell_step` needs, which is not all of a long text."""
    kept: list[Trace] = []
    for piece in pieces:
        kept = [*kept[-1:], piece]
        if 0 <= at < piece.start + len(piece):
            break
    return joined(kept)


def _reading(trace: Trace, at: int) -> Iterator[str]:
    before = visible("".join(trace.symbols[max(0, at - 40) : at]))
    after = f'after "{before}"' if at else "with nothing before it"
    yield f"Step {trace.start + at} reads '{visible(trace.symbols[at])}' {after}."
    if trace.rank[at] == 0:
        yield f"Nothing predicted it, so it cost a blind guess, {trace.bits[at]:.2f} bits."
        return
    share = math.exp(trace.log_probability[at])
    yield (
        f"It was given {share:.1%}, number {trace.rank[at]} of what was expected, and so cost "
        f"{trace.bits[at]:.2f} bits."
    )
    yield "Expected was " + _alternatives(trace, at)


def _alternatives(trace: Trace, step: int) -> str:
    best = trace.alternatives(step)[:5]
    return ", ".join(f"'{visible(symbol)}' {share:.1%}" for symbol, share in best)


def _layer(model: Model, layer: int | None) -> int:
    """The layer, from 0, of a number that counts from 1; the top one without a number."""
    layers = model.settings.num_layers
    if layer is None:
        return layers - 1
    if not 1 <= layer <= layers:
        raise SettingsError(f"layer: {layer} was given; the model has layers 1 to {layers}")
    return layer - 1


def _unit(model: Model, unit: int) -> int:
    units = model.settings.hidden_size
    if not 0 <= unit < units:
        raise SettingsError(f"unit: {unit} was given; a layer has units 0 to {units - 1}")
    return unit


def _bar(share: float, width: int) -> str:
    """A bar in eighths of a column."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    bar = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
    return f"{bar:<{width}}"
