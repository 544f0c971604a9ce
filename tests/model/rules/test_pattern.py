"""Texts under a pattern: each matches whole, inside the length, in the model's proportions."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest
from rule_cases import KINDS, PATTERNS, rule_model

from charloom import Model, Pattern
from charloom.errors import SettingsError
from charloom.model.rules import automaton
from charloom.model.rules.automaton import automaton_of
from charloom.model.rules.endings import pruned, with_stops
from charloom.model.rules.pattern import table_of
from charloom.model.rules.utf8 import bytes_of
from charloom.text.vocabulary import Vocabulary


def accepts(pattern: str, text: str) -> bool:
    """What the automaton says of a text."""
    found, state = automaton_of(pattern), 0
    for character in text:
        state = found.following[state].get(found.class_of(character), -1)
        if state < 0:
            return False
    return found.accepting[state]


def a_pattern(draw: random.Random, depth: int = 3) -> str:
    """A pattern over a few characters, of what Python's `re` knows."""
    if depth == 0 or draw.random() < 0.3:
        return draw.choice(
            ["a", "b", r"\n", "é", "[ab]", "[^a]", ".", r"\d", r"\W", "[]a]", r"\u0061"]
        )
    parts = [a_pattern(draw, depth - 1) for _ in range(2)]
    repeat = draw.choice(["*", "+", "?", "{2}", "{,2}", "{1,3}", "{2,}", "*?"])
    return draw.choice(["".join(parts), f"({parts[0]}|{parts[1]})", f"(?:{parts[0]}){repeat}"])


def test_an_automaton_says_what_pythons_expressions_say():
    draw = random.Random(5)
    texts = ["".join(t) for n in range(5) for t in itertools.product("ab\né]1", repeat=n)]
    for _ in range(150):
        pattern = a_pattern(draw)
        for text in draw.sample(texts, 60):
            assert accepts(pattern, text) == bool(re.fullmatch(pattern, text, re.ASCII)), pattern


@pytest.mark.parametrize("pattern", ["^ab$", r"\Aab\Z", "ab$", "^a|b$", r"a\$", r"\u00e9[\u00e9-]"])
def test_anchors_at_the_ends_change_nothing(pattern):
    for text in ("ab", "a", "b", "a$", "é-", "éé"):
        assert accepts(pattern, text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a(", "missing \\)"),
        ("(?=a)b", r"has a \(\?="),
        ("(?<!a)b", r"has a \(\?<!"),
        ("(?>a)b", r"has a \(\?>|extension"),
        (r"\bfox", "b is not implemented"),
        (r"(a)\1", "references"),
        ("a++a", r"a \+\+|multiple repeat"),
        ("a^b", "'\\^'"),
        (r"[\D\S]", "two of"),
        ("(" * 3000 + ")" * 3000, "too deep|nesting"),
        ("a" * 10_001, "at most 10,000"),
    ],
)
def test_what_is_no_finite_automaton_is_refused_in_a_line(pattern, why):
    with pytest.raises(SettingsError, match=why) as error:
        automaton_of(pattern)
    assert str(error.value).startswith("pattern: ") and len(str(error.value)) < 300


def test_a_pattern_of_too_many_states_ends_in_an_error_and_not_in_a_hang(monkeypatch):
    monkeypatch.setattr(automaton, "SECONDS", 0.2)
    with pytest.raises(SettingsError, match="too many states"):
        automaton_of("(a|b)*a(a|b){30}")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_matches_whole_and_ends_inside_the_length(pattern, kind):
    model = rule_model(kind)
    texts = model.generate_many(count=100, length=60, seed=1, rule=Pattern(pattern))
    for text in texts:
        assert re.fullmatch(pattern, text, re.ASCII) and len(text) <= 60, text
    assert len(set(texts)) > 1 or len(pattern) < 5


def test_a_text_ends_where_nothing_may_follow_and_else_by_the_model():
    assert generated("ab") == "ab"
    assert generated("") == ""
    assert len(generated("a*", length=7)) == 7
    lengths = {
        len(text) for text in rule_model("lines").generate_many(count=50, rule=Pattern("a*"))
    }
    assert len(lengths) > 1  # the model of lines ends them by a line feed


def test_the_length_is_kept_by_the_shortest_way_to_an_end():
    for length in (9, 10, 11):
        texts = rule_model().generate_many(
            count=20, length=length, rule=Pattern("[a-z]+,[a-z]+(abcd)?!!!!!!")
        )
        assert max(map(len, texts)) == length and all(text.endswith("!!!!!!") for text in texts)
    with pytest.raises(SettingsError, match=r"length: 8 was given; the shortest text .* has 9"):
        generated("[a-z]+,[a-z]+!!!!!!", length=8)


def generated(pattern: str, **options) -> str:
    return "".join(rule_model().generate(rule=Pattern(pattern), **options))


def test_a_stop_string_ends_a_text_only_where_it_matches():
    texts = rule_model().generate_many(
        count=50, length=40, stop=["ab", "b!"], rule=Pattern("[ab!]{2,}")
    )
    for text in texts:
        assert re.fullmatch("[ab!]{2,}", text) and "ab" not in text and "b!" not in text
    assert len({len(text) for text in texts}) > 3
    with pytest.raises(SettingsError, match="no text matches"):
        generated("aaab!", stop="ab")


def test_texts_with_stops_are_those_that_a_brute_force_finds():
    draw, seen = random.Random(1), 0
    for _ in range(100):
        pattern, stops = a_pattern(draw), draw.sample(["a", "ab", "ba", "aa", "b\n", "bab"], 2)
        ended = with_stops(automaton_of(pattern), stops)
        for raw in map("".join, itertools.product("ab\n", repeat=4)):
            ends = [(raw.find(s) + len(s), raw.find(s)) for s in stops if s in raw]
            end, start = min(ends, default=(None, None))
            path: list[int | None] = [0]
            for character in raw[:end]:
                at = path[-1]
                row = {} if at is None else ended.following[at]
                path.append(row.get(ended.class_of(character)))
            over = [at is not None and not ended.following[at] for at in path]
            if True in over[:-1]:  # nothing may follow what stands before
                text = raw[: over.index(True)]
                assert re.fullmatch(pattern, text, re.ASCII) and not any(s in text for s in stops)
                continue
            right = bool(re.fullmatch(pattern, raw[:start], re.ASCII))
            if end is not None:
                assert (path[-1] == 1) == right, (pattern, stops, raw)
                seen += right
            elif path[-1] is not None:
                assert ended.accepting[path[-1]] == right
    assert seen > 100


def test_a_pattern_that_the_characters_cannot_fulfil_is_an_error_before_the_first():
    model = rule_model(characters="abc \n")
    with pytest.raises(SettingsError, match=r"no text matches it .* does not know '0', '1'"):
        model.generate(rule=Pattern(r"a\d"))
    with pytest.raises(SettingsError, match="no text matches it"):
        model.generate_many(count=2, rule=Pattern("[^abc \n]+"))
    # what is left is what the model can do: b has no end, as d is not known
    assert {*model.generate_many(count=30, length=9, rule=Pattern("ab+d|c[a-c]|b*[de]"))} == {
        "ca",
        "cb",
        "cc",
    }


def test_no_state_that_is_left_is_a_dead_end():
    draw = random.Random(3)
    for _ in range(100):
        found = automaton_of(a_pattern(draw))
        known = {found.class_of(c) for c in "a\n"}
        kept = pruned(found, known)
        if kept is None:
            continue
        table = table_of(kept, Vocabulary.of("a\n"))
        for state in np.unique(table.following[table.following >= 0]):
            assert table.distance[state] == 0 or (table.following[state] >= 0).any()
            assert not table.final[state] or table.distance[state] == 0


def test_allowed_characters_keep_the_models_proportions():
    model = rule_model()
    shares = model.next("the ")
    allowed = {c: p for c, p in shares.items() if c in "abcxyz"}
    texts = model.generate_many("the ", count=5000, length=1, seed=3, rule=Pattern("[a-cx-z]"))
    for character, share in allowed.items():
        expected = share / sum(allowed.values())
        found = texts.count(character) / len(texts)
        assert found == pytest.approx(expected, abs=4 * (expected / len(texts)) ** 0.5)
    assert set(texts) == set(allowed)


def test_proportions_hold_for_every_character_of_a_text():
    """The probability of a whole text is the product of its characters' renormalized shares."""
    model = rule_model()
    found = model.generate_many(
        "x", count=5000, length=5, seed=8, rule=Pattern("(a|b)(c|d)|(a|c)e")
    )
    for text in ("ac", "ad", "ae", "bc", "bd", "ce"):
        first, then = model.next("x"), model.next("x" + text[0])
        following = {"a": "cde", "b": "cd", "c": "e"}
        share = first[text[0]] / sum(first[c] for c in "abc")
        share *= then[text[1]] / sum(then[c] for c in following[text[0]])
        assert found.count(text) / len(found) == pytest.approx(share, abs=4 * (share / 5000) ** 0.5)


def test_temperature_and_top_k_choose_among_what_is_allowed():
    model = rule_model()
    shares = model.next("the ")
    best = max("aeiou", key=lambda c: shares[c])
    assert (
        model.generate_many("the ", count=3, rule=Pattern("[aeiou]"), temperature=0) == [best] * 3
    )
    assert set(model.generate_many("the ", count=20, rule=Pattern("[aeiou]"), top_k=1)) == {best}


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_engines_write_the_same_and_pieces_do_not_matter(engine):
    model = rule_model()
    same = Model(
        model.settings, model.vocabulary, model.weights, precision="float32", engine=engine
    )
    rule = Pattern("([A-Z][a-z]+, )*[A-Z][a-z]+[.]")
    whole = same.generate_many("so ", count=5, length=80, seed=4, rule=rule)
    assert "".join(same.generate("so ", length=80, seed=4, rule=rule)) == whole[0]
    native = Model(
        model.settings, model.vocabulary, model.weights, precision="float32", engine="native"
    )
    assert native.generate_many("so ", count=5, length=80, seed=4, rule=rule) == whole


def test_the_first_character_of_all_is_drawn_by_the_rule():
    model = rule_model(characters="abc")  # no line feed stands before it
    texts = model.generate_many(count=200, length=3, rule=Pattern("[ab]c*"))
    assert {text[0] for text in texts} == {"a", "b"}
    assert model.generate_many(count=2, length=3, rule=Pattern("")) == ["", ""]


def test_bytes_of_characters_are_what_utf8_says():
    draw = random.Random(2)
    for pattern in ["[^a]", "é|€|😀", "[à-ü]+", ".", "[^\ud7ff\ue000]"]:
        found = automaton_of(pattern)
        following = bytes_of(found)
        for _ in range(300):
            character = chr(
                draw.choice(
                    [draw.randrange(0x100), draw.randrange(0x10000), draw.randrange(0x110000)]
                )
            )
            if 0xD800 <= ord(character) < 0xE000:
                continue
            state: int | None = 0
            for byte in character.encode():
                state = None if state is None else following[state].get(byte)
            assert state == found.following[0].get(found.class_of(character))


def test_a_text_after_a_state_follows_the_rule_too():
    model = rule_model()
    state = model.state_after("the fox")
    assert re.fullmatch(r"\d{3}", "".join(model.generate(state=state, rule=Pattern(r"\d{3}"))))


def test_a_model_without_interegular_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "interegular", None)
    automaton_of.cache_clear()
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[rules\]'"):
        automaton_of("never seen")
