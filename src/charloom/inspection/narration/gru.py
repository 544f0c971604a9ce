"""A GRU's step as a newspaper without an article: the headline is edited in place.

An LSTM keeps an article and shows some of it as a headline. A GRU has no output gate and no
article: its hidden state h_t is what is remembered and what is read, at once. At each step the
reset gate says how much of it the candidate hears, and the update gate what share of it stays;
the rest of each unit, 1 - z_t, is taken from the candidate. For every step and layer:

    struck out   what the update gate took away, of all that the headline held:
                 sum |h_t-1 - z_t h_t-1| / sum |h_t-1|
    written      what is new, of all that makes up the headline now:
                 sum |(1 - z_t) n_t| / (sum |z_t h_t-1| + sum |(1 - z_t) n_t|)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engines.weights import Array
from ...errors import counted
from ...model.tracing import Trace
from .moment import Moment, gate_of, number, share, signed, votes_of


def struck_out(trace: Trace) -> Array:
    """(T, L) the share of the headline that was taken away; 0 where it was blank."""
    before = np.abs(trace.h_before)
    return share(((1 - trace.z_t) * before).sum(axis=-1), before.sum(axis=-1))


def written(trace: Trace) -> Array:
    """(T, L) the share of what makes up the headline that is new."""
    new = np.abs((1 - trace.z_t) * trace.n_t).sum(axis=-1)
    return share(new, np.abs(trace.z_t * trace.h_before).sum(axis=-1) + new)


def headline(moment: Moment) -> Iterator[str]:
    """A GRU: what the candidate hears, the candidate, strike out and let in, the headline."""
    q, before, at, layer, unit = (
        moment.quantities, moment.before, moment.at, moment.layer, moment.unit
    )  # fmt: skip
    r_t, n_t, z_t, h_t = q["r_t"], q["n_t"], q["z_t"], q["h_t"]
    kept, let_in = z_t * before, (1 - z_t) * n_t
    which = counted(len(h_t), "unit") if unit is None else f"unit {unit}"
    yield f"Layer {layer + 1} of {moment.model.settings.num_layers}, {which}."
    yield "A GRU has no article behind its headline: it edits the headline itself."

    yield ""
    yield "1. The reset gate turns down what the candidate hears of the last headline"
    blank = unit is None and not before.any()
    if blank:
        yield "   nothing, as there is none yet."
    elif unit is None:
        yield f"   r_t is {r_t.mean():.2f} on average. Most of all:"
    yield from gate_of(moment, "reset", "r_t")
    for u in [] if blank else moment.units((1 - r_t) * before):
        yield f"   unit {u:<4} r_t = {number(r_t[u])}, where h_t-1 = {number(before[u])}"
    yield ""
    yield "2. The candidate is written from the character and from what is heard"
    for u in moment.units(n_t):
        x, h, b = moment.sums(u)["candidate"]
        heard = f"{number(h)} from h_t-1 {signed(moment.recurrent_bias('candidate', u))}"
        yield (
            f"   unit {u:<4} n_t = tanh({number(x)} from x_t {signed(b)}"
            f" + {number(r_t[u])} * ({heard})) = {number(n_t[u])}"
        )
    yield ""
    yield "3. The update gate strikes out of the headline, and lets in as much of the candidate"
    if unit is None and not blank:
        lost, mean = struck_out(moment.trace)[at, layer], z_t.mean()
        yield f"   {lost:.0%} of it is struck out; z_t is {mean:.2f} on average."
    if unit is None:
        yield f"   So {written(moment.trace)[at, layer]:.0%} of the headline is new. Most of all:"
    yield from gate_of(moment, "update", "z_t")
    for u in moment.units(let_in):
        yield f"   unit {u:<4} z_t * h_t-1 = {number(z_t[u])} * {number(before[u])}" + (
            f" = {number(kept[u])}, (1 - z_t) * n_t = {number(1 - z_t[u])} * {number(n_t[u])}"
            f" = {number(let_in[u])}"
        )
    yield ""
    yield "4. The headline is now"
    for u in moment.units(h_t - before):
        yield (
            f"   unit {u:<4} h_t = z_t * h_t-1 + (1 - z_t) * n_t = {number(kept[u])}"
            f" {signed(let_in[u])} = {number(h_t[u])}"
        )
    yield from votes_of(moment)
