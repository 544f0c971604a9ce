"""What may stand in a gap, by what stands on both sides of it.

A fill g between a left and a right side has the probability

    p(g | left, right) = p(g | left) p(right | left g) / Z,  Z the sum of this over all g

Candidates are all beginnings of texts drawn from the left, up to a length; each is rescored with
what stands to its right. Z is the sum over the candidates from one half of the texts, and over
all that are not among them, which the other half estimates by importance sampling: each of its
texts gives p(right | left g), summed over its own beginnings g that the first half has not. Z is
at least the sum over all candidates, so their probabilities never exceed 1.

Source: A. Owen, "Monte Carlo theory, methods and examples" (2013), chapter 9.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...engines.base import Engine, State
from ...engines.random import stream_seeds
from ...engines.weights import Array
from ...errors import SettingsError
from ...settings import SamplingSettings, check_within
from ..predictor import Predictor
from ..storage.text_state import after_prompt

LOOK = 40
"""Ids to the right of a gap that the candidates are judged by."""

_TOGETHER = 256  # candidates that are rescored side by side


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A text for a gap."""

    text: str
    probability: float
    """Given both sides, and that the gap has at most the length; an estimate."""
    left_nats: float
    """-ln p(text | left)"""
    right_nats: float
    """-ln p(right | left text), of the LOOK ids after the gap."""


def fills(
    predictor: Predictor, left: str, right: str, *, n: int, length: int, samples: int, seed: int
) -> list[Fill]:
    """The n most probable fills of 1 to `length` ids, of those found in so many samples.

    For a model of lines the gap lies in one line, and the end of that line stands to the right.
    """
    for name, value, least in (("n", n, 1), ("length", length, 1), ("samples", samples, 2)):
        check_within(name, value, least)
    SamplingSettings(seed=seed)  # which checks it
    if predictor.lines:
        right = right.partition("\n")[0] + "\n"
    last, state = after_prompt(predictor, left, None)
    if not len(last) or not right:
        where = "after" if len(last) else "before"
        raise SettingsError(
            f"text: nothing stands {where} the gap; to continue a text there is complete"
        )
    following = predictor.encoded(right)[:LOOK]
    halves = _candidates(predictor, last, state, length, samples, seed)
    ids = sorted({*halves[0], *halves[1]})
    left_nats, right_nats = _rescored(predictor.engine, last, state, ids, following)
    weights = np.exp(
        right_nats.min(initial=0.0) - right_nats
    )  # of the best 1, so that none is lost
    joint = np.exp(-left_nats) * weights
    counts = np.array([[half[one] for one in ids] for half in halves])
    others = counts[::-1] * (counts == 0)  # of the other half, what this one has not found
    sizes = np.array([samples // 2, samples - samples // 2])
    sums = (joint * (counts > 0)).sum(1) + others @ weights / sizes
    total = max(float(sums.mean()), float(joint.sum()))
    return [
        Fill(
            text=predictor.vocabulary.decode(ids[at]),
            probability=float(joint[at] / total),
            left_nats=float(left_nats[at]),
            right_nats=float(right_nats[at]),
        )
        for at in np.argsort(-joint, kind="stable")[:n].tolist()
    ]


def _candidates(
    predictor: Predictor, last: Array, state: State, length: int, samples: int, seed: int
) -> list[Counter[tuple[int, ...]]]:
    """Of each half of some texts, their beginnings, and how many have each."""
    seeds = stream_seeds(seed, samples)
    found: list[Counter[tuple[int, ...]]] = [Counter(), Counter()]
    for start in range(0, samples, _TOGETHER):
        own = seeds[start : start + _TOGETHER]
        drawn, _ = predictor.engine.generate(
            np.repeat(last, len(own)),
            state.repeat(len(own)),
            length,
            SamplingSettings(),
            own,
            0,
            predictor.forbidden,
        )
        for number, ids in enumerate(drawn.T.tolist(), start):
            end = ids.index(predictor.line_start) if predictor.line_start in ids else length
            found[number % 2].update(tuple(ids[:size]) for size in range(1, end + 1))
    if predictor.vocabulary.kind == "bytes":  # a fill does not end inside a character
        return [Counter({i: n for i, n in half.items() if _is_whole(bytes(i))}) for half in found]
    return found


def _is_whole(found: bytes) -> bool:
    try:
        found.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rescored(
    engine: Engine, last: Array, state: State, candidates: Sequence[tuple[int, ...]], right: Array
) -> tuple[Array, Array]:
    """-ln p of each candidate after the left side, and of the right side after both."""
    left_nats, right_nats = np.zeros(len(candidates)), np.zeros(len(candidates))
    for size in {len(candidate) for candidate in candidates}:
        chosen = [at for at, candidate in enumerate(candidates) if len(candidate) == size]
        for start in range(0, len(chosen), _TOGETHER):
            at = chosen[start : start + _TOGETHER]
            ids = np.array([(*candidates[n], *right.tolist()) for n in at], np.int32).T
            inputs = np.concatenate([np.repeat(last[None], len(at), axis=1), ids[:-1]])
            nats = engine.surprisal(inputs, ids, state.repeat(len(at))).nats.astype(np.float64)
            left_nats[at], right_nats[at] = nats[:size].sum(0), nats[size:].sum(0)
    return left_nats, right_nats
