"""Which engine is opened, and what is refused."""

from __future__ import annotations

import pytest

from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError
from charloom.settings import ModelSettings

SETTINGS = ModelSettings(hidden_size=6, num_layers=2)


def test_the_environment_chooses_the_engine(monkeypatch: pytest.MonkeyPatch):
    weights = initial_weights(SETTINGS, 5, seed=0)
    monkeypatch.delenv("CHARLOOM_ENGINE", raising=False)
    assert open_engine(SETTINGS, 5, weights).kernels.startswith("native")
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    opened = open_engine(SETTINGS, 5, weights)
    assert (opened.kernels, opened.precision) == ("reference", "float32")
    monkeypatch.setenv("CHARLOOM_ENGINE", "abacus")
    with pytest.raises(SettingsError, match="'abacus'; it must be native or reference"):
        open_engine(SETTINGS, 5, weights)


def test_the_reference_says_that_it_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    with pytest.raises(SettingsError, match="no bfloat16; use float32"):
        open_engine(SETTINGS, 5, initial_weights(SETTINGS, 5, 0), precision="bfloat16")
