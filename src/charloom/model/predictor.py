"""What predicts a text: an engine, the vocabulary of its ids, and whether lines stand alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engines.base import Engine, State
from ..engines.random import uniform
from ..engines.weights import Array
from ..text.batches import NOT_COUNTED
from ..text.unknown import warn_of_unknown
from ..text.vocabulary import Vocabulary

_BLOCK = 512  # ids of a context that are read in one call


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """The three that travel together wherever a text is scored, generated or traced."""

    engine: Engine
    vocabulary: Vocabulary
    lines: bool = False
    """Whether each line is a text of its own, read from a zero state after a line feed."""

    @property
    def line_start(self) -> int | None:
        """The id of the line feed that every line is read after; None where text is one stream."""
        return self.vocabulary.newline_id if self.lines else None

    @property
    def forbidden(self) -> tuple[int, ...]:
        """Ids that are never drawn: the unknown's."""
        return () if self.vocabulary.unknown_id is None else (self.vocabulary.unknown_id,)

    def drawn_evenly(self, seeds: Array) -> Array:
        """(B,) int32 the first character of each seed (B,) where nothing can be read before it."""
        count = self.vocabulary.size - len(self.forbidden)
        return (uniform(seeds, 0) * count).astype(np.int32)

    def context(self, prompt: str) -> Array:
        """(N,) int32 ids to read before what follows a prompt; none if there is nothing to read.

        A line knows nothing of those before it, and an empty prompt stands after a line feed
        where the vocabulary has one. A character that is not known is read as the unknown,
        with a warning that names it; UnknownCharacterError where there is no unknown.
        """
        if self.lines:
            prompt = prompt.rpartition("\n")[2]
        return self.opened(self.encoded(prompt))

    def encoded(self, text: str) -> Array:
        """(N,) int32 ids of a text; unknown characters as `context` reads them."""
        ids = self.vocabulary.encode(text)
        if self.vocabulary.has_unknown:
            warn_of_unknown(self.vocabulary.unknown_characters(text))
        return ids.astype(np.int32)

    def opened(self, ids: Array) -> Array:
        """(N,) int32 the ids of a line or a text (N,), after the line feed that opens them."""
        newline = self.vocabulary.newline_id
        if newline is not None and (self.lines or not len(ids)):
            ids = np.concatenate([[newline], ids])
        return ids.astype(np.int32)

    def read(self, ids: Array, state: State | None = None) -> State:
        """The state after some ids (N,), read as one stream from a state; by default, zero."""
        state = state or self.engine.zero_state(1)
        for start in range(0, len(ids), _BLOCK):
            inputs = ids[start : start + _BLOCK, None]
            uncounted = np.full_like(inputs, NOT_COUNTED)
            state = self.engine.surprisal(inputs, uncounted, state).state
        return state
