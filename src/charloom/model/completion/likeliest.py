"""The n most probable continuations of a prompt, found best first, and a bound on all others.

A prefix is at least as probable as anything that it begins. So the most probable prefix that
waits is opened next, until none of them is more probable than the n-th best continuation that
has ended: then no other can be. A beam search before it finds n that have ended, to begin with.
Where the search is stopped early, the most probable prefix that waits is the bound.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...engines.base import State
from ...engines.loss import log_softmax
from ...errors import SettingsError, short_repr
from ...settings import check_within
from ..predictor import Predictor
from ..storage.text_state import TextState, after_prompt

_TOGETHER = 32  # prefixes that are opened in one call of the engine


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A text that follows a prompt, and how probable it is."""

    text: str
    nats: float
    """-ln of the probability of its characters, and of the stop string where it has one."""
    stopped: bool
    """Whether it ended before a stop string, and not by the length."""

    @property
    def probability(self) -> float:
        """Its share of all continuations to a stop string or the length."""
        return math.exp(-self.nats)


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """The most probable continuations, and what is known of the others."""

    __repr__ = short_repr

    continuations: list[Continuation]
    """The most probable first."""
    bound: float
    """No other continuation has a larger probability than this."""
    opened: int
    """How many prefixes were looked at."""

    @property
    def complete(self) -> bool:
        """Whether these are the most probable ones, and not only those that were found so far."""
        return self.bound <= min((one.probability for one in self.continuations), default=0)

    @property
    def total(self) -> float:
        """Their probability, all together."""
        return math.fsum(one.probability for one in self.continuations)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "continuations": [
                {"text": c.text, "probability": c.probability, "stopped": c.stopped}
                for c in self.continuations
            ],
            "total": self.total,
            "bound": self.bound,
            "complete": self.complete,
            "opened": self.opened,
        }


class _Prefix(NamedTuple):
    """Some ids after the prompt. The smallest is the most probable; the ids decide among equals."""

    nats: float
    ids: tuple[int, ...]
    state: State
    """Before the last of them is read."""


def likeliest(
    predictor: Predictor,
    prompt: str,
    *,
    n: int,
    length: int,
    stops: Sequence[str],
    most: int,
    before: TextState | None = None,
) -> Continuations:
    """The n most probable continuations to a stop string, or to a length in ids.

    A line feed is a stop string for a model of lines. At most `most` prefixes are opened. The
    unknown character stands in no continuation: its probability is that of others.
    """
    for name, value, highest in (("n", n, 65536), ("length", length, 65536), ("most", most, 10**8)):
        check_within(name, value, 1, highest)
    if "" in stops:
        raise SettingsError("until: '' was given; it must have at least one character")
    search = _Search(predictor, [*stops, *["\n"] * predictor.lines], n, length)
    waiting = search.first(prompt, before)
    beam, limit = waiting, search.opened + most
    while beam and search.opened < limit:
        beam = search.opening(heapq.nsmallest(max(n, _TOGETHER), beam)[: limit - search.opened])
    while waiting and waiting[0].nats < search.threshold and search.opened < limit:
        room = min(_TOGETHER, limit - search.opened)
        together = [heapq.heappop(waiting)]
        while waiting and len(together) < room and waiting[0].nats < search.threshold:
            together.append(heapq.heappop(waiting))
        for prefix in search.opening(together):
            heapq.heappush(waiting, prefix)
    return search.result(waiting[0].nats if waiting else math.inf)


class _Search:
    """What has ended so far, and how prefixes are opened.

    Attributes:
        opened: how many were.
        threshold: nats of the n-th best that has ended; inf while there are fewer.

    """

    def __init__(self, predictor: Predictor, stops: list[str], n: int, length: int) -> None:
        vocabulary = predictor.vocabulary
        self.opened, self.threshold = 0, math.inf
        self._predictor, self._n, self._length = predictor, n, length
        self._ended: dict[tuple[int, ...], float] = {}
        self._stops = [
            tuple(vocabulary.encode(stop).tolist())
            for stop in stops
            if not vocabulary.unknown_characters(stop)  # which never comes
        ]

    def first(self, prompt: str, before: TextState | None) -> list[_Prefix]:
        """The prefixes of one id."""
        engine, size = self._predictor.engine, self._predictor.vocabulary.size
        last, state = after_prompt(self._predictor, prompt, before)
        logits = np.zeros((1, size))  # where nothing stands before: a blind guess
        if len(last):
            found, state = engine.logits(last[None], state)
            logits = found[0]
        waiting = self._children([_Prefix(0.0, (), state)], logits, state)
        heapq.heapify(waiting)
        return waiting

    def opening(self, prefixes: list[_Prefix]) -> list[_Prefix]:
        """What is one id longer and could be among the best; what has ended is kept here."""
        inputs = np.array([[prefix.ids[-1] for prefix in prefixes]], np.int32)
        state = prefixes[0].state.beside(*(prefix.state for prefix in prefixes[1:]))
        logits, state = self._predictor.engine.logits(inputs, state)
        self.opened += len(prefixes)
        return self._children(prefixes, logits[0], state)

    def _children(self, prefixes: list[_Prefix], logits: Any, state: State) -> list[_Prefix]:
        nats = -log_softmax(logits.astype(np.float64))
        nats[:, list(self._predictor.forbidden)] = np.inf
        children: list[_Prefix] = []
        for column, prefix in enumerate(prefixes):
            own = state.select(np.array([column]))
            for id in np.argsort(nats[column], kind="stable").tolist():
                total = float(prefix.nats + nats[column, id])
                if total >= self.threshold or total == math.inf:
                    break
                ids = (*prefix.ids, id)
                if len(ids) == self._length or self._stop(ids):
                    self._end(ids, total)
                else:
                    children.append(_Prefix(total, ids, own))
        return children

    def _end(self, ids: tuple[int, ...], nats: float) -> None:
        self._ended[ids] = nats
        if len(self._ended) >= self._n:
            best = heapq.nsmallest(self._n, self._ended.items(), key=lambda found: found[1])
            self._ended, self.threshold = dict(best), best[-1][1]

    def _stop(self, ids: tuple[int, ...]) -> int:
        """How many ids at the end are a stop string."""
        return max((len(s) for s in self._stops if ids[-len(s) :] == s), default=0)

    def result(self, waiting: float) -> Continuations:
        """What has ended, where the most probable prefix that waits has so many nats."""
        best = sorted(self._ended.items(), key=lambda found: (found[1], found[0]))
        decode = self._predictor.vocabulary.decode
        found = [
            Continuation(
                text=decode(ids[: len(ids) - self._stop(ids)]),
                nats=nats,
                stopped=self._stop(ids) > 0,
            )
            for ids, nats in best
        ]
        return Continuations(
            continuations=found,
            bound=math.exp(-min(waiting, self.threshold)),
            opened=self.opened,
        )
