"""What a page shows first: whose text it is, how much of it, and what is on top."""

from __future__ import annotations

import pytest
from serving_tools import TEXT, served, small_model

import charloom
from charloom.errors import SettingsError
from charloom.serving import guard
from charloom.serving.first_view import FirstView


def test_without_a_text_it_is_the_models_and_says_so():
    model = small_model()
    view = FirstView.of(model, None, "newspaper")
    assert view.text == "".join(model.generate(length=1000, temperature=0.7))
    assert (view.generated, view.cut) == (True, False)
    assert FirstView.of(small_model(lines=True), None, "newspaper").text.count("\n") == 20
    assert not FirstView.of(model, view.text, "newspaper").generated


def test_a_longer_text_is_cut_where_a_page_ends(monkeypatch):
    monkeypatch.setattr(guard, "CHARACTERS", 50)
    for length, cut in ((50, False), (51, True)):
        view = FirstView.of(small_model(), TEXT[:length], "newspaper")
        assert (view.text, view.cut) == (TEXT[:50], cut)


def test_what_can_be_on_top_is_told_to_the_page_and_all_else_refused(tmp_path):
    model = small_model()
    with served(model, FirstView.of(model, TEXT, "generate")) as page:
        assert page.ask("/api/start").json == {
            "text": TEXT,
            "cut": False,
            "generated": False,
            "open_on": "generate",
        }
    for act in (
        lambda: charloom.save_page(model, TEXT, tmp_path / "a.html", open_on="top"),  # type: ignore[arg-type]
        lambda: charloom.serve(model, TEXT, open_on="top"),  # type: ignore[arg-type]
        lambda: charloom.export_model(model, tmp_path / "a.html", open_on="top"),  # type: ignore[arg-type]
    ):
        with pytest.raises(SettingsError, match="open_on: 'top' was given; it must be one of news"):
            act()
    assert list(tmp_path.iterdir()) == []
