"""A model is trained in the page, watched, downloaded, and loaded in Python."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from serving_tools import TEXT

from charloom import Model
from charloom.demo import BATCH_SIZE, EPOCHS, LEARNING_RATE, LENGTH, RAW_TEXT, write_back

HOSTILE = "<img src=x onerror=alert(1)> \u202e\u0301 <script>alert(2)</script>\n" * 4


def downloaded(page, folder: Path) -> Model:
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(folder / download.value.suggested_filename)
    return Model.load(folder / "trained.safetensors", precision="float32")


def train_to_the_end(page):
    page.click("#train")
    page.wait_for_selector("#training[data-state=done]")


def test_the_blogs_program_runs_in_the_page(open_page, node, file, tmp_path):
    page = open_page(file)
    began = time.monotonic()
    train_to_the_end(page)
    computed = float(page.get_attribute("#training", "data-seconds"))
    assert 0 < computed < time.monotonic() - began
    assert f"Computed in {computed:.1f} s." in page.inner_text("#training-status")
    data = page.inner_text("#training-data")
    assert "15 characters and the one that follows, 134 in all: One bright morni" in data
    assert "the 27 distinct characters, sorted and numbered: ␣ 0, , 1, . 2, C 3, F 4, O 5" in data
    assert "5 17 10 0 7 20 14 12 13 22 0 16 18 20 17 → 14" in data
    assert "32,952 weights" in data
    assert page.get_attribute("#written-back", "data-right") == "149"
    assert page.inner_text("#written-back").endswith(RAW_TEXT)
    model = downloaded(page, tmp_path)
    assert write_back(model, RAW_TEXT[:LENGTH], len(RAW_TEXT)) == RAW_TEXT
    assert model.vocabulary.mapping["i"] == 14
    training = model.provenance.training
    assert training is not None
    assert (training.batch_size, training.epochs) == (BATCH_SIZE, EPOCHS)
    assert (training.learning_rate, training.sequence_length) == (LEARNING_RATE, LENGTH)
    assert (model.provenance.step, model.provenance.kernels) == (500, "WebAssembly")
    assert node(TRAINED, settings=page.evaluate("training.settings")) == page.evaluate(
        "pageWorker.ask('trainedFile').then((bytes) => [...bytes])"
    )


TRAINED = """
  const trainer = new Trainer(core, given.settings);
  trainer.train(Infinity);
  return [...await modelFile(trainer.model())];
"""


def test_training_is_slowed_down_paused_and_stepped(open_page, file):
    page = open_page(file)
    page.fill("#train-speed", "0")
    assert page.inner_text("#train-speed-told") == "1 step a second"
    page.click("#train")
    page.wait_for_selector("#training[data-step='1']")
    assert page.inner_text("#train") == "Pause"
    page.click("#train")
    page.wait_for_selector("#training[data-state=paused]")
    step = int(page.get_attribute("#training", "data-step"))
    assert step < 5
    gates = page.evaluate("[...training.pictures.seen.gates]")
    page.click("#train-step")
    page.wait_for_selector(f"#training[data-step='{step + 1}']")
    assert page.evaluate("[...training.pictures.seen.gates]") != gates
    assert len(page.evaluate("training.pictures.losses")) == step + 1
    page.click("#train-again")
    page.wait_for_function("() => training.pictures.seen && !training.pictures.losses.length")


@pytest.mark.parametrize("kind", ["address", "file"])
def test_a_text_of_ones_own_is_trained_on_and_looked_into(open_page, request, tmp_path, kind):
    page = open_page(request.getfixturevalue(kind))
    first = page.evaluate("state.trace.characters.join('')")
    page.check("input[name=train-on][value=own]")
    page.fill("#training-text", TEXT[:99])
    page.click("#train")
    page.wait_for_selector("#error:not([hidden])")
    assert "99 characters; give at least 100" in page.inner_text("#error")
    page.fill("#training-text", TEXT)
    page.fill("#training-units", "8")
    train_to_the_end(page)
    assert page.is_hidden("#error")
    assert "the last 51 are held out" in page.inner_text("#training-data")
    assert "of the text held out" in page.inner_text("#training-status")
    model = downloaded(page, tmp_path)
    assert (model.settings.hidden_size, model.vocabulary.has_unknown) == (8, True)
    assert model.evaluate(TEXT).bits_per_character < 3.5
    page.click("#look-inside")
    page.wait_for_function("() => state.trace.done && state.trace.units === 8")
    trace = model.trace(TEXT)
    shown = page.evaluate("data.values(0, ['C_t'], 0, 9).then((values) => [...values])")
    assert shown == trace.C_t[:9, 0].ravel().tolist()
    page.click("#look-inside")
    page.wait_for_function("() => state.trace.done && state.trace.units === 24")
    assert page.evaluate("state.trace.characters.join('')") == first


def test_hostile_text_is_trained_on_as_text(open_page, file):
    page = open_page(file)
    page.check("input[name=train-on][value=own]")
    page.fill("#training-text", HOSTILE)
    page.fill("#training-units", "3")
    page.click("#train-step")
    page.wait_for_selector("#training[data-step='1']")
    assert page.evaluate("document.querySelectorAll('#training img, #training script').length") == 0
