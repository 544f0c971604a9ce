"""A state read once is the state of the whole text, in Python and as a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.cli.main import main
from charloom.engines.cell import CELLS
from charloom.engines.weights import initial_weights
from charloom.errors import ModelFileError, SettingsError, TextError
from charloom.model.model import Model
from charloom.model.storage.container import write_container
from charloom.model.storage.provenance import Provenance
from charloom.model.storage.text_state import TextState
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.reading import InMemory
from charloom.text.vocabulary import Vocabulary

TEXT = "the fox saw a crow\non the limb of a tree\n"


def a_model(cell: str = "lstm", lines: bool = False, vocabulary: Vocabulary | None = None) -> Model:
    shape = ModelSettings(cell=cell, hidden_size=12, num_layers=2)
    vocabulary = vocabulary or Vocabulary.of(TEXT, unknown=True)
    first = initial_weights(shape, vocabulary.size, seed=1)
    weights = {name: 2 * values for name, values in first.items()}  # so that the past matters
    provenance = Provenance(training=TrainingSettings(batches="lines")) if lines else None
    return Model(shape, vocabulary, weights, provenance, precision="float32")


def text(model: Model, prompt: str = "", **options) -> str:
    return "".join(model.generate(prompt, **{"length": 30, "seed": 5, **options}))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 10, len(TEXT) - 1])
def test_a_text_goes_on_as_if_it_had_been_read_whole(tmp_path, cell, cut):
    model = a_model(cell)
    model.state_after(InMemory(TEXT[:cut])).save(tmp_path / "a.state")
    state = TextState.load(tmp_path / "a.state")
    assert text(model, TEXT[cut:], state=state) == text(model, TEXT)
    many = model.generate_many(TEXT[cut:], count=3, length=30, seed=5, state=state)
    assert many == model.generate_many(TEXT, count=3, length=30, seed=5)
    longer = model.state_after(InMemory(TEXT[cut:]), state)
    whole = model.state_after(InMemory(TEXT))
    np.testing.assert_allclose(longer.hidden, whole.hidden, rtol=0, atol=1e-6)
    np.testing.assert_allclose(longer.cell, whole.cell, rtol=0, atol=1e-6)
    assert (longer.last, longer.drawn, longer.model) == (whole.last, 0, model.digest)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 39), st.sampled_from(["", "the", "x"]), st.booleans())
def test_a_text_in_two_halves_is_that_of_one_call(cut, prompt, in_bytes):
    model = a_model(vocabulary=Vocabulary.bytes() if in_bytes else Vocabulary.of(TEXT))
    if prompt == "x":  # the first character is drawn, too
        prompt, model = "", a_model(vocabulary=Vocabulary.of("abc"))
    whole = text(model, prompt, length=40)
    if in_bytes and "\ufffd" in whole:  # cut characters are read as they are shown
        return
    first = text(model, prompt, length=cut)
    state = model.state_after(InMemory(prompt) if prompt else "", generated=first)
    assert first + text(model, state=state, length=40 - cut) == whole


def test_a_line_goes_on_within_itself_and_a_new_one_knows_nothing_of_it(tmp_path):
    model = a_model(lines=True)
    state = model.state_after(["a crow\nthe f", "ox"])
    assert text(model, " saw", state=state) == text(model, "the fox saw")
    assert text(model, "ox\na ", state=state) == text(model, "a ")
    same = model.state_after(InMemory("the fox"))
    np.testing.assert_allclose(state.hidden, same.hidden, rtol=0, atol=1e-6)


def test_the_command_line_goes_on_where_it_was(tmp_path, capsys):
    path, states = tmp_path / "fox.safetensors", [tmp_path / "a.state", tmp_path / "b.state"]
    a_model().save(path)
    (tmp_path / "long.txt").write_text(TEXT)

    def run(*arguments: object) -> str:
        capsys.readouterr()
        command = ["generate", str(path), "--seed", "3", *map(str, arguments)]
        assert main(command) == 0
        return capsys.readouterr().out.removesuffix("\n")

    whole = run("--prompt-file", tmp_path / "long.txt", "--length", 30)
    read = run("--prompt-file", tmp_path / "long.txt", "--length", 0, "--state-out", states[0])
    first = run("--state", states[0], "--length", 10, "--state-out", states[1])
    second = run("--state", states[1], "--length", 20)
    assert read + first + second == whole


def test_the_state_of_another_model_and_what_is_no_state_are_one_line(tmp_path, capsys):
    model, other = a_model(), a_model("rnn")
    state = tmp_path / "a.state"
    model.state_after("the").save(state)
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(SettingsError, match="of another model"):
        other.generate(state=TextState.load(state))
    with pytest.raises(SettingsError, match="of another model"):
        other.state_after("a", TextState.load(state))

    def complaint(file: object, status: int) -> str:
        command = ["generate", str(tmp_path / "other.safetensors"), "--state", str(file)]
        assert main(command) == status
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "--state: it is of another model" in complaint(state, 2)
    assert "is a model file, not a state file" in complaint(tmp_path / "other.safetensors", 1)
    assert "there is no such file" in complaint(tmp_path / "none", 1)
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    assert "is damaged" in complaint(state, 1)
    write_container(state, "state", {}, {"last": -1, "drawn": 0, "model": ""})
    with pytest.raises(ModelFileError, match="makes no sense"):
        TextState.load(state)
    assert main(["generate", str(tmp_path / "other.safetensors"), "--count", "2",
                 "--state-out", str(state)]) == 2  # fmt: skip
    with pytest.raises(TextError, match="empty text"):
        a_model(vocabulary=Vocabulary.of("ab")).state_after("")


def test_a_state_of_the_right_model_with_a_wrong_shape_is_refused():
    model = a_model()
    good = model.state_after("the")
    for change in ({"hidden": good.hidden[:1]}, {"last": 999}):
        with pytest.raises(SettingsError, match="of another model"):
            model.generate(state=TextState(**{**vars(good), **change}))
