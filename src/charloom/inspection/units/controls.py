"""Controls: networks of the same shape that know nothing of the text.

A network need not have learned anything for a unit of it to follow something: its state
is a decaying sum of what was read, and the best of hundreds of such sums rises and falls
with the words. How well differs from network to network, so one control would not do.
There are two kinds, of each so many that the tail of their best scores can be judged:

    untrained   other first weights of the same kind, the first those that the run began with
    shuffled    trained on the same letters in random order: each is drawn on its own, so
                there is nothing to learn but how often each occurs

Training on shuffled letters changes the best scores within some 50 steps, and no further
(docs/measurements.md), so that few steps of few streams do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.base import StepSettings
from ...engines.weights import Array, Weights, initial_weights
from ...model.model import Model
from ...settings import TrainingSettings
from ..settings import UnitsSettings
from .features import best_scores
from .statistics import chance_of

STEPS = 100
"""Optimizer steps of a network that is trained on shuffled letters."""

_STREAMS = 16
_LENGTH = 32
_WARMUP_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Controls:
    """The best scores of networks that know nothing, for N labels."""

    untrained: Array
    """(networks, N)"""
    shuffled: Array
    """(networks, N)"""

    def best(self, label: int) -> float:
        """The best score of any of them for a label."""
        return float(max(self.untrained[:, label].max(), self.shuffled[:, label].max()))

    def chance_of(self, score: Array, label: int) -> Array:
        """(U,) how likely a network that knows nothing has a unit with such a score (U,).

        The larger one of the two kinds; 1 for what does not exceed the best of them.
        """
        kinds = (self.untrained[:, label], self.shuffled[:, label])
        p = np.maximum(*(chance_of(score, kind) for kind in kinds))
        return np.where(score > self.best(label), p, 1.0)


def controls(model: Model, text: str, labels: Array, settings: UnitsSettings) -> Controls:
    """Search networks like this one that know nothing, for N labels (T, N)."""
    seeds = np.random.SeedSequence([settings.seed, 1]).generate_state(
        settings.untrained + settings.letter_shuffled, np.uint64
    )
    first, others = np.split(seeds >> np.uint64(1), [settings.untrained])
    own = [model.provenance.seed, *first[1:].tolist()]
    return Controls(
        untrained=np.array([best_scores(untrained(model, s), text, labels) for s in own]),
        shuffled=np.array(
            [best_scores(letter_shuffled(model, text, s), text, labels) for s in others.tolist()]
        ),
    )


def untrained(model: Model, seed: int) -> Model:
    """A network of the same shape with first weights."""
    return model.with_weights(_first(model, seed))


def letter_shuffled(model: Model, text: str, seed: int, steps: int = STEPS) -> Model:
    """A network of the same shape, trained on the letters of a text in random order."""
    first = _first(model, seed)
    rounded = model.engine.precision == "int8"  # which cannot be trained
    engine = model.with_weights(first, precision="float32" if rounded else None).engine
    ids = model.vocabulary.encode(text).astype(np.int32)
    random = np.random.default_rng([seed, 1])
    training = model.provenance.training or TrainingSettings()
    state = engine.zero_state(_STREAMS)
    for step in range(steps):
        drawn = ids[random.integers(0, len(ids), (_LENGTH + 1, _STREAMS))]
        rising = min(1.0, (step + 1) / _WARMUP_STEPS)
        how = StepSettings(learning_rate=training.learning_rate * rising, clip_norm=1.0)
        state = engine.train_step(drawn[:-1], drawn[1:], state, how).state
    return model.with_weights(engine.weights())


def _first(model: Model, seed: int) -> Weights:
    """First weights, drawn as those of the model's run were."""
    training = model.provenance.training or TrainingSettings()
    return initial_weights(
        model.settings, model.vocabulary.size, seed, first_values=training.first_values
    )
