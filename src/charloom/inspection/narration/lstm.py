"""An LSTM's step as the blog's newspaper: article, headline, and the three gates between.

The article is the cell state C_t, one number for each unit. At each step some of it is
struck out (the forget gate), something is added (the input gate and the candidate), and a
headline h_t is taken from it (the output gate), from which the next character is predicted.
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

from ...engines.weights import Array
from ...errors import counted
from ...model.tracing import Trace
from .moment import Moment, gate_of, number, share, votes_of


def struck_out(trace: Trace) -> Array:
    """(T, L) the share of the article that was taken away; 0 where it was blank."""
    before = np.abs(trace.C_before).sum(axis=-1)
    return share(np.abs(trace.C_before - trace.fC_t).sum(axis=-1), before)


def written(trace: Trace) -> Array:
    """(T, L) the share of what makes up the article that is new."""
    new = np.abs(trace.gi_t).sum(axis=-1)
    return share(new, np.abs(trace.fC_t).sum(axis=-1) + new)


def shown(trace: Trace) -> Array:
    """(T, L) the share of the article that is in the headline."""
    whole = np.abs(np.tanh(trace.C_t)).sum(axis=-1)
    return share(np.abs(trace.h_t).sum(axis=-1), whole)


def newspaper(moment: Moment) -> Iterator[str]:
    """An LSTM: strike out, let in, the article now, the headline."""
    q, trace, at, layer, unit = (
        moment.quantities, moment.trace, moment.at, moment.layer, moment.unit
    )  # fmt: skip
    before = trace.C_before[at, layer]
    which = counted(len(before), "unit") if unit is None else f"unit {unit}"
    yield f"Layer {layer + 1} of {moment.model.settings.num_layers}, {which}."

    yield ""
    yield "1. The forget gate strikes out of the article"
    blank = unit is None and not before.any()
    if blank:
        yield "   nothing, as nothing is written in it yet."
    elif unit is None:
        lost, mean = struck_out(trace)[at, layer], q["f_t"].mean()
        yield f"   {lost:.0%} of it; f_t is {mean:.2f} on average. Most of all:"
    yield from gate_of(moment, "forget", "f_t")
    for u in [] if blank else moment.units(before - q["fC_t"]):
        yield (
            f"   unit {u:<4} fC_t = f_t * C_t-1 = {number(q['f_t'][u])} * {number(before[u])}"
            f" = {number(q['fC_t'][u])}"
        )
    yield ""
    yield "2. The input gate lets in of the candidate"
    if unit is None:
        yield f"   so much that {written(trace)[at, layer]:.0%} of the article is new. Most of all:"
    yield from gate_of(moment, "input", "i_t")
    yield from gate_of(moment, "candidate", "g_t")
    for u in moment.units(q["gi_t"]):
        yield (
            f"   unit {u:<4} gi_t = i_t * g_t = {number(q['i_t'][u])} * {number(q['g_t'][u])}"
            f" = {number(q['gi_t'][u])}"
        )
    yield ""
    yield "3. The article is now"
    for u in moment.units(q["C_t"] - before):
        yield (
            f"   unit {u:<4} C_t = fC_t + gi_t = {number(q['fC_t'][u])} + {number(q['gi_t'][u])}"
            f" = {number(q['C_t'][u])}"
        )
    yield ""
    yield "4. The output gate takes the headline from it"
    if unit is None:
        yield f"   which shows {shown(trace)[at, layer]:.0%} of the article. The loudest:"
    yield from gate_of(moment, "output", "o_t")
    for u in moment.units(q["h_t"]):
        yield (
            f"   unit {u:<4} h_t = o_t * tanh C_t = {number(q['o_t'][u])} *"
            f" {number(math.tanh(q['C_t'][u]))} = {number(q['h_t'][u])}"
        )
    yield from votes_of(moment)
