"""A predictor in one short call, for tests."""

from __future__ import annotations

from charloom.engines.base import Engine
from charloom.model.predictor import Predictor
from charloom.text.vocabulary import Vocabulary


def predictor(engine: Engine, vocabulary: Vocabulary, lines: bool = False) -> Predictor:
    return Predictor(engine=engine, vocabulary=vocabulary, lines=lines)
