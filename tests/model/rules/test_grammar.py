"""Texts of grammars and schemas: whole, inside the length, in the model's proportions."""

from __future__ import annotations

import sys

import pytest
from models import fox_model
from rule_cases import SCHEMAS, fits_schema

from charloom import Grammar, JsonSchema, Model
from charloom.errors import SettingsError
from charloom.model.rules import grammar as grammars
from charloom.model.storage.provenance import Provenance
from charloom.settings import TrainingSettings
from charloom.text.vocabulary import Vocabulary

ASCII = Vocabulary.of("".join(map(chr, range(32, 127))) + "\n", unknown=True)
SUMS = 'start: sum\nsum: item ("+" item)*\nitem: /[1-9]/ | "(" sum ")"'


def in_lines(model: Model) -> Model:
    provenance = Provenance(training=TrainingSettings(batches="lines"))
    return Model(model.settings, model.vocabulary, model.weights, provenance)


@pytest.mark.parametrize("vocabulary", [ASCII, Vocabulary.bytes()], ids=["characters", "bytes"])
def test_every_text_of_a_grammar_is_one_and_ends_inside_the_length(vocabulary):
    model = fox_model(vocabulary)
    for length in (1, 2, 9, 30):
        texts = model.generate_many(count=15, length=length, seed=2, rule=Grammar(SUMS))
        for text in texts:
            assert isinstance(eval(text), int) and len(text) <= length
    assert len(set(texts)) > 10


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: str(schema)[:30])
def test_every_text_of_a_schema_fits_it(schema):
    for length in (40, 70):
        texts = fox_model(ASCII).generate_many(
            count=4, length=length, seed=3, rule=JsonSchema(schema)
        )
        assert all(fits_schema(schema, text) and len(text) <= length for text in texts)


def test_a_model_of_lines_ends_a_text_where_the_grammar_lets_it():
    model = in_lines(fox_model(ASCII))
    texts = model.generate_many(count=20, length=12, rule=Grammar("start: /[ab]+/"))
    assert len({len(text) for text in texts}) > 2 and all(set(text) <= {*"ab"} for text in texts)
    assert model.generate_many(count=1, rule=Grammar('start: "ab" "c"')) == ["abc"]


def test_a_grammar_has_no_dead_ends_in_the_characters_of_the_model():
    """After b the grammar goes on with a d, which the model does not know."""
    model = fox_model(Vocabulary.of("abc\n"))
    rule = Grammar('start: "a" | "b" "c"* "d" | "(" start ")" | "c" start')
    texts = model.generate_many(count=40, length=6, rule=rule)
    assert all(text == "c" * (len(text) - 1) + "a" for text in texts) and len(set(texts)) > 2


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Grammar('start: "xyz"'), "grammar: no text that fulfils it was found"),
        (Grammar('start: "a'), "grammar: "),
        (Grammar("start: nothing"), 'grammar: at 1.*unknown name: "nothing"'),
        (JsonSchema("{"), "json_schema: it is no JSON"),
        (JsonSchema({"type": "rope"}), "json_schema: "),
        (JsonSchema({"type": "integer"}), "json_schema: no text that fulfils it was found"),
    ],
)
def test_a_rule_that_cannot_be_fulfilled_is_an_error_before_the_first_character(rule, why):
    with pytest.raises(SettingsError, match=why) as error:
        fox_model(Vocabulary.of("abc\n")).generate(rule=rule)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_length_that_is_too_short_is_an_error():
    model = fox_model(ASCII)
    with pytest.raises(SettingsError, match=r"length: 2 was given; the shortest .* has 3"):
        model.generate(length=2, rule=Grammar('start: "abc" /d*/'))
    with pytest.raises(SettingsError, match="stop: under a grammar it must be one character"):
        model.generate(stop="ab", rule=Grammar(SUMS))


def test_allowed_characters_keep_the_models_proportions():
    model = fox_model(ASCII)
    shares = model.next("the ")
    texts = model.generate_many(
        "the ", count=3000, length=1, seed=3, rule=Grammar('start: "a" | "b" "b"? | /[xyz]/')
    )
    for character in "abxyz":
        expected = shares[character] / sum(shares[c] for c in "abxyz")
        error = 4 * (expected / len(texts)) ** 0.5
        assert texts.count(character) / len(texts) == pytest.approx(expected, abs=error)


def test_the_same_text_comes_in_pieces_and_beside_others():
    model = fox_model(ASCII)
    whole = model.generate_many("so ", count=3, length=25, seed=4, rule=Grammar(SUMS))
    assert "".join(model.generate("so ", length=25, seed=4, rule=Grammar(SUMS))) == whole[0]


def test_without_llguidance_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(SettingsError, match=r"grammar: .*pip install 'charloom\[rules\]'"):
        fox_model(ASCII).generate(rule=Grammar(SUMS))
    assert grammars.LATER_SEARCH < grammars.FIRST_SEARCH
