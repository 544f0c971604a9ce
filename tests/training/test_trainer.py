"""The network of a run: what a step does is a function of the position and the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from charloom import InMemory, ModelSettings, TextSettings, TrainingSettings
from charloom.errors import ModelFileError
from charloom.model.storage.provenance import CorpusFacts, PartFacts, SplitFacts
from charloom.text.corpus import build_corpus
from charloom.text.splitting import split
from charloom.training.plan import Plan
from charloom.training.position import Position
from charloom.training.trainer import Trainer

TEXT = "the fox saw a crow on the limb of a tree overhead\n" * 8


def a_trainer(checkpoint=None, **changes) -> Trainer:
    values = {"steps": 6, "batch_size": 4, "sequence_length": 8, "learning_rate": 0.02}
    training = TrainingSettings(**{**values, **changes})
    corpus = build_corpus(InMemory(TEXT), TextSettings())
    parts = split(corpus, TextSettings())
    facts = PartFacts(start=0, stop=1, sha256="0" * 64)
    plan = Plan(
        text=TextSettings(),
        model=ModelSettings(hidden_size=8, num_layers=1),
        training=training,
        vocabulary=corpus.vocabulary,
        corpus=CorpusFacts(**corpus.facts()),
        split=SplitFacts(training=facts, validation=facts),
    )
    return Trainer(plan, parts, checkpoint)


def advance(trainer: Trainer, position: Position, steps: int) -> Position:
    for _ in range(steps):
        trainer.step(position)
        position = position.after_batch(trainer.batches_in(position.epoch))
    return position


@pytest.mark.parametrize("batches", ["streams", "windows"])
def test_going_on_from_a_checkpoint_equals_going_on(batches):
    straight = a_trainer(batches=batches)
    position = advance(straight, straight.start, 3)
    resumed = a_trainer(straight.checkpoint(position), batches=batches)
    assert resumed.start == position
    for trainer in (straight, resumed):
        advance(trainer, position, 3)
    for name, weight in straight.weights().items():
        assert np.array_equal(weight, resumed.weights()[name])


def test_a_validation_changes_nothing():
    trainer = a_trainer()
    before = trainer.weights()
    first = trainer.validate()
    assert trainer.validate() == first
    assert first.characters == 40
    assert all(np.array_equal(w, before[name]) for name, w in trainer.weights().items())


@pytest.mark.parametrize(
    ("position", "streams"),
    [
        (Position(steps=6, step=1, index=99), 4),
        (Position(steps=6, step=1, epoch=2**62, index=99), 4),
        (Position(steps=6, step=1, index=1), 3),
        (Position(steps=6, step=2, index=1), 4),
    ],
)
def test_a_position_that_does_not_fit_the_run_is_refused(position, streams):
    trainer = a_trainer()
    advance(trainer, trainer.start, 1)
    checkpoint = trainer.checkpoint(position)
    checkpoint = replace(checkpoint, state=checkpoint.state.select(slice(0, streams)))
    with pytest.raises(ModelFileError, match="does not fit"):
        a_trainer(checkpoint)
