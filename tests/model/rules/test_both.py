"""Two rules at once: what may come next is what brute force finds, and no text is stuck."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import pytest

import charloom
from charloom import Both, CopyIndex, Grammar, NoCopies, Pattern
from charloom.errors import SettingsError
from charloom.model.rules import both
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

MODEL = charloom.Model.untrained(ModelSettings(hidden_size=6), Vocabulary.of("abc", unknown=True))
BYTES = charloom.Model.untrained(ModelSettings(hidden_size=6), Vocabulary.bytes())


def fulfilling(pattern: str, book: str, n: int, length: int) -> set[str]:
    """Every text of at most `length` characters that matches and copies no n characters."""
    every = ("".join(s) for k in range(length + 1) for s in itertools.product("abc", repeat=k))
    return {
        text
        for text in every
        if re.fullmatch(pattern, text)
        and not any(text[i : i + n] in book for i in range(len(text) - n + 1))
    }


CASES = [
    ("[ab]{2}c", "aab bbc", 2, 6),
    ("(ab|ba|c)*", "abba cab", 3, 6),
    ("a*b?c{2,3}", "aacc bcc", 3, 6),
    ("(a|b)+c", "ab bc aa", 2, 5),
    (".*", "abcabcaabbcc", 3, 5),
    ("a(b|cc)(a|bb)", "aba ccbb", 3, 6),
]


@pytest.mark.parametrize(("pattern", "book", "n", "length"), CASES)
def test_at_every_place_may_come_what_leads_to_an_end(pattern, book, n, length):
    texts = fulfilling(pattern, book, n, length)
    assert texts
    rule = Both(Pattern(pattern), NoCopies(CopyIndex.of([book]), n))
    waiting = [("", rule.bound(MODEL.predictor, []).begin(length))]
    reached = set()
    while waiting:
        text, place = waiting.pop()
        going_on = {other[len(text)] for other in texts if other[: len(text)] == text != other}
        if place.left:
            place.settle()
            mask = place.table.allowed(place.state, place.left)
            found = {c for c in "abc" if mask[MODEL.vocabulary.mapping[c]]}
            assert found == going_on, text
            assert place.complete == (not going_on)
        assert place.accepts == (text in texts)
        reached |= {text} & texts
        waiting += [(text + c, place.after(MODEL.vocabulary.mapping[c])) for c in going_on]
    assert reached == texts


@pytest.mark.parametrize("model", [MODEL, BYTES], ids=["characters", "bytes"])
@pytest.mark.parametrize(("pattern", "book", "n", "length"), CASES)
def test_every_text_fulfils_both(model, pattern, book, n, length):
    if pattern == ".*":
        pattern = "[abc]*"
    rule = Both(NoCopies(CopyIndex.of([book]), n), Pattern(pattern))
    texts = model.generate_many(count=100, length=length, seed=1, rule=rule)
    assert set(texts) <= fulfilling(pattern, book, n, length)
    assert "".join(model.generate(length=length, seed=1, rule=rule)) == texts[0]


def test_what_is_left_keeps_its_proportions():
    rule = Both(Pattern("[abc](bc|a)"), NoCopies(CopyIndex.of(["ca bbc"]), 2))
    drawn = Counter(t[0] for t in MODEL.generate_many(count=3000, length=3, seed=3, rule=rule))
    free = Counter(t[0] for t in MODEL.generate_many(count=3000, length=1, seed=4) if t)
    assert set(drawn) == {"a", "b"}  # after c comes neither "a" nor "bc"
    share = free["a"] / (free["a"] + free["b"])
    assert abs(drawn["a"] / 3000 - share) < 5 * math.sqrt(2 * share * (1 - share) / 2000)


def test_without_a_common_text_it_is_an_error_before_the_first_character():
    rule = Both(Pattern("ab+"), NoCopies(CopyIndex.of(["ab"]), 2))
    with pytest.raises(SettingsError, match=r"fulfils both rules in at most 9 characters"):
        MODEL.generate_many(count=2, length=9, rule=rule)
    short = Both(Pattern("a{3}|b{5}"), NoCopies(CopyIndex.of(["aa"]), 2))
    assert MODEL.generate_many(count=2, length=5, rule=short) == ["bbbbb"] * 2
    with pytest.raises(SettingsError, match="at most 4 characters"):
        MODEL.generate_many(count=2, length=4, rule=short)


def test_a_search_that_is_cut_short_draws_no_text_that_fails(monkeypatch):
    monkeypatch.setattr(both, "LATER_SEARCH", 2)
    for pattern, book, n, length in CASES:
        rule = Both(Pattern(pattern), NoCopies(CopyIndex.of([book]), n))
        texts = MODEL.generate_many(count=30, length=length, seed=2, rule=rule)
        assert set(texts) <= fulfilling(pattern, book, n, length)


def test_a_stop_string_and_the_end_of_a_line_end_both():
    model = charloom.Model.untrained(ModelSettings(hidden_size=6), Vocabulary.of("abc\n"))
    rule = Both(Pattern("[ab]+c"), NoCopies(CopyIndex.of(["aa\nbb"]), 2))
    for stop in ("\n", "cc"):
        texts = model.generate_many(count=60, length=6, seed=5, stop=stop, rule=rule)
        for text in texts:
            assert re.fullmatch("[ab]+c", text)
            assert "aa" not in text and "bb" not in text


def test_a_grammar_and_three_rules_go_together():
    pytest.importorskip("llguidance")
    grammar = Grammar('start: "a" start "b" | "c"')
    rule = Both(grammar, NoCopies(CopyIndex.of(["aaa"]), 3))
    found = set(MODEL.generate_many(count=80, length=9, seed=6, rule=rule))
    assert found == {"c", "acb", "aacbb"}
    found = set(MODEL.generate_many(count=40, length=9, seed=7, rule=Both(rule, Pattern("a+.*"))))
    assert found == {"acb", "aacbb"}
