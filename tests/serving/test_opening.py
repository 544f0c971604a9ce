"""The units on which a page opens: found once, in its text or in one by the model."""

from __future__ import annotations

import json

import planted
from serving_tools import served, small_model

from charloom.serving import opening
from charloom.serving.offline.page import export
from charloom.serving.opening import OpeningUnits, opening_units

TEXT = planted.text(3000, seed=1)


def test_the_page_and_the_file_open_on_the_same_units():
    model = planted.model()
    found = opening_units(model, TEXT)
    assert found[0]["named"]
    assert found[0]["label"] in ("inside quotes", "bracket depth", "inside brackets")
    with served(model, TEXT) as page:
        assert page.ask("/api/units").json == {"units": found}
    assert f'"units": {json.dumps(found)}' in export(model, TEXT).html


def test_a_short_text_is_replaced_by_one_of_the_models_own():
    model = planted.model()
    own = "".join(model.generate(length=opening.GENERATED, seed=0))
    assert opening_units(model, "abc") == opening_units(model, own)


def test_they_are_searched_once(monkeypatch):
    calls = []
    monkeypatch.setattr(opening, "opening_units", lambda *given: calls.append(given) or [])
    units = OpeningUnits(small_model(), TEXT)
    assert units.get() == units.get() == []
    assert len(calls) == 1
