"""Units that seem to follow something with a name, found in a second or so.

For a page that opens on a unit worth looking at there is no time for all tests of a claim
(search.py). So of its four tests only the first two are made: the score is the correlation on
the half of the text that was not searched, at least LEAST, and it is above that of shuffled
labels. A candidate has not been compared with networks that know nothing, and not been clamped.
And only what a unit remembers and shows is searched, its article and its headline, not its gates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.weights import Array
from ...model.model import Model
from .features import Features, beginning, halves, searchable, searched
from .labels import labels
from .statistics import chance_of, turned

CHARACTERS = 4000
"""Of the text, at most: enough for the commoner labels."""

LEAST = 0.5
"""The smallest correlation that is worth a name, as in UnitsSettings."""

ALPHA = 0.05
"""Probability of any candidate where nothing is true."""

_SHUFFLES = 20


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The unit that follows a label best, and how well it does."""

    label: str
    layer: int
    """From 0."""
    unit: int
    quantity: str
    sign: int
    """-1 if the quantity falls where the label rises."""
    score: float
    """Correlation on the half of the text that was not searched, times sign."""
    named: bool
    """Whether it passes the two tests."""


def candidates(model: Model, text: str, *, seed: int = 0) -> list[Candidate]:
    """The best unit for each label of a text: those that pass first, the others after them.

    Within each group, labels of what comes next stand last, since a unit that follows them
    says what the prediction says anyway; then the highest score first. An empty list if no
    label holds often enough; TextError for a text that is too short (FEWEST).

    >>> import charloom
    >>> text = 'The fox said "no" and "yes". ' * 20
    >>> vocabulary = charloom.Vocabulary.of(text)
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> candidates(model, text)[-1].label.startswith("next is")
    True
    """
    start = beginning(model, text, CHARACTERS)
    present = searchable(model, start, labels(start))
    if not present:
        return []
    states = [name for name in ("C_t", "h_t") if name in searched(model)]
    features, random = Features(model, start, states), np.random.default_rng(seed)
    found = [
        _best(model, features, name, y, ALPHA / len(present), random) for name, y in present.items()
    ]
    return sorted(found, key=lambda c: (not c.named, c.label.startswith("next is"), -c.score))


def _best(
    model: Model,
    features: Features,
    name: str,
    y: Array,
    alpha: float,
    random: np.random.Generator,
) -> Candidate:
    search, held_out = halves(y)
    score, quantity, sign = (a[:, 0] for a in features.scores(search[:, None], held_out[:, None]))
    shuffled = features.scores(*(turned(half, _SHUFFLES, random) for half in (search, held_out)))
    best = int(score.argmax())
    p = chance_of(score[best], shuffled[0].max(axis=0))
    layer, unit = divmod(best, model.settings.hidden_size)
    return Candidate(
        label=name,
        layer=layer,
        unit=unit,
        quantity=features.quantities[quantity[best]],
        sign=int(sign[best]),
        score=float(score[best]),
        named=bool(p <= alpha and score[best] >= LEAST),
    )
