"""The units on which a page can open: those that seem to follow something with a name.

They are found once, in the text that the page shows first. A text too short for that says
nothing about units, so one that the model generates takes its place.
"""

from __future__ import annotations

from dataclasses import asdict
from threading import Lock
from typing import Any

from ..errors import TextError
from ..inspection.units.candidates import candidates
from ..model.model import Model

ENOUGH = 1000
"""Characters of a text in which units are searched."""

GENERATED = 3000
"""Characters that the model generates in the place of a shorter one."""

MOST = 12
"""Units that a page offers."""


def opening_units(model: Model, text: str) -> list[dict[str, Any]]:
    """Candidates (inspection/units/candidates.py) as JSON, the best first.

    >>> from charloom import ModelSettings
    >>> from charloom.text.vocabulary import Vocabulary
    >>> model = Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("the cat. "))
    >>> units = opening_units(model, "the cat. " * 200)
    >>> sorted(units[0])
    ['label', 'layer', 'named', 'quantity', 'score', 'sign', 'unit']
    """
    if len(text) < ENOUGH:
        text = "".join(model.generate(length=GENERATED, seed=0))
    try:
        found = candidates(model, text)
    except TextError:  # a model whose texts end early
        return []
    return [{**asdict(one), "score": round(one.score, 3)} for one in found[:MOST]]


class OpeningUnits:
    """The same, found when they are first asked for, by an engine of their own."""

    def __init__(self, model: Model, text: str) -> None:
        self._model, self._text = model, text
        self._lock = Lock()
        self._found: list[dict[str, Any]] | None = None

    def get(self) -> list[dict[str, Any]]:
        """The units; whoever asks while they are searched waits for them."""
        with self._lock:
            if self._found is None:
                copy = self._model.with_weights(self._model.weights)
                self._found = opening_units(copy, self._text)
            return self._found
