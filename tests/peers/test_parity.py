"""PyTorch and Keras, run here and now, compute what charloom computes.

Needs the extra `peers`; what is not installed is skipped.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from agreement import check_against_torch, losses_after_keras, reference64
from golden.make_golden import run_keras, run_torch
from numpy.testing import assert_allclose

from charloom.engines.base import State, StepSettings
from charloom.engines.selection import open_engine
from charloom.engines.weights import initial_weights
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

# Warnings of PyTorch, Keras and JAX about themselves are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

native32 = partial(open_engine, precision="float32")
SIZES = {"vocabulary_size": 50, "hidden_size": 96, "steps": 40, "streams": 9}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def keras():
    pytest.importorskip("jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("embedding_size", [0, 20])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_pytorch_and_the_reference_agree_there_and_back(
    torch, cell: str, embedding_size: int, num_layers: int
):
    check_against_torch(run_torch(cell, embedding_size, num_layers, seed=2), reference64)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("embedding_size", [0, 20])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_pytorch_and_the_native_core_agree_there_and_back(
    torch, cell: str, embedding_size: int, num_layers: int
):
    found = run_torch(cell, embedding_size, num_layers, 3, largest_weight=0.15, **SIZES)
    check_against_torch(found, native32, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("embedding_size", [0, 12])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_plain_pytorch_loads_a_model_file_and_finds_the_same_nats(
    torch, tmp_path: Path, cell: str, embedding_size: int
):
    text = fable(lines=300, seed=0)
    settings = ModelSettings(cell=cell, hidden_size=64, num_layers=2, embedding_size=embedding_size)
    model = trained(settings, text)
    model.save(tmp_path / "model.safetensors")
    held_out = fable(lines=100, seed=1)
    ours = Model.load(tmp_path / "model.safetensors", precision="float32")
    score = ours.evaluate(held_out, exact=True)
    assert score.bits_per_character < 3.5  # trained: not the nats of a blind guess

    theirs = total_nats_of_plain_pytorch(torch, tmp_path / "model.safetensors", ours, held_out)
    assert score.nats == pytest.approx(theirs, rel=1e-5)


def total_nats_of_plain_pytorch(torch, path: Path, model: Model, text: str) -> float:
    """One stream from the first character, which is charged ln V: a blind guess."""
    from safetensors.torch import load_file

    size, settings = model.vocabulary.size, model.settings
    layers = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[settings.cell]
    modules = {
        settings.cell: layers(
            settings.embedding_size or size, settings.hidden_size, settings.num_layers
        ),
        "head": torch.nn.Linear(settings.hidden_size, size),
    }
    if settings.embedding_size:
        modules["embedding"] = torch.nn.Embedding(size, settings.embedding_size)
    network = torch.nn.ModuleDict(modules)
    network.load_state_dict(load_file(path), strict=True)

    ids = torch.from_numpy(model.vocabulary.encode(text).astype(np.int64))
    with torch.no_grad():
        if settings.embedding_size:
            x = network["embedding"](ids[:-1])
        else:
            x = torch.nn.functional.one_hot(ids[:-1], size).float()
        logits = network["head"](network[settings.cell](x)[0]).double()
        rest = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum")
    return math.log(size) + float(rest)


def fable(lines: int, seed: int) -> str:
    """Sentences of a tiny grammar, so that there is something to learn."""
    random = np.random.default_rng(seed)
    who = ["a fox", "the crow", "one mouse", "an old lion", "the wolf"]
    what = ["saw", "asked", "feared", "followed"]
    words = ((random.choice(who), random.choice(what), random.choice(who)) for _ in range(lines))
    return "\n".join(" ".join(sentence) + "." for sentence in words)


def trained(settings: ModelSettings, text: str, streams: int = 16, steps: int = 120) -> Model:
    """A model after a few steps of training with the native core."""
    vocabulary = Vocabulary.of(text)
    weights = initial_weights(settings, vocabulary.size, seed=0)
    engine = native32(settings, vocabulary.size, weights)
    ids = vocabulary.encode(text).astype(np.int32)
    ids = ids[: len(ids) // streams * streams].reshape(streams, -1).T
    zero = State.zeros(settings, streams)
    step = StepSettings(learning_rate=5e-3, clip_norm=1.0)
    for number in range(steps):
        start = number * 32 % (len(ids) - 33)
        inputs, targets = ids[start : start + 32], ids[start + 1 : start + 33]
        engine.train_step(inputs, targets, zero, step)
    return Model(settings, vocabulary, engine.weights())


def test_500_steps_of_the_blogs_program_have_kerass_losses_to_1e_8_in_float64(keras):
    found = run_keras(seed=4, floatx="float64")
    losses = losses_after_keras(found, reference64)
    assert len(losses) == 500
    assert_allclose(losses, found["losses"], rtol=1e-8, atol=1e-8)


def test_500_steps_of_the_blogs_program_have_kerass_losses_to_1e_3_in_float32(keras):
    found = run_keras(seed=5, floatx="float32")
    losses = losses_after_keras(found, native32)
    assert len(losses) == 500
    assert_allclose(losses, found["losses"], rtol=1e-3, atol=1e-3)
