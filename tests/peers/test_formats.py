"""Exported models compute the same in onnxruntime, Keras and PyTorch, and come back the same."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from replay import CASES, check

import charloom
from charloom.cli.main import main
from charloom.engines.base import Engine, State
from charloom.engines.cell import CELLS
from charloom.engines.weights import weight_shapes
from charloom.errors import ModelFileError
from charloom.export import keras as keras_format
from charloom.export import keras_file
from charloom.export import onnx as onnx_format
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore")

KINDS = [(cell, size) for cell in CELLS for size in (0, 5)]
BLOG = "abcdefghijklmnopqrstuvwxyz "  # the space is not in its place by code point


def arrays(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.array(ops.convert_to_numpy(tensor))


class Runtime(Engine):
    """A network that something else computes; all but logits follow."""

    kernels, precision = "elsewhere", "float32"

    def __init__(self, model: Model) -> None:
        self.settings, self.vocabulary_size = model.settings, model.vocabulary.size

    weights = optimizer_state = load = train_step = trace = None  # type: ignore


class Onnx(Runtime):
    def __init__(self, model: Model) -> None:
        super().__init__(model)
        onnxruntime = pytest.importorskip("onnxruntime")
        data = onnx_format.build(model).SerializeToString()
        self.session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def logits(self, inputs, state):
        given = {"ids": inputs.astype(np.int64), "hidden": state.hidden, "cell": state.cell}
        known = {place.name for place in self.session.get_inputs()}
        logits, hidden, *cell = self.session.run(
            None, {n: v for n, v in given.items() if n in known}
        )
        return logits, State(hidden=hidden, cell=cell[0] if cell else state.cell)


class Keras(Runtime):
    """One text, whose state Keras keeps: what stands in `state` is only read from there."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.network = keras_format.build(model, stateful=True)

    def zero_state(self, streams):
        for layer in self.recurrent():
            layer.reset_state()
        return super().zero_state(streams)

    def logits(self, inputs, state):
        x = inputs.T if self.settings.embedding_size else np.eye(self.vocabulary_size)[inputs.T]
        logits = arrays(self.network(x.astype(np.float32))).transpose(1, 0, 2)
        states = [[arrays(part) for part in layer.states] for layer in self.recurrent()]
        hidden = np.stack([parts[0] for parts in states])
        cell = np.stack([parts[1] for parts in states]) if len(states[0]) > 1 else state.cell
        return logits, State(hidden=hidden, cell=cell)

    def recurrent(self):
        return [layer for layer in self.network.layers if hasattr(layer, "reset_state")]


@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_replays_the_conformance_vectors(case):
    pytest.importorskip("onnx")
    check(case, Onnx)


@pytest.mark.parametrize("case", CASES)
def test_keras_replays_the_conformance_vectors(case):
    pytest.importorskip("keras")
    check(case, Keras, at_once=True)


def lively(cell: str, embedding_size: int, num_layers: int = 2) -> Model:
    """Weights that all matter, and below the size at which a plain RNN amplifies rounding."""
    settings = ModelSettings(
        cell=cell, hidden_size=24, num_layers=num_layers, embedding_size=embedding_size
    )
    vocabulary = Vocabulary.of("the fox and the crow\n", unknown=True)
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(scale=0.2, size=shape).astype(np.float32)
        for name, shape in weight_shapes(settings, vocabulary.size).items()
    }
    return Model(settings, vocabulary, weights, precision="float32")


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize(("cell", "embedding_size"), KINDS)
def test_onnxruntime_computes_any_number_of_streams_from_any_state(
    cell, embedding_size, num_layers
):
    onnx = pytest.importorskip("onnx")
    model = lively(cell, embedding_size, num_layers)
    made, engine, random = onnx_format.build(model), Onnx(model), np.random.default_rng(1)
    for T, B in ((1, 1), (30, 2), (1, 16)):
        ids = random.integers(0, model.vocabulary.size, (T, B)).astype(np.int32)
        parts = random.normal(scale=0.4, size=(2, num_layers, B, 24)).astype(np.float32)
        state = State(hidden=parts[0], cell=parts[1])
        logits, after = engine.logits(ids, state)
        expected, expected_after = model.engine.logits(ids, state)
        assert_allclose(logits, expected, rtol=0, atol=1e-5)
        assert_allclose(after.hidden, expected_after.hidden, rtol=0, atol=1e-5)
        assert_allclose(after.cell, expected_after.cell, rtol=0, atol=1e-5)
    onnx.checker.check_model(made, full_check=True)
    (kept,) = [prop.value for prop in made.metadata_props if prop.key == "charloom"]
    content = json.loads(kept)
    assert ModelSettings(**content["settings"]) == model.settings
    assert Vocabulary.from_json(content["vocabulary"]) == model.vocabulary


def test_greedy_text_is_equal_in_onnxruntime_and_equal_models_are_equal_files(tmp_path):
    pytest.importorskip("onnx")
    run = charloom.train(
        charloom.InMemory("the fox saw a crow on the limb of a tree\n" * 60),
        model=ModelSettings(hidden_size=48),
        training=charloom.TrainingSettings(steps=60, precision="float32"),
    )
    model = run.finish().with_weights(run.best_model().weights, precision="float32")
    model.save(tmp_path / "fox.safetensors")
    for name in ("a.onnx", "b.onnx"):
        assert main(["export", str(tmp_path / "fox.safetensors"), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    engine, prompt = Onnx(model), "the "
    ids = model.vocabulary.encode(prompt).astype(np.int32)
    _, state = engine.logits(ids[:-1, None], engine.zero_state(1))
    greedy = charloom.SamplingSettings(temperature=0)
    unknown = (model.vocabulary.unknown_id,)
    drawn, _ = engine.generate(ids[-1:], state, 200, greedy, np.zeros(1, np.uint64), 0, unknown)
    expected = "".join(model.generate(prompt, length=200, temperature=0))
    assert model.vocabulary.decode(drawn[:, 0]) == expected


@pytest.mark.parametrize(("cell", "embedding_size"), KINDS)
def test_a_keras_file_computes_the_same_and_comes_back_the_same(tmp_path, cell, embedding_size):
    keras = pytest.importorskip("keras")
    model, path = lively(cell, embedding_size), tmp_path / "fox.keras"
    charloom.export_model(model, path)
    network = keras.saving.load_model(path)
    ids = np.random.default_rng(1).integers(0, model.vocabulary.size, (20, 3)).astype(np.int32)
    x = ids.T if embedding_size else np.eye(model.vocabulary.size, dtype=np.float32)[ids.T]
    expected, _ = model.engine.logits(ids, model.engine.zero_state(3))
    assert_allclose(arrays(network(x)).transpose(1, 0, 2), expected, rtol=0, atol=1e-5)

    back = charloom.import_model(path)
    assert back.digest == model.digest
    network.layers[-1].set_weights([2 * values for values in network.layers[-1].get_weights()])
    network.save(path)  # without our description
    with pytest.raises(charloom.CharloomError, match="`characters` is missing"):
        keras_file.load(path)
    characters = model.vocabulary.characters + "?"
    changed = charloom.import_model(path, characters)
    order = [characters.index(character) for character in sorted(characters)]
    assert_array_equal(changed.weights["head.bias"], 2 * model.weights["head.bias"][order])


@pytest.mark.parametrize("outputs", ["softmax", None])
def test_the_blogs_sequential_becomes_a_model_with_equal_probabilities(tmp_path, outputs):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((15, 27)),
            layers.LSTM(75),
            layers.Dropout(0.2),
            layers.Dense(27, activation=outputs),
            *([] if outputs else [layers.Activation("softmax")]),
        ]
    )
    random = np.random.default_rng(0)
    network.set_weights([random.normal(0, 0.3, w.shape) for w in network.get_weights()])
    network.save(tmp_path / "blog.keras")
    (tmp_path / "letters.json").write_text(json.dumps(list(BLOG)))
    command = ["import", str(tmp_path / "blog.keras"), "-o", str(tmp_path / "blog.safetensors")]
    assert main([*command, "--characters", str(tmp_path / "letters.json")]) == 0
    model = Model.load(tmp_path / "blog.safetensors", precision="float32")
    text = "one bright morn"
    x = np.eye(27, dtype=np.float32)[[BLOG.index(character) for character in text]]
    expected, found = arrays(network(x[None]))[0], model.next(text)
    for character, probability in zip(BLOG, expected, strict=True):
        assert found[character] == pytest.approx(probability, abs=1e-6)


def refused_networks(keras: Any) -> dict[str, Any]:
    """Networks without a twin, by what has to be named."""
    layers = keras.layers

    def sequential(*between: Any, start: Any = None, end: Any = None) -> Any:
        start = keras.Input((15, 27)) if start is None else start
        return keras.Sequential([start, *between, end or layers.Dense(27, activation="softmax")])

    functional = keras.Input((15, 27))
    return {
        "reset_after=False": sequential(layers.GRU(4, reset_after=False)),
        "Bidirectional": sequential(layers.Bidirectional(layers.LSTM(4))),
        "Masking": sequential(layers.Masking(), layers.LSTM(4)),
        "mask_zero=True": sequential(
            layers.Embedding(27, 3, mask_zero=True), layers.LSTM(4), start=keras.Input((15,))
        ),
        "activation=relu": sequential(layers.LSTM(4, activation="relu")),
        "recurrent_activation=hard_sigmoid": sequential(
            layers.LSTM(4, recurrent_activation="hard_sigmoid")
        ),
        "go_backwards=True": sequential(layers.SimpleRNN(4, go_backwards=True)),
        "activation=sigmoid": sequential(
            layers.LSTM(4), end=layers.Dense(27, activation="sigmoid")
        ),
        "Lambda": sequential(layers.LSTM(4), layers.Lambda(lambda x: 2 * x)),
        "BatchNormalization": sequential(layers.LSTM(4), layers.BatchNormalization()),
        "LSTM of 4, LSTM of 5": sequential(layers.LSTM(4, return_sequences=True), layers.LSTM(5)),
        "LSTM, Dense, Dense": sequential(layers.LSTM(4), layers.Dense(9)),
        "Functional": keras.Model(functional, layers.Dense(27)(layers.LSTM(4)(functional))),
    }


def test_whatever_has_no_twin_is_refused_by_name_and_never_loaded(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    made = refused_networks(keras)
    for name, network in made.items():
        network.save(tmp_path / "no.keras")
        with monkeypatch.context() as patch:  # Keras itself is never asked
            patch.setattr(keras.saving, "load_model", None)
            patch.setattr(keras.layers.Lambda, "from_config", None)
            with pytest.raises(ModelFileError) as error:
                charloom.import_model(tmp_path / "no.keras", BLOG)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_a_keras_file_that_is_damaged_or_hostile_is_one_line(tmp_path):
    pytest.importorskip("keras")
    path, model = tmp_path / "fox.keras", lively("lstm", 0)
    charloom.export_model(model, path)
    with zipfile.ZipFile(path) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}

    def refused(changes: dict[str, bytes], complaint: str) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**whole, **changes}.items():
                archive.writestr(name, data)
        with pytest.raises(ModelFileError, match=complaint) as error:
            charloom.import_model(path)
        assert "\n" not in str(error.value)

    def config(change) -> dict[str, bytes]:
        content = json.loads(whole["config.json"])
        change(content["config"]["layers"])
        return {"config.json": json.dumps(content).encode()}

    refused({"config.json": b"["}, "cannot be read")
    refused({"config.json": b"[" * 1000}, "cannot be read")
    refused({"model.weights.h5": whole["model.weights.h5"][:500]}, "cannot be read")
    refused({"charloom.json": b"{}"}, "its description of the model")
    refused(config(lambda layers: layers[1].update(module="os")), "no twin")

    def units(number: Any) -> dict[str, bytes]:
        return config(lambda layers: [layers[k]["config"].update(units=number) for k in (1, 2)])

    refused(units(9), "the weights .* call for")
    refused(units(-1), "at least 1")
    refused(units("x"), "x")
    refused(config(lambda layers: layers[1].pop("config")), "config")
    refused(config(lambda layers: layers.pop()), "its layers are")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="cannot be read"):
        charloom.import_model(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n and more")
    with pytest.raises(ModelFileError, match="older format HDF5"):
        charloom.import_model(path)
    with pytest.raises(ModelFileError, match="no such file"):
        charloom.import_model(tmp_path / "none.keras")


@pytest.mark.parametrize(("cell", "embedding_size"), KINDS)
def test_a_torch_module_computes_the_same_and_comes_back_the_same(
    tmp_path: Path, cell, embedding_size
):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    from charloom.engines.pytorch.module import CharacterModel

    model = lively(cell, embedding_size)
    module = model.to_torch()
    assert isinstance(module, CharacterModel) and not module.training
    ids = np.random.default_rng(1).integers(0, model.vocabulary.size, (20, 3)).astype(np.int32)
    expected, _ = model.engine.logits(ids, model.engine.zero_state(3))
    with torch.no_grad():
        first, state = module(torch.tensor(ids[:9]).long())
        second, _ = module(torch.tensor(ids[9:]).long(), state)
    assert_allclose(torch.cat([first, second]), expected, rtol=0, atol=1e-5)
    back = Model.from_torch(module, model.vocabulary)
    assert (back.settings, back.digest) == (model.settings, model.digest)

    model.save(tmp_path / "fox.safetensors")
    assert_array_equal(
        load_file(tmp_path / "fox.safetensors")["head.bias"], module.head.bias.detach()
    )
    save_file(module.state_dict(), tmp_path / "torch.safetensors")
    again = charloom.import_model(tmp_path / "torch.safetensors", model.vocabulary)
    assert again.digest == model.digest


def test_a_module_of_another_making_becomes_a_model_and_what_has_no_twin_is_named():
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Other(nn.Module):
        def __init__(self, layers=None, *more):
            super().__init__()
            self.rnn = layers or nn.LSTM(27, 8, 2, batch_first=True, dropout=0.5)
            self.more = nn.ModuleList(more)
            self.drop = nn.Dropout(0.1)
            self.out = nn.Linear(8, 27)

    torch.manual_seed(0)
    other = Other().eval()
    model = Model.from_torch(other, BLOG, precision="float32")
    text = "one bright morn"
    x = nn.functional.one_hot(torch.tensor([[BLOG.index(c) for c in text]]), 27).float()
    with torch.no_grad():
        expected = other.out(other.rnn(x)[0][0, -1]).softmax(0)
    for character, probability in zip(BLOG, expected.tolist(), strict=True):
        assert model.next(text)[character] == pytest.approx(probability, abs=1e-6)
    without = Other(nn.GRU(27, 8, bias=False))
    assert not Model.from_torch(without, BLOG).weights["gru.bias_l0"].any()

    for module, name in [
        (Other(nn.LSTM(27, 8, bidirectional=True)), "bidirectional=True"),
        (Other(nn.LSTM(27, 16, proj_size=8)), "proj_size=8"),
        (Other(nn.RNN(27, 8, nonlinearity="relu")), "nonlinearity=relu"),
        (Other(None, nn.LayerNorm(8)), "LayerNorm"),
        (Other(None, nn.ReLU()), "ReLU"),
        (Other(None, nn.Linear(8, 8)), "second nn.Linear"),
        (Other(nn.LSTM(27, 8), nn.LSTM(8, 8)), "second nn.LSTM"),
        (Other(nn.LSTM(28, 8)), "read 28 numbers"),
        (nn.Linear(8, 27), "has no nn.LSTM"),
    ]:
        with pytest.raises(charloom.CharloomError, match=name):
            Model.from_torch(module, BLOG)


def test_the_programs_of_the_page_on_formats_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    with_onnx, with_torch = re.findall(
        r"```python peers\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    for cell in CELLS:
        model = lively(cell, 5)
        charloom.export_model(model, "fox.onnx")
        names: dict = {}
        exec(with_onnx, names)
        assert names["text"] == "the " + "".join(model.generate("the ", length=20, temperature=0))
    exec(with_torch, {})
    assert capsys.readouterr().out == "True\n"
