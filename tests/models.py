"""Small models with random weights, and a run with a curve, for what looks into them."""

from __future__ import annotations

from pathlib import Path

from charloom import InMemory, TrainingSettings, train
from charloom.engines.weights import initial_weights
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

FOX = "the fox said:\t«€»\n" * 4
SPOKEN = 'the fox said: "the crow"\n\x1b[31m'


def fox_model(vocabulary: Vocabulary | None = None, **shape) -> Model:
    settings = ModelSettings(**{"hidden_size": 7, "num_layers": 2, **shape})
    vocabulary = vocabulary or Vocabulary.of(FOX)
    return Model(settings, vocabulary, initial_weights(settings, vocabulary.size, seed=0))


def scaled_model(characters: str = "ab.", *, scale: float = 3, seed: int = 0, **options) -> Model:
    """A small alphabet, and weights so large that its probabilities differ."""
    shape = ModelSettings(hidden_size=6, num_layers=1)
    vocabulary = Vocabulary.of(characters, **options)
    weights = initial_weights(shape, vocabulary.size, seed=seed)
    weights = {name: scale * values for name, values in weights.items()}
    return Model(shape, vocabulary, weights, precision="float32")


def spoken_model(**shape) -> Model:
    """Weights twice as large as the first ones, so that gates open and close."""
    settings = ModelSettings(**{"hidden_size": 9, "num_layers": 2, **shape})
    vocabulary = Vocabulary.of(SPOKEN)
    weights = initial_weights(settings, vocabulary.size, seed=3)
    weights = {name: 2 * values for name, values in weights.items()}
    return Model(settings, vocabulary, weights, precision="float32")


def short_run(folder: Path) -> None:
    run = train(
        InMemory("the fox and the crow. " * 30),
        output=folder,
        model=ModelSettings(hidden_size=4, num_layers=1),
        training=TrainingSettings(steps=20, batch_size=2, sequence_length=8),
    )
    run.finish()
