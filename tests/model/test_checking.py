"""Texts that pass a check: the first ones of generate_many that do, and no endless search."""

from __future__ import annotations

import pytest
from models import fox_model

from charloom.errors import SettingsError
from charloom.model import checking

MODEL = fox_model()


@pytest.mark.parametrize("together", [1, 5, 64])
def test_they_are_the_first_of_generate_many_that_pass(monkeypatch, together):
    monkeypatch.setattr(checking, "_TOGETHER", together)
    seen: list[str] = []

    def check(text: str) -> bool:
        seen.append(text)
        return "x" in text

    found = MODEL.generate_checked(check, "the ", count=6, length=9, seed=2)
    every = MODEL.generate_many("the ", count=200, length=9, seed=2)
    assert seen == every[: len(seen)] and found.drawn == len(seen)
    assert found.texts == [text for text in every if "x" in text][:6]
    assert found.rate == 6 / len(seen)


def test_the_search_is_bounded():
    found = MODEL.generate_checked(lambda text: False, count=3, tries=7, length=2)
    assert (found.texts, found.drawn, found.rate) == ([], 21, 0.0)
    with pytest.raises(SettingsError, match="tries: 0 was given"):
        MODEL.generate_checked(lambda text: True, tries=0)


def test_a_check_that_fails_is_not_taken_for_a_refusal():
    with pytest.raises(ZeroDivisionError):
        MODEL.generate_checked(lambda text: 1 / 0 > 0, count=1)
