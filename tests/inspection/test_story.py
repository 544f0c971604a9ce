"""The story: the numbers it tells are the trace's, in the blog's order."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from models import SPOKEN, spoken_model
from numpy.testing import assert_allclose

from charloom.errors import SettingsError
from charloom.inspection import story
from charloom.inspection.narration.moment import LARGEST


def test_a_text_has_a_line_for_each_character_whatever_the_pieces():
    model = spoken_model()
    whole = list(story.tell_text(model, iter([model.trace(SPOKEN)])))
    pieces = list(story.tell_text(model, model.trace_pieces(SPOKEN, steps=5)))
    assert whole == pieces
    assert len(whole) == 2 + len(SPOKEN)
    assert whole[2].split()[:2] == ["0", "t"]


def test_control_characters_are_spelled_out():
    model = spoken_model()
    told = [*story.tell_text(model, model.trace_pieces(SPOKEN))]
    told += story.tell_step(model, model.trace(SPOKEN), -1)
    assert "\x1b" not in "".join(told)
    assert any(r"\x1b" in line for line in told)
    assert all(line.isprintable() for line in told)


def test_a_step_is_told_in_the_blogs_order_with_equations_that_come_out():
    model = spoken_model()
    trace = model.trace(SPOKEN)
    told = "\n".join(story.tell_step(model, trace, 9))
    places = [told.index(part) for part in ("forget", "input", "article is now", "headline from")]
    assert places == sorted(places)
    assert told.index("Predicted next") > places[-1]
    equations = re.findall(
        r"(\w+) = \S+ [*+] .*? = (-?[\d.]+) ([*+]) (-?[\d.]+) = (-?[\d.]+)", told
    )
    assert len(equations) == 4 * LARGEST
    for _, a, sign, b, result in equations:
        value = float(a) * float(b) if sign == "*" else float(a) + float(b)
        assert value == pytest.approx(float(result), abs=3e-3)
    q = {name: values[9, 1, 5] for name, values in trace.quantities.items()}
    q |= {"C_t-1": trace.C_before[9, 1, 5], "tanh C_t": math.tanh(q["C_t"])}
    told = "\n".join(story.tell_step(model, trace, 9, unit=5))
    for result, a, sign, b in (
        ("fC_t", "f_t", "*", "C_t-1"),
        ("gi_t", "i_t", "*", "g_t"),
        ("C_t", "fC_t", "+", "gi_t"),
        ("h_t", "o_t", "*", "tanh C_t"),
    ):
        first, second, third = (f"{round(float(q[n]), 3) + 0.0:.3f}" for n in (a, b, result))
        equation = f"{result} = {a} {sign} {b} = {first} {sign} {second} = {third}"
        assert equation in told


def test_a_unit_is_told_with_the_sums_behind_its_gates():
    for shape in ({}, {"embedding_size": 4}):
        model = spoken_model(**shape)
        trace = model.trace(SPOKEN)
        for layer in (1, 2):
            told = "\n".join(story.tell_step(model, trace, 9, unit=4, layer=layer))
            sums = re.findall(
                r"(\w_t) = (\w+)\((-?[\d.]+) from x_t ([+-]) ([\d.]+) from h_t-1"
                r" ([+-]) ([\d.]+)\) = (-?[\d.]+)",
                told,
            )
            assert [name for name, *_ in sums] == ["f_t", "i_t", "g_t", "o_t"]
            for name, squeeze, x, h_sign, h, b_sign, b, result in sums:
                total = float(x) + float(h_sign + h) + float(b_sign + b)
                value = math.tanh(total) if squeeze == "tanh" else 1 / (1 + math.exp(-total))
                assert value == pytest.approx(float(result), abs=2e-3)
                exact = trace.quantities[name][9, layer - 1, 4]
                assert float(result) == pytest.approx(exact, abs=6e-4)


def test_the_headline_speaks_with_the_numbers_of_the_head():
    model = spoken_model()
    trace = model.trace(SPOKEN)
    told = "\n".join(story.tell_step(model, trace, 9))
    logits = model.weights["head.weight"] @ trace.h_t[9, 1]
    best = int(np.argmax(logits))
    character = model.vocabulary.decode([best])
    assert f"speaks for '{character}' {logits[best] - logits.mean():+.2f}" in told


def test_only_as_much_of_a_long_text_is_traced_as_the_step_needs():
    model = spoken_model()
    read = []

    def pieces():
        for piece in model.trace_pieces(SPOKEN, steps=4):
            read.append(piece)
            yield piece

    trace = story.around(pieces(), 9)
    assert len(read) == 3
    told = list(story.tell_step(model, trace, 9))
    assert told[0].startswith("Step 9 reads")
    assert list(story.tell_step(model, model.trace(SPOKEN), 9))[1:] == told[1:]


def test_a_unit_over_the_text_is_a_table_of_its_quantities():
    model = spoken_model()
    rows = list(story.tell_unit(model, model.trace_pieces(SPOKEN, steps=7), 3, 1))
    assert rows[1].split() == ["step", "reads", *model.trace(SPOKEN).quantities]
    assert len(rows) == 2 + len(SPOKEN)
    last = [float(value) for value in rows[-1].split()[-8:]]
    found = model.trace(SPOKEN).quantities.values()
    assert_allclose(last, [values[-1, 0, 3] for values in found], atol=6e-4)


def test_a_plain_rnn_has_a_story_too():
    model = spoken_model(cell="rnn")
    told = list(story.tell_text(model, model.trace_pieces(SPOKEN)))
    assert "no article and no gates" in told[0]
    assert len(told) == 2 + len(SPOKEN)
    step = "\n".join(story.tell_step(model, model.trace(SPOKEN), 4, unit=2))
    assert "h_t = tanh(" in step


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"at": 99}, "at: 99 was given"),
        ({"at": -99}, "at: -"),
        ({"at": 0, "unit": 9}, "units 0 to 8"),
        ({"at": 0, "layer": 3}, "layers 1 to 2"),
        ({"at": 0, "layer": 0}, "layers 1 to 2"),
    ],
)
def test_what_is_not_there_cannot_be_told(options, complaint: str):
    model = spoken_model()
    with pytest.raises(SettingsError, match=complaint):
        list(story.tell_step(model, model.trace(SPOKEN), **options))


def test_a_narrow_terminal_gets_the_same_lines_without_bars():
    model = spoken_model()
    wide = list(story.tell_text(model, model.trace_pieces(SPOKEN)))
    narrow = list(story.tell_text(model, model.trace_pieces(SPOKEN), width=40))
    assert max(map(len, narrow)) <= 40
    assert not any(set("█▏▎▍▌▋▊▉") & set(line) for line in narrow)
    assert " ".join(narrow[:2]) == wide[0]
    for long, short in zip(wide[2:], narrow[3:], strict=True):
        assert re.sub(r"[█▏▎▍▌▋▊▉ ]+", " ", long).rstrip() == re.sub(" +", " ", short)


def test_nothing_is_struck_out_of_a_blank_article():
    model = spoken_model()
    lines = list(story.tell_step(model, model.trace(SPOKEN), 0))
    assert "   nothing, as nothing is written in it yet." in lines
    assert not any("fC_t = f_t * C_t-1" in line for line in lines)
