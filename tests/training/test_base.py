"""A run that starts from another model's weights: what is kept, what grows, what is recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from runs import TEXT, losses, outcome, settings

from charloom.engines.loss import log_softmax
from charloom.engines.weights import weight_shapes
from charloom.errors import ModelFileError, SettingsError
from charloom.model.model import Model
from charloom.settings import ModelSettings, TextSettings
from charloom.text.corpus import InMemory
from charloom.text.vocabulary import Vocabulary
from charloom.training import base as starting
from charloom.training.base import Base, grown
from charloom.training.folder import digest_of
from charloom.training.start import resume, train

KNOWN = Vocabulary.of(TEXT, unknown=True)
SHAPE = ModelSettings(hidden_size=8, num_layers=2)
MORE = TEXT + "Ωé new\n"


def a_base(vocabulary: Vocabulary = KNOWN, **shape) -> Model:
    return Model.untrained(SHAPE.replace(**shape), vocabulary, seed=3)


def start(folder, text: str = TEXT, base=None, **changes):
    base = base or a_base()
    return train(InMemory(text), output=folder, training=settings(**changes), start_from=base)


@pytest.mark.parametrize("shape", [{}, {"embedding_size": 3}, {"cell": "rnn"}], ids=str)
def test_without_new_characters_nothing_changes_before_the_first_step(shape):
    base = a_base(**shape)
    begun = start(None, base=base).best_model()
    assert begun.settings == base.settings
    assert begun.vocabulary == base.vocabulary
    for name, values in base.weights.items():
        assert_array_equal(begun.weights[name], values)
    text = TEXT[:200]
    assert list(begun.score(text)) == list(base.score(text))
    assert begun.evaluate(text) == base.evaluate(text)


@pytest.mark.parametrize("shape", [{}, {"embedding_size": 3}, {"cell": "rnn"}], ids=str)
def test_new_characters_leave_what_is_known_as_it_is(shape):
    base = a_base(**shape)
    begun = start(None, MORE, base=base).best_model()
    assert set(begun.vocabulary.characters) == set(KNOWN.characters) | set(MORE)
    places = [begun.vocabulary.mapping[c] for c in KNOWN.characters]
    before = base.engine.logits(KNOWN.encode(TEXT)[:50, None].astype(np.int32), zero(base))[0]
    ids = begun.vocabulary.encode(TEXT)[:50, None].astype(np.int32)
    after = begun.engine.logits(ids, zero(begun))[0]
    assert_array_equal(after[..., places], before[..., :-1])  # to the last bit
    old, new = np.exp(log_softmax(before)), np.exp(log_softmax(after))
    assert_allclose(new[..., places], old[..., :-1], rtol=1e-5)
    strange = [i for i in range(begun.vocabulary.size) if i not in places]
    assert len(strange) == begun.vocabulary.size - len(places) > 2
    assert_allclose(
        new[..., strange], np.repeat(old[..., -1:] / len(strange), len(strange), -1), 1e-5
    )


def zero(model: Model):
    return model.engine.zero_state(1)


def test_a_new_character_is_read_as_the_unknown_was():
    base = a_base()
    begun = start(None, MORE, base=base).best_model()
    known = base.engine.trace(np.array([[KNOWN.unknown_id]], np.int32), zero(base))
    new = begun.engine.trace(begun.vocabulary.encode("Ω")[:, None].astype(np.int32), zero(begun))
    assert_array_equal(known.quantities["h_t"], new.quantities["h_t"])


def test_a_vocabulary_of_bytes_never_grows():
    base = a_base(Vocabulary.bytes())
    begun = start(None, MORE, base=base).best_model()
    assert begun.vocabulary == base.vocabulary
    assert begun.text_settings.vocabulary == "bytes"
    assert list(begun.score(MORE)) == list(base.score(MORE))


def test_grown_weights_by_hand():
    shape = ModelSettings(hidden_size=1, num_layers=1, cell="rnn")
    before, after = Vocabulary.of("ac", unknown=True), Vocabulary.of("abc", unknown=True)
    weights = {
        name: np.arange(np.prod(size), dtype=np.float32).reshape(size)
        for name, size in weight_shapes(shape, before.size).items()
    }
    made = grown(weights, before, after)
    assert made["rnn.weight_ih_l0"].tolist() == [[0, 2, 1, 2]]
    assert made["head.weight"].tolist() == [[0], [2], [1], [2]]
    assert made["head.bias"] == pytest.approx([0, 2 - np.log(2), 1, 2 - np.log(2)])
    assert weights["head.bias"].tolist() == [0, 1, 2]


def test_a_base_without_an_unknown_has_nothing_to_start_new_characters_from():
    base = a_base(Vocabulary.of(TEXT))
    assert start(None, base=base).best_model().vocabulary == base.vocabulary
    with pytest.raises(SettingsError, match=r"does not know \('nwéΩ'\)"):
        start(None, MORE, base=base)


def test_settings_that_are_not_the_bases_are_refused():
    text = InMemory(TEXT)
    with pytest.raises(SettingsError, match=r"hidden_size: 9 was given, but a Model.* has 8"):
        train(text, model=ModelSettings(hidden_size=9), start_from=a_base())
    with pytest.raises(SettingsError, match="cell: rnn was given"):
        train(text, model=ModelSettings(cell="rnn"), start_from=a_base())
    with pytest.raises(SettingsError, match="vocabulary: bytes was given"):
        train(text, text=TextSettings(vocabulary="bytes"), start_from=a_base())
    with pytest.raises(ModelFileError, match="there is no such file"):
        train(text, start_from="no-such-model")


def test_what_is_given_and_the_bases_own_stand():
    given = TextSettings(validation_fraction=0.3)
    model, training = ModelSettings(hidden_size=8), settings(dropout=0.5)
    run = train(InMemory(TEXT), text=given, model=model, training=training, start_from=a_base())
    assert run.plan.text.validation_fraction == 0.3
    assert run.plan.training.dropout == 0.5
    assert run.plan.model == SHAPE


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    start(tmp_path / "one", MORE).finish()
    run = start(tmp_path / "two", MORE)
    for _ in range(5):
        next(run)
    run.stop()
    resume(tmp_path / "two").finish()
    assert outcome(tmp_path / "one") == outcome(tmp_path / "two")


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_base_again(tmp_path):
    start(tmp_path / "one", MORE).finish()
    run = start(tmp_path / "two", MORE)
    run._saving.close()  # as if killed: nothing but the start is saved
    assert not (tmp_path / "two" / "checkpoint.safetensors").exists()
    resume(tmp_path / "two").finish()
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert outcome(tmp_path / "one") == outcome(tmp_path / "two")


def test_a_base_that_was_changed_in_the_folder_is_refused(tmp_path):
    run = start(tmp_path / "run")
    run._saving.close()
    path = tmp_path / "run" / "base.safetensors"
    a_base(num_layers=1).save(path)
    with pytest.raises(ModelFileError, match="its bytes are not those that were written"):
        resume(tmp_path / "run")


def test_the_record_names_the_base_and_the_hash_of_its_file(tmp_path):
    path = tmp_path / "small.safetensors"
    a_base().save(path)
    run = start(tmp_path / "run", base=path)
    model = run.finish()
    assert model.provenance.base.name == "small.safetensors"
    assert model.provenance.base.sha256 == digest_of(path)
    assert Model.load(tmp_path / "run").provenance.base == model.provenance.base
    assert run.plan.choice.startswith("from small.safetensors, 2 layers of 8 units, 12 steps")
    assert Base.open(a_base()).facts.sha256 == digest_of(path)


def test_only_a_run_with_a_base_is_of_the_newer_format(tmp_path):
    start(tmp_path / "run")
    train(InMemory(TEXT), output=tmp_path / "plain", model=SHAPE, training=settings())
    plans = [json.loads((tmp_path / n / "run.json").read_text()) for n in ("run", "plain")]
    assert [plan["format"] for plan in plans] == [2, 1]
    assert "base" in plans[0]
    assert "base" not in plans[1]


def test_a_short_text_that_english_predicts_well_starts_from_it(english, tmp_path):
    text = TEXT[:600] + "é\n"
    run = train(InMemory(text), output=tmp_path / "run", training=settings())
    assert run.plan.base.name == "english"
    assert run.plan.choice.startswith("from english, 1 layer of 16 units, ")
    assert run.plan.vocabulary == english.vocabulary.grown("é")
    assert (run.plan.corpus.characters, run.plan.corpus.unknown_count) == (len(text), 0)
    asked = train(InMemory(text), training=settings(), start_from="english")
    assert run.plan.corpus == asked.plan.corpus
    next(run)
    run.stop()
    again = resume(tmp_path / "run", sources=InMemory(text)).finish()
    for name, values in asked.finish().weights.items():
        assert_array_equal(again.weights[name], values)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (TEXT[:600], {"start_from": None}),
        (TEXT[:600], {"model": ModelSettings(hidden_size=16)}),
        (TEXT[:600], {"model": ModelSettings(cell="rnn")}),
        (TEXT[:600], {"text": TextSettings(vocabulary="bytes")}),
        (TEXT[:600], {"text": TextSettings(unknown=False)}),
        (TEXT[:600], {"text": TextSettings(minimum_count=20)}),
        (TEXT[:600], {"training": settings(first_values="keras")}),
        (TEXT[:600], {"training": settings(batches="windows")}),
        (TEXT[:600:-1], {}),  # read backwards it is no English
    ],
)
def test_others_start_from_first_values(english, given, options):
    run = train(InMemory(given), **{"training": settings(), **options})
    assert run.plan.base is None
    assert "from" not in run.plan.choice


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (TEXT[:600], {}),
        (TEXT[:600], {"start_from": None}),
        (TEXT[:600], {"start_from": "english"}),
        (TEXT[:600], {"model": ModelSettings(hidden_size=16)}),
        (TEXT[:600], {"training": settings(batches="windows")}),
        (TEXT[:600:-1], {}),
        (TEXT, {}),
    ],
)
def test_the_base_of_a_run_is_known_without_the_run(english, monkeypatch, given, options):
    monkeypatch.setattr(starting, "LONGEST", 600)
    options = {"training": settings(), **options}
    started = train(InMemory(given), **options).plan.base
    given_to = {"text": TextSettings(), "model": ModelSettings(), **options}
    base = starting.base_of(InMemory(given), **given_to)
    assert (base and base.facts) == started


def test_the_longest_text_that_starts_from_english_by_itself(english, monkeypatch):
    monkeypatch.setattr(starting, "LONGEST", 600)
    chosen = [train(InMemory(TEXT[:n]), training=settings()).plan.base for n in (600, 601)]
    assert chosen[0].name == "english"
    assert chosen[1] is None
