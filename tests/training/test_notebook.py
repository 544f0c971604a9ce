"""A run in a notebook: shown, drawn anew while it trains, and never ended by its display."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from runs import start

import charloom
from charloom.training import notebook


class View:
    def __init__(self) -> None:
        self.drawn: list[dict[str, str]] = []

    def update(self, content, *, raw: bool) -> None:
        assert raw
        self.drawn.append(content)


@pytest.fixture
def views(monkeypatch) -> list[View]:
    """The views of a notebook that is not there."""
    found: list[View] = []

    def display(content, *, raw, display_id):
        assert raw and display_id
        found.append(View())
        found[-1].drawn.append(content)
        return found[-1]

    shell = SimpleNamespace(kernel=None)
    for name, parts in {
        "IPython": {},
        "IPython.core": {},
        "IPython.core.getipython": {"get_ipython": lambda: shell},
        "IPython.display": {"display": display},
    }.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(notebook, "SECONDS", 0.0)
    return found


def test_a_run_that_is_shown_is_drawn_anew_while_it_trains(views):
    run = start(None, steps=6, validate_every=2)
    run._ipython_display_()
    run._ipython_display_()
    run.finish()
    assert [len(view.drawn) for view in views] == [8, 8]  # at first, each step, and at the end
    assert views[0].drawn[0]["text/html"] == "<div>Run(step 0 of 6, lstm 2 x 8)</div>"
    assert "step 6 of 6" in views[0].drawn[-1]["text/plain"]
    assert views[0].drawn[-1]["text/html"].count("<circle") == 3


def test_it_is_not_drawn_more_often_than_once_in_a_while(views, monkeypatch):
    monkeypatch.setattr(notebook, "SECONDS", 1000.0)
    run = start(None, steps=6)
    run._ipython_display_()
    run.finish()
    assert len(views[0].drawn) == 3


def test_a_display_that_fails_does_not_end_the_run(views):
    run = start(None, steps=6)
    run._ipython_display_()
    views[0].update = None
    assert run.finish().provenance.steps == 6


def test_in_a_terminal_it_is_shown_once(views):
    del sys.modules["IPython.core.getipython"].get_ipython().kernel
    run = start(None, steps=6)
    run._ipython_display_()
    run.finish()
    assert len(views[0].drawn) == 1


def test_a_resumed_run_shows_its_steps_from_before(tmp_path):
    run = start(tmp_path / "run", steps=8)
    for _ in range(5):
        next(run)
    run.stop()
    run = charloom.resume(tmp_path / "run")
    assert repr(run).startswith("Run(step 5 of 8, lstm 2 x 8, best ")
    before = run._repr_html_()
    run.finish()
    lines = [page.split('points="')[1].split('"')[0] for page in (before, run._repr_html_())]
    assert [len(line.split()) for line in lines] == [5, 8]
