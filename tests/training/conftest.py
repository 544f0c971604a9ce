"""A small base in place of the one that comes with charloom."""

from __future__ import annotations

import pytest
from runs import TEXT, settings

from charloom.model import bases
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.corpus import InMemory
from charloom.training.start import train


@pytest.fixture
def english(tmp_path, monkeypatch) -> Model:
    """A small model that knows TEXT, in place of the one that comes with charloom."""
    shape = ModelSettings(hidden_size=16, num_layers=1)
    model = train(InMemory(TEXT), model=shape, training=settings(steps=60)).finish()
    model.save(tmp_path / "small.safetensors")
    monkeypatch.setitem(bases.BASES, "english", str(tmp_path / "small.safetensors"))
    return model
