"""What is shown of a text, and what is said of characters that a model has never seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from messages import messages, warned

from charloom.text.unknown import warn_of_unknown
from charloom.text.visible import visible


@given(st.text())
def test_what_is_shown_is_one_line_without_anything_a_terminal_acts_on(text: str):
    assert visible(text).isprintable()


def test_escapes_are_spelled_out_and_letters_are_not():
    assert visible("a\tb\n\x1b[31mé 𝄞") == "a\\tb\\n\\x1b[31mé 𝄞"


def test_unknown_characters_are_named_once_with_their_counts():
    with warned(r"'é' \(U\+00E9\) 3x, 'ж' \(U\+0436\) 1x"):
        warn_of_unknown({"ж": 1, "é": 3})


def test_many_unknown_characters_are_cut_short():
    with warned("and 12 others"):
        warn_of_unknown({chr(0x400 + n): 1 for n in range(20)})


def test_nothing_unknown_is_no_warning():
    with messages() as found:
        warn_of_unknown({})
    assert found == []
