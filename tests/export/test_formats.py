"""Formats that need no other package, and what is said where one is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from models import fox_model
from safetensors.numpy import load_file, save_file

from charloom.cli.formats import export
from charloom.cli.main import main
from charloom.engines.cell import CELLS
from charloom.errors import CharloomError, ModelFileError, SettingsError
from charloom.export import page, safetensors
from charloom.export.description import described, description
from charloom.export.formats import export_model, import_model
from charloom.export.layers import layers_of, weights_of
from charloom.model.model import Model
from charloom.model.scoring import Score
from charloom.model.storage.characters import read_characters
from charloom.model.storage.provenance import Provenance
from charloom.text.vocabulary import Vocabulary

KINDS = [(cell, size) for cell in CELLS for size in (0, 3)]


@pytest.mark.parametrize(("cell", "embedding_size"), KINDS)
def test_layers_in_another_order_of_gates_come_back_as_they_were(cell, embedding_size):
    model = lively(cell=cell, embedding_size=embedding_size)
    gates = CELLS[cell].gates[::-1]
    layers = layers_of(model.settings, model.weights, gates)
    back = weights_of(model.settings, layers, gates)
    assert back.keys() == {name for name in model.weights if name.startswith(cell)}
    for name, values in back.items():
        np.testing.assert_array_equal(values, model.weights[name])
    if len(gates) > 1:
        H = model.settings.hidden_size
        first = model.weights[f"{cell}.weight_hh_l0"]
        np.testing.assert_array_equal(layers[0].weight_hh[:H], first[-H:])


def lively(**shape) -> Model:
    """No weight is zero, no two gates are alike."""
    model = fox_model(**shape)
    random = np.random.default_rng(0)
    return model.with_weights(
        {n: random.normal(size=w.shape).astype(np.float32) for n, w in model.weights.items()},
        precision="float32",
    )


def measured(model: Model) -> Model:
    model.provenance = Provenance(
        step=7,
        note="of the fox",
        validation=Score(nats=1.0, characters=2, utf8_bytes=2, unknown_characters=0),
    )
    return model


@pytest.mark.parametrize(("cell", "embedding_size"), KINDS)
def test_a_file_that_was_edited_elsewhere_is_stamped_anew(tmp_path, cell, embedding_size):
    model = measured(lively(cell=cell, embedding_size=embedding_size))
    path = tmp_path / "fox.safetensors"
    model.save(path)
    tensors = load_file(path)
    tensors[f"{cell}.bias_hh_l0"][:] += 1
    tensors["head.bias"][2] = 5
    metadata = {"charloom": kept_description(path)}
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelFileError):
        Model.load(path)
    assert main(["import", str(path), "-o", str(tmp_path / "new.safetensors")]) == 0
    back = Model.load(tmp_path / "new.safetensors")
    assert (back.settings, back.vocabulary) == (model.settings, model.vocabulary)
    assert back.weights["head.bias"][2] == 5
    changed = back.weights[f"{cell}.bias_l0"] - model.weights[f"{cell}.bias_l0"]
    assert set(np.round(changed, 5)) <= {0, 1} and changed.any()
    # What was measured of other weights is no longer said; what else was known is.
    assert back.provenance.to_json() == {"note": "of the fox", "imported": "fox.safetensors"}


def kept_description(path: Path) -> str:
    header = path.read_bytes()[8:]
    return json.JSONDecoder().raw_decode(header.decode("latin-1"))[0]["__metadata__"]["charloom"]


def test_a_file_without_a_description_needs_characters_and_takes_any_order_of_them(tmp_path):
    model = lively()
    path = tmp_path / "fox.safetensors"
    model.save(path)
    order = np.random.default_rng(1).permutation(model.vocabulary.size)
    tensors = load_file(path)
    for name in ("head.weight", "head.bias"):
        tensors[name] = tensors[name][order]
    tensors["lstm.weight_ih_l0"] = np.ascontiguousarray(tensors["lstm.weight_ih_l0"][:, order])
    save_file(tensors, path)
    with pytest.raises(SettingsError, match="`characters` is missing"):
        import_model(path)
    characters = "".join(model.vocabulary.characters[id] for id in order)
    mapping = {character: id for id, character in enumerate(characters)}
    letters = tmp_path / "letters.json"
    for given in (characters, list(characters), mapping):
        assert import_model(path, given).digest == model.digest
        letters.write_text(json.dumps(given))
        assert read_characters(letters) == given
        assert import_model(path, letters).digest == model.digest


@pytest.mark.parametrize(
    ("characters", "complaint"),
    [
        ("abc", "3 were given, but the network has"),
        (["ab"], "'ab' was given; each must be one character"),
        ("aa", "'a' was given twice"),
        ({"a": 1, "b": 2}, "their ids are not 0 to 1, each once"),
    ],
)
def test_characters_that_cannot_be_are_refused(tmp_path, characters, complaint):
    fox_model().save(tmp_path / "fox.safetensors")
    with pytest.raises(SettingsError, match=complaint):
        import_model(tmp_path / "fox.safetensors", characters)


@pytest.mark.parametrize("content", ["7", '{"a": "b"}', "[", ""])
def test_a_file_that_gives_no_characters_is_refused(tmp_path, content, capsys):
    fox_model().save(tmp_path / "fox.safetensors")
    letters = tmp_path / "letters.json"
    letters.write_text(content)
    command = ["import", str(tmp_path / "fox.safetensors"), "--characters", str(letters)]
    assert main([*command, "-o", str(tmp_path / "new.safetensors")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "letters.json" in line
    assert not (tmp_path / "new.safetensors").exists()


def test_tensors_that_are_no_model_are_refused(tmp_path):
    model = fox_model()
    path = tmp_path / "fox.safetensors"
    model.save(path)
    whole = load_file(path)

    def refused(changes: dict, complaint: str) -> None:
        tensors = {n: v for n, v in {**whole, **changes}.items() if v is not None}
        save_file(tensors, path)
        with pytest.raises(ModelFileError, match=complaint) as error:
            import_model(path, model.vocabulary)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)

    refused({"head.bias": None}, "a model has head.weight, head.bias")
    refused({"lstm.bias_hh_l1": None}, "its tensor lstm.bias_hh_l1 is missing")
    refused({"more": np.zeros(1, np.float32)}, "its tensors more belong to no model")
    refused({"head.weight": np.zeros((3, 7), np.float32)}, r"its tensor .* is \(")
    refused({"head.bias": np.zeros(3, np.int64)}, "is int64, not float32")
    path.write_bytes(b"no file")
    with pytest.raises(ModelFileError, match="cannot be read"):
        import_model(path)
    with pytest.raises(ModelFileError, match="no such file"):
        import_model(tmp_path / "none.safetensors")


def test_an_exported_model_file_is_the_saved_one(tmp_path):
    model = measured(fox_model())
    export_model(model, tmp_path / "a.safetensors")
    model.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    back = safetensors.load(tmp_path / "a.safetensors")
    assert (back.digest, back.provenance) == (model.digest, model.provenance)


def test_a_page_is_one_html_file(tmp_path):
    fox_model().save(tmp_path / "fox.safetensors")
    target = tmp_path / "fox.html"
    export(tmp_path / "fox.safetensors", target)
    assert target.read_text("utf-8").lstrip().startswith("<!")
    page.save(fox_model(), target)


def test_a_description_has_all_but_the_weights():
    model = measured(fox_model())
    vocabulary, content = described(description(model).encode())
    assert vocabulary == model.vocabulary
    assert content["settings"] == model.settings.model_dump()
    assert content["digest"] == model.digest
    for wrong in (b"", b"{}", b'{"vocabulary": 7}', b"[" * 100):
        with pytest.raises(CharloomError):
            described(wrong)


@pytest.mark.parametrize("name", ["fox", "fox.pt", "fox.h5", "fox.ONNX "])
def test_an_unknown_format_is_one_line_that_names_the_others(tmp_path, name, capsys):
    fox_model().save(tmp_path / "fox.safetensors")
    assert main(["export", str(tmp_path / "fox.safetensors"), "-o", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ".onnx, .keras, .html, .safetensors" in line


def test_the_stateful_form_is_kerass_alone(tmp_path):
    with pytest.raises(SettingsError, match=r"stateful: it is for a \.keras file alone"):
        export_model(fox_model(), tmp_path / "fox.onnx", stateful=True)


@pytest.mark.parametrize(("missing", "extra"), [("onnx", "onnx"), ("keras", "keras")])
def test_a_missing_package_is_one_line_that_names_the_extra(
    tmp_path, monkeypatch, capsys, missing, extra
):
    monkeypatch.setitem(sys.modules, missing, None)
    fox_model().save(tmp_path / "fox.safetensors")
    command = ["export", str(tmp_path / "fox.safetensors"), "-o", str(tmp_path / f"x.{missing}")]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"pip install 'charloom[{extra}]'" in line
    assert not (tmp_path / f"x.{missing}").exists()


def test_missing_packages_for_reading_and_for_pytorch_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "charloom.engines.pytorch.module", raising=False)
    monkeypatch.delattr("charloom.engines.pytorch.module", raising=False)  # another test loaded it
    with pytest.raises(SettingsError, match=r"charloom\[keras\]"):
        import_model(tmp_path / "x.keras", "ab")
    with pytest.raises(SettingsError, match=r"charloom\[torch\]"):
        fox_model().to_torch()
    with pytest.raises(SettingsError, match=r"charloom\[torch\]"):
        Model.from_torch(None, Vocabulary.of("ab"))
