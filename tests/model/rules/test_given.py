"""A rule from plain values is the rule itself, and what does not go together is refused."""

from __future__ import annotations

import pytest

import charloom
from charloom import Both, CopyIndex, Grammar, JsonSchema, NoCopies, Pattern
from charloom.errors import SettingsError
from charloom.model.rules.given import GIVEN, rule_given
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

MODEL = charloom.Model.untrained(ModelSettings(hidden_size=6), Vocabulary.of("ab {}\n"))


def texts(rule) -> list[str]:
    return MODEL.generate_many("a", count=20, length=6, seed=1, rule=rule)


def test_values_are_the_rules_they_name(tmp_path):
    assert rule_given(MODEL) is rule_given(MODEL, **GIVEN) is None
    assert rule_given(MODEL, pattern="a") == Pattern("a")
    assert rule_given(MODEL, grammar='start: "a"') == Grammar('start: "a"')
    assert rule_given(MODEL, json_schema="true") == JsonSchema("true")
    (tmp_path / "book").write_text("aab abb")
    copies = {"no_copies": 3, "training_text": tmp_path / "book", "prompt": "a"}
    alone, index = rule_given(MODEL, **copies), CopyIndex.of(["aab abb"])
    assert isinstance(alone, NoCopies) and alone.after == "a"
    assert texts(alone) == texts(NoCopies(index, 3, after="a"))
    meet = rule_given(MODEL, pattern="[ab]{6}", **copies)
    assert texts(meet) == texts(Both(Pattern("[ab]{6}"), NoCopies(index, 3, after="a")))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pattern": "a", "grammar": "b"}, "`pattern` and `grammar` were given"),
        ({"no_copies": 3}, "`no_copies` and `training_text` go together"),
        ({"pattern": "a", "training_text": "x"}, "go together; give both"),
    ],
)
def test_what_does_not_go_together_is_refused(values, reason):
    with pytest.raises(SettingsError, match=reason):
        rule_given(MODEL, **values)
