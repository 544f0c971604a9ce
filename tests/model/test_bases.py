"""Models that come with charloom: found by name, unless a file of that name is there."""

from __future__ import annotations

import pytest
from models import fox_model

from charloom.errors import ModelFileError, OutputError
from charloom.model.bases import BASES, find
from charloom.model.model import Model


@pytest.mark.parametrize("name", BASES)
def test_a_base_is_small_and_tells_its_texts_and_licences(name):
    assert find(name).stat().st_size <= 1_000_000
    model = Model.load(name)
    about = model.provenance.to_json()
    assert about["license"]
    assert all(text.keys() >= {"title", "package", "license", "sha256"} for text in about["texts"])
    assert model.provenance.corpus is not None
    assert model.provenance.validation is not None
    assert model.vocabulary.has_unknown
    text = "It was the best of times, it was the worst of times."
    assert model.evaluate(text, exact=True).bits_per_character < 2.5


def test_a_file_or_folder_of_the_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = fox_model()
    model.save(tmp_path / "english")
    assert Model.load("english").vocabulary == model.vocabulary
    (tmp_path / "english").unlink()
    (tmp_path / "english").mkdir()
    with pytest.raises(ModelFileError, match="english: holds no model"):
        Model.load("english")
    model.save(tmp_path / "english" / "model.safetensors")
    assert Model.load("english").vocabulary == model.vocabulary


def test_other_names_are_files():
    with pytest.raises(ModelFileError, match="there is no such file"):
        Model.load("englisch")
    with pytest.raises(OutputError, match="an empty name"):
        find("")
