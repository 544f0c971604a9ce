"""Objects at a prompt and the help of settings: short, and nothing of pydantic's."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from typing import Any

import pytest

import charloom
from charloom.errors import short_repr
from charloom.model.completion.likeliest import Continuation, Continuations
from charloom.settings import Settings

MUCH = "the fox and the crow\n" * 1000
CHARACTERS = "".join(map(chr, range(0x4E00, 0x5E00)))
TINY = charloom.ModelSettings(hidden_size=64, num_layers=2)


def model() -> charloom.Model:
    return charloom.Model.untrained(TINY, charloom.Vocabulary.of(MUCH))


def run() -> charloom.Run:
    settings = charloom.TrainingSettings(steps=3)
    return charloom.train(charloom.InMemory(MUCH), model=TINY, training=settings)


def calibration() -> charloom.Calibration:
    ranks = tuple(range(1, 5001))
    scores = tuple(map(float, reversed(ranks)))
    return charloom.Calibration(parts=5000, intercept=1, slope=1, ranks=ranks, scores=scores)


def context() -> charloom.ContextReport:
    return charloom.context(model(), MUCH[:2000], distance=32)


def recall() -> Any:
    return next(iter(charloom.recall(hidden_size=4, distance=8, steps=2, rates=(0.01,))))


LARGE: dict[str, Callable[[], Any]] = {
    "InMemory": lambda: charloom.InMemory(MUCH),
    "Vocabulary": lambda: charloom.Vocabulary.of(CHARACTERS),
    "Model": model,
    "Run": run,
    "Trace": lambda: model().trace(MUCH[:300]),
    "TextState": lambda: model().state_after(MUCH[:300]),
    "Score": lambda: model().evaluate(MUCH[:300]),
    "Calibration": calibration,
    "ContextReport": context,
    "Recall": recall,
    "Comparison": lambda: charloom.compare(model(), model(), MUCH[:5000]),
    "Page": lambda: charloom.Page(html=MUCH, characters=300, cut=False),
    "Grammar": lambda: charloom.Grammar(MUCH),
    "JsonSchema": lambda: charloom.JsonSchema({"enum": list(CHARACTERS)}),
    "Pattern": lambda: charloom.Pattern(MUCH),
    "Continuations": lambda: Continuations(
        continuations=[Continuation(text=MUCH, nats=1.0, stopped=False)] * 99, bound=0.1, opened=9
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_an_object_is_one_short_line_at_a_prompt(name):
    line = repr(LARGE[name]())
    assert line.startswith(f"{name}(")
    assert "\n" not in line
    assert len(line) < 600


def test_no_field_is_left_out_and_short_ones_are_whole():
    state = LARGE["TextState"]()
    assert [part in repr(state) for part in ("hidden=", "cell=", f"last={state.last}")] == [
        True
    ] * 3
    assert short_repr(charloom.InMemory("the fox")) == "InMemory(text='the fox')"


PUBLIC = [getattr(charloom, name) for name in dir(charloom)]
ALL_SETTINGS = [one for one in PUBLIC if inspect.isclass(one) and issubclass(one, Settings)]


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=lambda one: one.__name__)
def test_help_names_each_setting_and_shows_nothing_of_pydantics(settings):
    text = pydoc.plain(pydoc.render_doc(settings))
    for name, field in settings.model_fields.items():
        assert f"{name}: {field.description}" in text
    before, after = text.split("pydantic.main.BaseModel", 1)  # in the order of resolution, once
    assert "pydantic" not in before + after
    assert len(text.splitlines()) < 80


def test_what_completes_settings_is_their_own():
    settings = charloom.SamplingSettings(seed=3)
    assert set(dir(settings)) == {*type(settings).model_fields, "of", "replace"}
    assert not [name for name in dir(charloom.TuningSettings) if name.startswith(("model_", "_"))]
