"""What is trained on and what is held out."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import (
    SettingsError,
)
from charloom.settings import TextSettings
from charloom.text import reading, splitting
from charloom.text.corpus import InMemory, build_corpus
from charloom.text.splitting import split

PLAIN = TextSettings()


@pytest.fixture
def small_pieces(monkeypatch):
    """Read three bytes or characters at a time, so that every border is met."""
    monkeypatch.setattr(reading, "PIECE", 3)
    monkeypatch.setattr(splitting, "PIECE", 3)


def texts_of(parts) -> tuple[str, str]:
    decode = parts.training.vocabulary.decode
    return decode(parts.training.ids), decode(parts.validation.ids)


def test_the_end_of_a_text_is_held_out():
    corpus = build_corpus(InMemory("0123456789"), PLAIN)
    parts = split(corpus, TextSettings(validation_fraction=0.3))
    assert texts_of(parts) == ("0123456", "789")
    assert (parts.training.start, parts.training.stop) == (0, 7)
    assert (parts.validation.start, parts.validation.stop) == (7, 10)


def test_tiny_shakespeare_is_split_where_nanogpt_splits_it():
    corpus = build_corpus(InMemory("a" * 1_115_394), PLAIN)
    assert split(corpus, PLAIN).training.stop == int(1_115_394 * 0.9)


@given(st.text("ab\né", min_size=1, max_size=50), st.floats(0, 0.99), st.integers(1, 60))
@settings(deadline=None)
def test_the_parts_are_the_whole_and_each_has_the_hash_of_its_text(text, fraction, limit):
    settings = TextSettings(validation_fraction=fraction, validation_limit=limit)
    for kind in ("characters", "bytes"):
        corpus = build_corpus(InMemory(text), settings.replace(vocabulary=kind))
        parts = split(corpus, settings)
        assert "".join(texts_of(parts)) == text
        assert len(parts.validation.ids) <= limit
        assert parts.training.stop == parts.validation.start >= min(2, len(text))
        for lines in (False, True):
            parts = split(corpus, settings, lines=lines)
            assert len(parts.training.ids)
            both = (parts.training, parts.validation)
            for part, content in zip(both, texts_of(parts), strict=True):
                assert part.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_lines_are_not_cut(small_pieces):
    corpus = build_corpus(InMemory("one\ntwo\nthree\nfour\n"), PLAIN)

    def cut(fraction):
        settings = TextSettings(validation_fraction=fraction)
        return texts_of(split(corpus, settings, lines=True))

    whole = ["one", "two", "three", "four"]
    for fraction in (0.1, 0.3, 0.5, 0.7, 0.9):
        training, held_out = cut(fraction)
        assert sorted((training + held_out).split()) == sorted(whole)
        assert set(training) | set(held_out) >= set("\n")
        assert not {part[-1:] for part in (training, held_out)} - {"", "\n"}


def test_bytes_of_one_character_stay_together():
    corpus = build_corpus(InMemory("ab€"), TextSettings(vocabulary="bytes"))
    for fraction in (0.2, 0.4):
        assert texts_of(split(corpus, TextSettings(validation_fraction=fraction))) == (
            "ab€",
            "",
        )
    assert texts_of(split(corpus, TextSettings(validation_fraction=0.6))) == ("ab", "€")


def test_a_text_of_its_own_is_held_out_whole():
    corpus = build_corpus(InMemory("abcabc"), PLAIN)
    other = build_corpus(InMemory("cabx"), PLAIN, vocabulary=corpus.vocabulary)
    assert texts_of(split(corpus, PLAIN, other)) == ("abcabc", "cab\ufffd")


def test_a_validation_text_with_other_ids_is_refused():
    corpus, other = (
        build_corpus(InMemory("abc"), PLAIN),
        build_corpus(InMemory("xyz"), PLAIN),
    )
    with pytest.raises(SettingsError, match="another vocabulary"):
        split(corpus, PLAIN, other)
