"""The verbs of a model, through its public face."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from messages import warned

from charloom.engines.native import available_kernels
from charloom.engines.weights import initial_weights
from charloom.errors import ModelFileError, SettingsError, TextError
from charloom.model.comparison import compare
from charloom.model.model import Model
from charloom.model.scoring import Score
from charloom.model.storage.container import MODEL_FILE
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TextSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = "the fox saw a crow\non the limb of a tree\n"


def a_model(provenance: Provenance | None = None, seed: int = 0) -> Model:
    settings = ModelSettings(hidden_size=8, num_layers=1)
    vocabulary = Vocabulary.of(TEXT, unknown=True)
    return Model(settings, vocabulary, initial_weights(settings, vocabulary.size, seed), provenance)


def a_model_of_lines() -> Model:
    return a_model(Provenance(training=TrainingSettings(batches="lines")))


@pytest.fixture(params=["native", "reference"], autouse=True)
def core(request, monkeypatch):
    if request.param == "native" and not available_kernels():
        pytest.skip("the native core is not built")
    monkeypatch.setenv("CHARLOOM_ENGINE", request.param)
    return request.param


def test_a_saved_model_writes_and_scores_as_before(tmp_path):
    model = a_model(Provenance(bits=2.5))
    model.save(tmp_path / "fox.safetensors")
    back = Model.load(tmp_path / "fox.safetensors")
    assert back.provenance == model.provenance
    assert "".join(back.generate("the", seed=3)) == "".join(model.generate("the", seed=3))
    assert back.evaluate(TEXT, exact=True) == model.evaluate(TEXT, exact=True)


def test_a_run_folder_stands_for_its_best_model(tmp_path):
    model = a_model(Provenance(step=7))
    model.save(tmp_path / MODEL_FILE)
    assert Model.load(tmp_path).provenance == Provenance(step=7)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match=f"holds no {MODEL_FILE}"):
        Model.load(tmp_path)


def test_weights_that_do_not_fit_are_refused():
    model = a_model()
    for weights in ({}, {**model.weights, "head.bias": np.zeros(2, np.float32)}):
        with pytest.raises(ModelFileError, match="the weight"):
            Model(model.settings, model.vocabulary, weights)


def test_the_parts_of_a_score_add_up_to_the_exact_evaluation():
    model = a_model()
    for by in ("character", "word", "line"):
        parts = model.score(TEXT, by=by)
        assert sum((p.score for p in parts), Score()) == model.evaluate(TEXT, exact=True)


@pytest.mark.parametrize("trained", ["float32", "bfloat16"])
def test_a_model_is_measured_in_the_precision_it_was_trained_in(trained, monkeypatch):
    monkeypatch.setenv("CHARLOOM_ENGINE", "native")
    weights = {name: 3 * weight for name, weight in a_model().weights.items()}
    parts = (a_model().settings, a_model().vocabulary, weights, Provenance(precision=trained))
    model = Model(*parts)
    told = {precision: Model(*parts, precision=precision) for precision in ("float32", "bfloat16")}
    nats = {precision: other.evaluate(TEXT).nats for precision, other in told.items()}
    assert nats["float32"] != nats["bfloat16"]
    assert model.evaluate(TEXT).nats == nats[trained]
    assert sum(part.nats for part in model.score(TEXT)) == model.evaluate(TEXT, exact=True).nats
    compared = compare(model, told["float32"], TEXT)
    assert compared.a.nats == model.evaluate(TEXT, exact=True).nats
    assert compared.b.nats == told["float32"].evaluate(TEXT, exact=True).nats
    assert compared.a_computed_with["precision"] == trained
    lines = ["the fox saw a crow"[: 3 + n % 16] + "\n" for n in range(60)]
    odd, *others = (
        [(line.bits, line.p) for line in m.odd(lines, threshold=1, calibration=m.calibrated(lines))]
        for m in (model, told["float32"], told["bfloat16"])
    )
    assert odd == others[trained == "bfloat16"] != others[trained == "float32"]
    assert model.computed_with["precision"] == trained
    for precision, other in told.items():  # what was asked for is what is done
        assert other.computed_with == {
            "precision": precision,
            "kernels": other.engine.kernels,
        }


def test_where_the_precision_of_training_is_missing_another_one_measures_and_is_named(monkeypatch):
    monkeypatch.setenv("CHARLOOM_ENGINE", "reference")
    model = a_model(Provenance(precision="bfloat16"))
    assert model.evaluate(TEXT).nats > 0
    assert model.computed_with == {"precision": "float32", "kernels": "reference"}


def test_a_text_may_be_a_string_a_path_paths_or_pieces(tmp_path):
    model = a_model()
    (tmp_path / "a.txt").write_bytes(TEXT[:19].replace("\n", "\r\n").encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(TEXT[19:].encode()))
    expected = model.evaluate(TEXT)
    assert model.evaluate(iter([TEXT[:5], TEXT[5:]])) == expected
    assert model.evaluate([TEXT[:5], TEXT[5:]]) == expected
    assert model.evaluate([tmp_path / "a.txt", tmp_path / "b.txt.gz"]) == expected
    assert model.evaluate(tmp_path) == expected
    with pytest.raises(TextError, match="nowhere"):
        model.evaluate(Path("nowhere.txt"))


def test_a_text_is_read_as_the_model_s_own_text_was():
    settings = TextSettings(normalization="nfc")
    model = a_model(Provenance(text=settings))
    with warned("é"):
        parts = list(model.score("the\r\nfe\u0301e"))
    assert "".join(part.text for part in parts) == "the\nfée"


def test_a_model_of_lines_treats_every_line_as_a_text():
    model = a_model_of_lines()
    assert model.lines
    first, second = model.score(TEXT, by="line")
    assert second.nats == pytest.approx(model.evaluate(second.text).nats, abs=1e-4)
    assert "\n" not in "".join(model.generate("the", length=300))
    assert first.text == "the fox saw a crow\n"


def test_many_texts_begin_with_the_one():
    model = a_model()
    texts = model.generate_many("the", count=4, length=30, temperature=0.8, seed=5)
    assert texts[0] == "".join(model.generate("the", length=30, temperature=0.8, seed=5))
    assert len(set(texts)) == 4


def test_eight_threads_get_from_one_model_what_each_gets_alone():
    model = a_model()

    def verbs(seed: int) -> tuple:
        text = "".join(model.generate("the fox", length=60, seed=seed))
        nats = [part.nats for part in model.score(text)]
        return text, nats, model.evaluate(text).nats, list(model.next(text[:9]).items())[:5]

    alone = [verbs(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(verbs, list(range(8)) * 4)) == alone * 4


def test_sampling_out_of_range_is_refused_at_once():
    with pytest.raises(SettingsError, match="temperature"):
        a_model().generate(temperature=-1)


def test_a_description_is_json_and_complete():
    model = a_model(Provenance(steps=3))
    told = json.loads(json.dumps(model.describe()))
    assert told["settings"]["hidden_size"] == 8
    assert told["parameters"] == sum(w.size for w in model.weights.values())
    assert told["vocabulary"]["characters"] == "".join(sorted(set(TEXT)))
    assert told["vocabulary"]["size"] == len(set(TEXT)) + 1
    assert told["record"] == {"steps": 3}
    assert told["format"] == 1


def test_a_model_tells_its_shape():
    assert (
        repr(a_model()) == "Model(lstm, 1 layer of 8, vocabulary of 19 characters, 1,067 weights)"
    )


@pytest.mark.parametrize("precision", ["auto", "float32", "int8"])
def test_a_used_model_can_be_pickled_and_copied_and_its_weights_are_read_only(precision, core):
    if (precision, core) == ("int8", "reference"):
        pytest.skip("the reference engine has no int8")
    fresh = a_model()
    model = Model(fresh.settings, fresh.vocabulary, fresh.weights, precision=precision)
    text = "".join(model.generate("a", length=30, seed=3))
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert "".join(other.generate("a", length=30, seed=3)) == text
        assert other.evaluate(text) == model.evaluate(text)
        assert other.computed_with == model.computed_with
    with pytest.raises(TypeError):
        model.weights["head.bias"] = np.zeros(3)
    with pytest.raises(ValueError, match="read-only"):
        model.weights["head.bias"][:] = 1
