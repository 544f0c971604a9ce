"""An id that leads to no end is drawn again, and what is drawn keeps the model's proportions."""

from __future__ import annotations

import numpy as np
import pytest
from models import fox_model

from charloom import Grammar, JsonSchema
from charloom.engines.random import second_seeds, stream_seeds, uniform
from charloom.engines.restriction import Table
from charloom.model import drawing
from charloom.model.rules.rule import BoundRule, Rule, Searching
from charloom.settings import SamplingSettings
from charloom.text.vocabulary import Vocabulary

MODEL = fox_model(Vocabulary.of("abcdefghijklmnopqrstuvwxyz \n"))
COUNT = 4000


class Third(Rule, BoundRule):
    """Every id may be tried, and each third one leads to an end."""

    def bound(self, predictor, stops):
        self.size, self.asked = predictor.vocabulary.size, 0
        return self

    def begin(self, length):
        return ThirdFollower(self, length)


class ThirdFollower(Searching[int]):
    complete = False

    def __init__(self, rule, length):
        super().__init__(length)
        self.rule = rule
        self._moved(Table.of_mask(np.ones(rule.size, bool)))

    def _search(self, id):
        self.rule.asked += 1
        return None if id % 3 else id

    def take(self, ids, states):
        assert ids[0] % 3 == 0
        self.left -= 1
        self._moved(Table.of_mask(np.ones(self.rule.size, bool)))
        return 1


def expected(may: list[str], **how) -> dict[str, float]:
    """The model's shares after "the ", of what may come."""
    shares = MODEL.next("the ")
    those = {c: shares[c] ** (1 / how.get("temperature", 1)) for c in may}
    kept = sorted(those, key=those.__getitem__, reverse=True)[: how.get("top_k") or None]
    whole = sum(those[c] for c in kept)
    if "top_p" in how:
        sums = np.cumsum([those[c] / whole for c in kept])
        kept = kept[: 1 + int(np.searchsorted(sums, how["top_p"]))]
        whole = sum(those[c] for c in kept)
    return {c: those[c] / whole if c in kept else 0.0 for c in may}


@pytest.mark.parametrize(
    "how", [{}, {"temperature": 0.5}, {"top_k": 4}, {"top_p": 0.6}, {"temperature": 0}], ids=str
)
def test_what_is_drawn_a_second_time_keeps_the_proportions(how):
    rule = Third()
    texts = MODEL.generate_many("the ", count=COUNT, length=1, seed=5, rule=rule, **how)
    may = list(MODEL.vocabulary.characters[::3])
    if how.get("temperature") == 0:
        assert set(texts) == {max(may, key=MODEL.next("the ").__getitem__)}
        return
    for character, share in expected(may, **how).items():
        error = 4.5 * (share * (1 - share) / COUNT) ** 0.5
        assert texts.count(character) / COUNT == pytest.approx(share, abs=error)
    assert sum(texts.count(c) for c in may) == COUNT


def test_only_what_was_drawn_is_looked_at_unless_it_leads_to_no_end():
    rule = Third()
    follower = rule.bound(MODEL.predictor, []).begin(9)
    engine = MODEL.predictor.engine
    for seed in stream_seeds(1, 40):
        follower._moved(Table.of_mask(np.ones(rule.size, bool)))
        rule.asked = 0
        ids, states, _ = drawing.drawn(
            MODEL.predictor,
            [follower],
            np.zeros(1, np.int32),
            engine.zero_state(1),
            16,
            SamplingSettings(),
            np.array([seed]),
            7,
        )
        assert ids.shape == (1, 1) and ids[0, 0] % 3 == 0
        assert states is not None and states[0, 0] == 0
        assert rule.asked == 1 or (rule.asked == rule.size and follower.settled)


def test_a_text_depends_neither_on_pieces_nor_on_what_is_drawn_beside_it():
    texts = MODEL.generate_many("so ", count=5, length=30, seed=2, rule=Third())
    assert "".join(MODEL.generate("so ", length=30, seed=2, rule=Third())) == texts[0]
    assert MODEL.generate_many("so ", count=2, length=30, seed=2, rule=Third()) == texts[:2]
    free = MODEL.generate_many("so ", count=5, length=30, seed=2)
    assert all(set(text) <= {*MODEL.vocabulary.characters[::3]} for text in texts)
    assert texts != free


def test_numbers_for_a_second_draw_are_others():
    seeds = stream_seeds(3, 500)
    first, second = uniform(seeds, 4), uniform(second_seeds(seeds), 4)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2 and not (first == second).any()


@pytest.mark.parametrize("how", [{}, {"top_k": 2}], ids=str)
def test_a_dead_end_of_a_grammar_takes_no_share(how):
    """After a q comes a digit, which the model does not know."""
    grammar = 'start: "e " tail\ntail: "q" /[0-9]/ | /[abc]/ | "e" tail2\ntail2: "q" "1" | "x"'
    texts = MODEL.generate_many("th", count=1200, length=4, seed=6, rule=Grammar(grammar), **how)
    drawn = [text[2] for text in texts]
    for character, share in expected(["a", "b", "c", "e"], **how).items():
        error = 4.5 * (share * (1 - share) / len(texts)) ** 0.5
        assert drawn.count(character) / len(texts) == pytest.approx(share, abs=error)
    assert {text for text in texts if text[2] == "e"} <= {"e ex"}


def test_a_length_that_runs_out_changes_no_proportion():
    """With one left after a quote, the string has to be closed."""
    model = fox_model(Vocabulary.of('"ab'))
    rule = JsonSchema({"type": "string"})
    texts = model.generate_many(count=2000, length=3, seed=8, rule=rule)
    assert set(texts) == {'""', '"a"', '"b"'}
    shares = model.next('"')
    for character in 'ab"':
        found = sum(text[1] == character for text in texts) / len(texts)
        assert found == pytest.approx(shares[character], abs=0.05)
