"""The index of a text against brute force on small ones."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import SettingsError, TextError
from charloom.text import copies
from charloom.text.copies import CopyIndex

FEW = st.text("ab", max_size=60)
MANY = st.text("aé€𝄞\n\0", max_size=40)  # one to four bytes, and zeros like those of the padding


def longest(text: str, indexed: str) -> list[int]:
    """From each position, by trying every length."""
    lengths = []
    for i in range(len(text)):
        n = 0
        while i + n < len(text) and text[i : i + n + 1] in indexed:
            n += 1
        lengths.append(n)
    return lengths


@pytest.mark.parametrize("letters", [FEW, MANY])
def test_the_longest_copies_are_those_of_brute_force(letters):
    @settings(deadline=None)
    @given(letters, letters)
    def check(indexed, text):
        assert CopyIndex.of([indexed]).longest(text).tolist() == longest(text, indexed)

    check()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_long_copies_are_those_of_brute_force(data):
    """Longer than what is compared at once, some of them overlapping."""
    indexed = data.draw(st.text("ab", min_size=1200, max_size=1600))
    pieces = []
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, 1100))
        pieces.append(indexed[start : start + data.draw(st.integers(1, 900))])
    text = data.draw(st.sampled_from(["", "b", "aab"])).join(pieces)
    expected, least = [], 0
    for i in range(len(text)):  # a copy is at most one shorter than the one before
        n = max(least - 1, 0)
        while i + n < len(text) and text[i : i + n + 1] in indexed:
            n += 1
        expected.append(n)
        least = n
    assert CopyIndex.of([indexed]).longest(text).tolist() == expected


@settings(deadline=None)
@given(MANY, st.text("aé€", min_size=1, max_size=3))
def test_a_text_is_found_where_it_stands_and_what_follows_it(indexed, text):
    index = CopyIndex.of([indexed])
    at = index.find(text)
    assert (at is not None) == (text in indexed)
    if at is not None:
        assert indexed.encode()[at:].startswith(text.encode())
    starts = range(len(indexed) - len(text))
    after = {indexed[i + len(text)] for i in starts if indexed.startswith(text, i)}
    assert index.following(text) == "".join(sorted(after))


def test_an_index_takes_five_bytes_for_each_of_a_text():
    text = "The fox and the crow. " * 1000
    index = CopyIndex.of([text[:9], text[9:]])
    assert (index.bytes, index.characters) == (len(text), len(text))
    assert index.memory <= 5 * len(text) + 32
    assert repr(index) == f"CopyIndex(22,000 characters, {index.memory:,} bytes)"
    assert index.longest(text).tolist() == [*range(len(text), 0, -1)]


def test_nothing_is_copied_from_or_to_an_empty_text():
    assert CopyIndex.of([]).longest("ab").tolist() == [0, 0]
    assert CopyIndex.of(["ab"]).longest("").tolist() == []
    assert CopyIndex.of([]).find("a") is None
    assert CopyIndex.of(["ab"]).following("b") == ""


def test_words_are_read_at_every_place():
    utf8 = np.frombuffer(bytes(range(1, 33)) + bytes(16), np.uint8)
    found = copies._word_at(utf8.view(">u8"), np.arange(32))
    assert [int(word) for word in found] == [
        int.from_bytes(utf8[at : at + 8].tobytes(), "big") for at in range(32)
    ]
    numbers = np.array([0, 1, 255, 256, 2**55, 2**56, 2**64 - 1], np.uint64)
    assert copies._equal_bytes(numbers).tolist() == [8, 7, 7, 6, 1, 0, 0]


def test_a_text_that_is_too_long_and_a_missing_package_are_told(monkeypatch):
    monkeypatch.setattr(copies, "LARGEST_TEXT", 10)
    with pytest.raises(TextError, match="more than 2 GB"):
        CopyIndex.of(["123456", "78901"])
    real = builtins.__import__

    def without(name, *rest):
        if name == "pydivsufsort":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[copies\]'"):
        CopyIndex.of(["ab"])
