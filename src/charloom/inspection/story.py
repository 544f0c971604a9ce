"""A trace told on a terminal: each step a new edition of the newspaper.

The article is the cell state C_t, one number for each unit. To make an edition, some of it
is struck out (the forget gate), something is added (the input gate and the candidate), and
a headline h_t is taken from it (the output gate), from which the next character is guessed.

For every step and layer, three shares say how much of this happened:

    struck out   what the forget gate took away, of all that the article held:
                 sum |C_t-1 - fC_t| / sum |C_t-1|
    written      what is new, of all that makes up the article now:
                 sum |gi_t| / (sum |fC_t| + sum |gi_t|)
    shown        what the headline has, of all that the article could show:
                 sum |h_t| / sum |tanh C_t|
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..engines.cell import CELLS
from ..engines.weights import Array
from ..errors import SettingsError
from ..model.model import Model
from ..model.tracing import Trace, joined, symbols
from ..text.visible import visible

LARGEST = 4
"""Units that are told of, where all would be too many."""


def struck_out(trace: Trace) -> Array:
    """(T, L) the share of the article that was taken away; 0 where it was blank."""
    before = np.abs(trace.C_before).sum(axis=-1)
    return _share(np.abs(trace.C_before - trace.fC_t).sum(axis=-1), before)


def written(trace: Trace) -> Array:
    """(T, L) the share of what makes up the article that is new."""
    new = np.abs(trace.gi_t).sum(axis=-1)
    return _share(new, np.abs(trace.fC_t).sum(axis=-1) + new)


def shown(trace: Trace) -> Array:
    """(T, L) the share of the article that is in the headline."""
    whole = np.abs(np.tanh(trace.C_t)).sum(axis=-1)
    return _share(np.abs(trace.h_t).sum(axis=-1), whole)


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def tell_text(
    model: Model, pieces: Iterator[Trace], layer: int | None = None, *, width: int = 80
) -> Iterator[str]:
    """A line for each character: how much was struck out, written and shown.

    Bars are as long as a line of so many columns has room for, or left out.
    """
    layer = _layer(model, layer)
    lstm = CELLS[model.settings.cell].has_cell_state
    shares = (struck_out, written, shown) if lstm else (_loudness,)
    long = min(8, max(0, (width - 19) // len(shares) - 7))
    names = ("struck out", "written", "shown") if lstm else ("headline, mean |h_t|",)
    if lstm and long < 6:
        names = ("out", "in", "shown")
    wide = long + 7 if long else 6
    for trace in pieces:
        if trace.start == 0 and lstm:
            yield f"Layer {layer + 1} of {model.settings.num_layers}, as shares of the article:"
        elif trace.start == 0:
            yield "A plain RNN has no article and no gates; its headline is all it knows."
        if trace.start == 0:
            head = "".join(f"{name:<{wide}}" for name in names)
            yield f"step  reads    bits  {head}".rstrip()
        columns = [share(trace)[:, layer] for share in shares]
        for t in range(len(trace)):
            told = [f"{c[t]:4.0%} {_bar(float(c[t]), long)}" for c in columns]
            symbol = f"{visible(trace.symbols[t]):<6}"
            bars = "".join(f"{one:<{wide}}" for one in told)
            yield f"{trace.start + t:4}  {symbol} {trace.bits[t]:6.2f}  {bars}".rstrip()


def _loudness(trace: Trace) -> Array:
    """(T, L) how far an RNN's headline is from saying nothing."""
    return np.abs(trace.h_t).mean(axis=-1)


def tell_unit(
    model: Model, pieces: Iterator[Trace], unit: int, layer: int | None = None
) -> Iterator[str]:
    """A line for each character: what one unit did."""
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
        raise SettingsError(
            f"at: there is no step {at}; the text has steps {trace.start} to {end - 1}"
        )
    at -= trace.start
    layer = _layer(model, layer)
    units = None if unit is None else [_unit(model, unit)]
    yield from _reading(trace, at)
    yield ""
    tell = _newspaper if CELLS[model.settings.cell].has_cell_state else _plain
    yield from tell(model, trace, at, layer, units)
    yield ""
    yield "Predicted next: " + _guesses(trace, at + 1)


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
    yield "Expected was " + _guesses(trace, at)


def _newspaper(
    model: Model, trace: Trace, at: int, layer: int, units: list[int] | None
) -> Iterator[str]:
    q = {name: values[at, layer] for name, values in trace.quantities.items()}
    before = trace.C_before[at, layer]
    removed = before - q["fC_t"]

    def most(what: Array) -> list[int]:
        return units if units is not None else np.argsort(-np.abs(what))[:LARGEST].tolist()

    which = f"unit {units[0]}" if units is not None else f"{len(before)} units"
    yield f"Layer {layer + 1} of {model.settings.num_layers}, {which}."
    sums = _sums(model, trace, at, layer, units[0]) if units is not None else {}

    yield ""
    yield "1. The forget gate strikes out of the article"
    blank = units is None and not before.any()
    if blank:
        yield "   nothing, as nothing is written in it yet."
    elif units is None:
        share, mean = struck_out(trace)[at, layer], q["f_t"].mean()
        yield f"   {share:.0%} of it; f_t is {mean:.2f} on average. Most of all:"
    yield from _gate(sums, "forget", "f_t", q["f_t"], units)
    for u in [] if blank else most(removed):
        yield (
            f"   unit {u:<4} fC_t = f_t * C_t-1 = {_n(q['f_t'][u])} * {_n(before[u])}"
            f" = {_n(q['fC_t'][u])}"
        )
    yield ""
    yield "2. The input gate lets in of the candidate"
    if units is None:
        yield f"   so much that {written(trace)[at, layer]:.0%} of the article is new. Most of all:"
    yield from _gate(sums, "input", "i_t", q["i_t"], units)
    yield from _gate(sums, "candidate", "g_t", q["g_t"], units)
    for u in most(q["gi_t"]):
        yield (
            f"   unit {u:<4} gi_t = i_t * g_t = {_n(q['i_t'][u])} * {_n(q['g_t'][u])}"
            f" = {_n(q['gi_t'][u])}"
        )
    yield ""
    yield "3. The article is now"
    for u in most(q["C_t"] - before):
        yield (
            f"   unit {u:<4} C_t = fC_t + gi_t = {_n(q['fC_t'][u])} + {_n(q['gi_t'][u])}"
            f" = {_n(q['C_t'][u])}"
        )
    yield ""
    yield "4. The output gate takes the headline from it"
    if units is None:
        yield f"   which shows {shown(trace)[at, layer]:.0%} of the article. The loudest:"
    yield from _gate(sums, "output", "o_t", q["o_t"], units)
    for u in most(q["h_t"]):
        yield (
            f"   unit {u:<4} h_t = o_t * tanh C_t = {_n(q['o_t'][u])} *"
            f" {_n(math.tanh(q['C_t'][u]))} = {_n(q['h_t'][u])}"
        )
    yield from _speech(model, layer, q["h_t"], units)


def _plain(
    model: Model, trace: Trace, at: int, layer: int, units: list[int] | None
) -> Iterator[str]:
    """An RNN: the headline is written anew from the last one, and there is no article."""
    h_t, before = trace.h_t[at, layer], trace.h_before[at, layer]
    yield f"Layer {layer + 1} of {model.settings.num_layers}: a plain RNN, without gates."
    chosen = units if units is not None else np.argsort(-np.abs(h_t - before))[:LARGEST].tolist()
    for u in chosen:
        x, h, b = _sums(model, trace, at, layer, u)["all"]
        yield (
            f"   unit {u:<4} h_t = tanh({_n(x)} from x_t {_signed(h)} from h_t-1"
            f" {_signed(b)}) = {_n(h_t[u])}, and was {_n(before[u])}"
        )
    yield from _speech(model, layer, h_t, units)


def _gate(
    sums: dict[str, tuple[float, float, float]],
    gate: str,
    name: str,
    values: Array,
    units: list[int] | None,
) -> Iterator[str]:
    """Where a gate's value comes from, for a single unit."""
    if units is None:
        return
    x, h, b = sums[gate]
    squeeze = "tanh" if gate == "candidate" else "sigmoid"
    yield (
        f"   {name} = {squeeze}({_n(x)} from x_t {_signed(h)} from h_t-1 {_signed(b)})"
        f" = {_n(values[units[0]])}"
    )


def _sums(
    model: Model, trace: Trace, at: int, layer: int, unit: int
) -> dict[str, tuple[float, float, float]]:
    """By gate, what the input, the last headline and the bias put into its sum."""
    cell, w = model.settings.cell, model.weights
    H = model.settings.hidden_size
    if layer:
        x = trace.h_t[at, layer - 1].astype(np.float64)
    elif model.settings.embedding_size:
        x = w["embedding.weight"][trace.ids[at]].astype(np.float64)
    else:
        x = np.zeros(model.vocabulary.size)
        x[trace.ids[at]] = 1
    before = trace.h_before[at, layer].astype(np.float64)
    found = {}
    for number, gate in enumerate(CELLS[cell].gates):
        row = number * H + unit
        found[gate] = (
            float(w[f"{cell}.weight_ih_l{layer}"][row] @ x),
            float(w[f"{cell}.weight_hh_l{layer}"][row] @ before),
            float(w[f"{cell}.bias_l{layer}"][row]),
        )
    return found


def _speech(model: Model, layer: int, h_t: Array, units: list[int] | None) -> Iterator[str]:
    """Which characters a headline speaks for; only the top layer's is read by the head."""
    if layer + 1 < model.settings.num_layers:
        yield f"   (Layer {layer + 2} reads this headline.)"
        return
    head = model.weights["head.weight"]
    effect = head - head.mean(axis=0)
    if units is not None:
        votes, speaker = effect[:, units[0]] * h_t[units[0]], f"unit {units[0]:<4}"
    else:
        votes, speaker = effect @ h_t, "it"
    order = np.argsort(-votes, kind="stable")
    for verb, ids in (("for", order[:3]), ("against", order[:-4:-1])):
        ids = [id for id in ids.tolist() if (votes[id] > 0) == (verb == "for") and votes[id]]
        named = symbols(model.vocabulary, np.array(ids, int))
        told = ", ".join(
            f"'{visible(name)}' {votes[id]:+.2f}" for name, id in zip(named, ids, strict=True)
        )
        if told:
            yield f"   {speaker} speaks {verb} {told} (nats)"


def _guesses(trace: Trace, step: int) -> str:
    best = trace.alternatives(step)[:5]
    return ", ".join(f"'{visible(symbol)}' {share:.1%}" for symbol, share in best)


def _layer(model: Model, layer: int | None) -> int:
    """The layer of a number that counts from 1; the top one without a number."""
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


def _n(value: float) -> str:
    return f"{round(float(value), 3) + 0.0:.3f}"  # and no -0.000


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {abs(value):.3f}"


def _bar(share: float, width: int) -> str:
    """A bar of eighths of a character."""
    eighths = round(min(max(share, 0), 1) * width * 8)
    bar = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
    return f"{bar:<{width}}"
