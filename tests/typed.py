"""A program as a user types it: what type checkers must see through the lazy names.

tests/peers/test_types.py checks it with mypy and pyright, and plants mistakes.
"""

from collections.abc import Iterator
from pathlib import Path

from typing_extensions import assert_type

import charloom
from charloom import InMemory, Model, Run, Score, Trace, TrainingSettings

run = charloom.train(InMemory("the fox"), training=TrainingSettings(steps=3))
assert_type(run, Run)
for progress in run:
    assert_type(progress, charloom.Progress)
    assert_type(progress.step, int)
    assert_type(progress.bits_per_character, float)
    assert_type(progress.validation, Score | None)
model = run.finish()
assert_type(model, Model)
assert_type(charloom.Model.load(Path("fox.run")), Model)
assert_type(model.generate("the", length=9), Iterator[str])
assert_type(model.generate_many("the", count=3), list[str])
assert_type(model.evaluate("the fox").bits_per_character, float)
assert_type(model.next("the"), dict[str, float])
assert_type(model.trace("the"), Trace)
for part in model.score("the fox", by="word"):
    assert_type(part, charloom.Part)
    assert_type(part.text, str)
assert_type(charloom.resume("fox.run"), Run)
assert_type(charloom.ModelSettings(hidden_size=32).hidden_size, int)
assert_type(charloom.plot("fox.run"), Path)
