"""What a notebook shows of a model and of a trace: safe, short, and true."""

from __future__ import annotations

import re
from html import unescape

import pytest
from messages import messages
from models import fox_model

import charloom
from charloom import Vocabulary
from charloom.model import html
from charloom.model.scoring import Score
from charloom.model.storage.provenance import Provenance


def cells(page: str) -> dict[str, str]:
    return {n: unescape(v) for n, v in re.findall(r"<th[^>]*>(.*?)</th><td[^>]*>(.*?)</td>", page)}


def test_a_model_is_a_table_of_what_it_is_and_how_good_it_is():
    fox = fox_model()
    measured = Score(nats=693.147, characters=500, utf8_bytes=500)
    provenance = Provenance(step=7, steps=9, validation=measured, precision="<i>float32")
    model = charloom.Model(fox.settings, fox.vocabulary, fox.weights, provenance)
    shown = cells(model._repr_html_())
    assert shown["network"] == f"lstm, 2 layers of 7, {model.parameters:,} weights"
    assert shown["trained"] == "7 of 9 steps, <i>float32"
    assert shown["held out"] == "2.000 bits per character, 500 characters"
    assert "<i>" not in model._repr_html_()
    assert cells(fox._repr_html_()).keys() == {"network", "vocabulary"}


def test_a_long_vocabulary_is_cut_and_one_of_bytes_has_no_characters():
    wide = Vocabulary.of("".join(chr(0x400 + n) for n in range(html.MOST_KNOWN + 9)))
    assert cells(fox_model(wide)._repr_html_())["vocabulary"].endswith(" ...")
    assert cells(fox_model(Vocabulary.bytes())._repr_html_())["vocabulary"] == "256 bytes"


def strengths(page: str) -> list[float]:
    return [float(value) for value in re.findall(r"rgba\([^)]*, ([0-9.]+)\)", page)]


def test_a_character_is_the_more_colored_the_more_surprising_it_was():
    trace = fox_model().trace("the fox\nsaid")
    page = trace._repr_html_()
    assert re.sub("<[^>]+>", "", page.partition("<small>")[0]) == "the fox↵\nsaid"
    expected = [min(max(bits / html.MOST_BITS, 0), 1) * 0.8 for bits in trace.bits]
    assert strengths(page) == pytest.approx(expected, abs=0.006)
    assert f"t: {trace.bits[0]:.2f} bits&quot;" in page.replace('"', "&quot;", 1) or trace.bits[0]
    assert f"12 characters, {trace.bits.mean():.2f} bits each" in page
    told = [unescape(title) for title in re.findall('title="(.*?)"', page)]
    assert told[0] == f"t: {trace.bits[0]:.2f} bits"
    assert f"number {trace.rank[1]} of what was expected: " in told[1]


def test_markup_in_a_text_is_shown_and_not_obeyed():
    with messages():
        page = fox_model(Vocabulary.of("fox", unknown=True)).trace('<script>"&\x1b')._repr_html_()
    assert "<script" not in page and "\x1b" not in page
    assert unescape(re.sub("<[^>]+>", "", page)).startswith('<script>"&\\x1b')


def test_a_long_trace_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(html, "LONGEST", 5)
    page = fox_model().trace("the fox")._repr_html_()
    assert page.count("<span") == 5
    assert "7 characters" in page and "the first 5 are shown" in page


def test_the_short_forms_are_one_line():
    assert repr(fox_model().trace("the fox")) == "Trace(7 characters, 2 x 7 units)"
    assert len(repr(fox_model())) < 100
