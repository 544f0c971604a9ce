"""What each of some texts goes on with, drawn by the engine under the rules of the texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.base import State
from ..engines.random import second_seeds, uniform
from ..engines.restriction import Restriction
from ..engines.sampling import draw
from ..engines.weights import Array
from ..settings import SamplingSettings
from .predictor import Predictor
from .rules.rule import Follower

Followers = Sequence[Follower | None]
"""Of B texts; None for one without a rule."""


def drawn(
    predictor: Predictor,
    followers: Followers,
    last: Array,
    state: State,
    length: int,
    sampling: SamplingSettings | Sequence[SamplingSettings],
    seeds: Array,
    start: int | Array,
) -> tuple[Array, Array | None, State]:
    """At most `length` ids (T, B), the states of rules after each (T, B), and the network's.

    As of `Engine.generate`. Fewer ids are drawn where a rule has to be asked again before.
    """
    engine, forbidden = predictor.engine, predictor.forbidden
    steps = [follower.steps for follower in followers if follower]
    if not steps:
        ids, after = engine.generate(last, state, length, sampling, seeds, start, forbidden)
        return ids, None, after
    length = min(length, *steps)
    B = len(last)
    each = [sampling] * B if isinstance(sampling, SamplingSettings) else sampling
    for follower, one in zip(followers, each, strict=True):
        if follower and (one.top_k or one.top_p < 1):  # which look at all that may be drawn
            follower.settle()
    restriction = _restriction(followers, length)
    ids, after = engine.generate(
        last, state, length, sampling, seeds, start, forbidden, restriction
    )
    again = [b for b, one in enumerate(followers) if one and not _admitted(one, int(ids[0, b]))]
    if again:
        those = np.array(again)
        second = _restriction([followers[b] for b in again], 1)
        others, _ = engine.generate(
            last[those],
            state.select(those),
            1,
            [each[b] for b in again],
            second_seeds(seeds[those]),
            np.broadcast_to(start, B)[those],
            forbidden,
            second,
        )
        ids[0, those], restriction.states[1, those] = others[0], second.states[1]
    return ids, restriction.states[1:], after


def _admitted(follower: Follower, id: int) -> bool:
    """Whether what was drawn may stay; if not, the follower is settled for another draw."""
    if follower.settled or follower.admits(id):
        return True
    follower.settle()
    return follower.complete  # then the text ends before what was drawn


def drawn_evenly(
    predictor: Predictor, followers: Followers, seeds: Array
) -> tuple[Array, Array | None]:
    """(B,) the first id of texts that stand after nothing; (1, B) the states of rules after it."""
    for follower in followers:
        if follower:
            follower.settle()
    if not any(followers):
        return predictor.drawn_evenly(seeds), None
    restriction = _restriction(followers, 1)
    masks, even = restriction.masks(0), np.zeros((len(followers), predictor.vocabulary.size))
    ids = draw(even, SamplingSettings(), uniform(seeds, 0), predictor.forbidden, masks)
    restriction.move(0, ids, masks)
    return ids, restriction.states[1:]


def _restriction(followers: Followers, length: int) -> Restriction:
    return Restriction.starting(
        [follower and follower.table for follower in followers],
        [follower.state if follower else -1 for follower in followers],
        [follower.left if follower else 0 for follower in followers],
        length,
    )
