"""The program of docs/file-format.md: PyTorch alone reads what charloom wrote."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from messages import messages

from charloom.engines.weights import initial_weights
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "file-format.md"
TEXT = "The Fox saw a Crow on the limb of a tree: «à bientôt», he said.\n" * 20


def run_the_page() -> dict:
    """Execute its program in the current folder; the names it leaves."""
    blocks = re.findall(r"```python peers\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile("\n".join(blocks), str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("core", ["native", "reference"])
@pytest.mark.parametrize("vocabulary", [Vocabulary.of(TEXT[:40], unknown=True), Vocabulary.bytes()])
@pytest.mark.parametrize("embedding_size", [0, 5])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_pytorch_gives_the_same_nats(
    tmp_path, monkeypatch, capsys, cell, embedding_size, vocabulary, core
):
    monkeypatch.setenv("CHARLOOM_ENGINE", core)
    settings = ModelSettings(cell=cell, hidden_size=24, num_layers=2, embedding_size=embedding_size)
    weights = initial_weights(settings, vocabulary.size, seed=1)
    random = np.random.default_rng(2)
    weights = {  # none of them zero, all gates unequal
        name: weight + random.normal(scale=0.2, size=weight.shape).astype(np.float32)
        for name, weight in weights.items()
    }
    model = Model(settings, vocabulary, weights, precision="float32")
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    with messages():
        exact = model.evaluate(TEXT, exact=True)
    names = run_the_page()
    assert "bits per character" in capsys.readouterr().out
    nats = names["total_nats"](names["network"], names["description"], TEXT)
    assert nats == pytest.approx(exact.nats, rel=1e-5)


def test_pytorch_reads_weights_of_8_bits(tmp_path, monkeypatch):
    vocabulary, settings = Vocabulary.of(TEXT), ModelSettings(hidden_size=24, num_layers=2)
    model = Model.untrained(settings, vocabulary, seed=1)
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.safetensors", bits=8)
    monkeypatch.chdir(tmp_path)
    exact = Model.load(tmp_path / "run", precision="float32").evaluate(TEXT, exact=True)
    names = run_the_page()
    assert names["description"]["format"] == 2
    nats = names["total_nats"](names["network"], names["description"], TEXT)
    assert nats == pytest.approx(exact.nats, rel=1e-5)
