"""Which engine is opened, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError
from charloom.settings import ModelSettings, TrainingSettings

SETTINGS = ModelSettings(hidden_size=6, num_layers=2)


def test_the_environment_chooses_the_engine(monkeypatch: pytest.MonkeyPatch):
    weights = initial_weights(SETTINGS, 5, seed=0)
    monkeypatch.delenv("CHARLOOM_ENGINE", raising=False)
    assert open_engine(SETTINGS, 5, weights).kernels.startswith("native")
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    opened = open_engine(SETTINGS, 5, weights)
    assert (opened.kernels, opened.precision) == ("reference", "float32")
    monkeypatch.setenv("CHARLOOM_ENGINE", "abacus")
    with pytest.raises(SettingsError, match="'abacus'; it must be native, torch or reference"):
        open_engine(SETTINGS, 5, weights)


def test_the_reference_says_that_it_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    with pytest.raises(SettingsError, match="no bfloat16; use float32"):
        open_engine(SETTINGS, 5, initial_weights(SETTINGS, 5, 0), precision="bfloat16")


def test_an_engine_that_is_given_stands_above_the_environment(monkeypatch: pytest.MonkeyPatch):
    weights = initial_weights(SETTINGS, 5, seed=0)
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    assert open_engine(SETTINGS, 5, weights, engine="native").kernels.startswith("native")
    monkeypatch.delenv("CHARLOOM_ENGINE")
    assert open_engine(SETTINGS, 5, weights, engine="reference").kernels == "reference"
    assert open_engine(SETTINGS, 5, weights, device="cpu").kernels.startswith("native")


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_only_torch_takes_another_device(engine: str):
    weights = initial_weights(SETTINGS, 5, seed=0)
    with pytest.raises(SettingsError, match=f"device: cuda .* the {engine} engine .* use engine"):
        open_engine(SETTINGS, 5, weights, engine=engine, device="cuda")


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:-1", "cuda:9999", "meta", "x" * 9999, "a\nb"]
)
def test_a_device_that_there_is_not_is_one_short_line_and_loads_no_engine(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "charloom.engines.pytorch.engine", None)
    weights = initial_weights(SETTINGS, 5, seed=0)
    for refused in (
        lambda: TrainingSettings(device=name),
        lambda: open_engine(SETTINGS, 5, weights, device=name),
    ):
        with pytest.raises(
            SettingsError, match="it must be auto, cpu, cuda, cuda:N or mps"
        ) as told:
            refused()
        assert len(str(told.value)) < 300 and str(told.value).isprintable()


@pytest.mark.parametrize("asked", [{"engine": "torch"}, {"device": "cuda"}])
def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, asked: dict):
    for name in [name for name in sys.modules if name.startswith("charloom.engines.pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    weights = initial_weights(SETTINGS, 5, seed=0)
    with pytest.raises(SettingsError, match=r"not installed; pip install 'charloom\[torch\]'"):
        open_engine(SETTINGS, 5, weights, **asked)


def test_pytorch_is_imported_only_when_asked_for():
    code = "import sys, charloom, charloom.training.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
