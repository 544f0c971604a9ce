"""Characters become ids and come back; what is unknown is named, counted and charged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import (
    ModelFileError,
    SettingsError,
    TextError,
    UnknownCharacterError,
)
from charloom.text.vocabulary import Vocabulary, code_points

FOX = (
    "One bright morning as the Fox was following his sharp nose through the wood in search "
    "of a bite to eat, he saw a Crow on the limb of a tree overhead."
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_the_mapping_is_the_blogs():
    assert len(FOX) == 149
    assert Vocabulary.of(FOX).mapping == {
        " ": 0, ",": 1, ".": 2, "C": 3, "F": 4, "O": 5, "a": 6, "b": 7, "c": 8, "d": 9,
        "e": 10, "f": 11, "g": 12, "h": 13, "i": 14, "l": 15, "m": 16, "n": 17, "o": 18,
        "p": 19, "r": 20, "s": 21, "t": 22, "u": 23, "v": 24, "w": 25, "x": 26,
    }  # fmt: skip


def test_the_first_window_is_encoded_as_in_the_blog():
    ids = Vocabulary.of(FOX).encode("One bright morni")
    assert ids.tolist() == [5, 17, 10, 0, 7, 20, 14, 12, 13, 22, 0, 16, 18, 20, 17, 14]


def test_the_unknown_comes_last_and_moves_no_other_id():
    plain, open_ = Vocabulary.of(FOX), Vocabulary.of(FOX, unknown=True)
    assert open_.mapping == plain.mapping
    assert (plain.size, plain.unknown_id) == (27, None)
    assert (open_.size, open_.unknown_id) == (28, 27)


@given(texts, texts, st.booleans())
@settings(deadline=None)
def test_encoding_agrees_with_a_lookup_in_the_mapping(known, text, bytes_):
    vocabulary = Vocabulary.bytes() if bytes_ else Vocabulary.of(known, unknown=True)
    if bytes_:
        expected = list(text.encode())
    else:
        expected = [vocabulary.mapping.get(c, vocabulary.unknown_id) for c in text]
    assert vocabulary.encode(text).tolist() == expected


@given(texts)
@settings(deadline=None)
def test_decoding_gives_back_what_was_encoded(text):
    for vocabulary in (Vocabulary.of(text), Vocabulary.bytes()):
        assert vocabulary.decode(vocabulary.encode(text)) == text


@given(texts, texts)
@settings(deadline=None)
def test_what_is_unknown_is_decoded_as_the_replacement_character(known, text):
    vocabulary = Vocabulary.of(known, unknown=True)
    expected = "".join(c if c in known else "\ufffd" for c in text)
    assert vocabulary.decode(vocabulary.encode(text)) == expected


@given(texts, texts)
@settings(deadline=None)
def test_unknown_characters_are_counted(known, text):
    unknown = Vocabulary.of(known).unknown_characters(text)
    assert unknown == {c: text.count(c) for c in set(text) - set(known)}
    assert list(unknown.values()) == sorted(unknown.values(), reverse=True)


@given(texts, st.booleans())
@settings(deadline=None)
def test_a_vocabulary_survives_json(text, unknown):
    for vocabulary in (Vocabulary.of(text, unknown=unknown), Vocabulary.bytes()):
        stored = json.loads(json.dumps(vocabulary.to_json()))
        assert Vocabulary.from_json(stored) == vocabulary


@pytest.mark.parametrize(
    ("size", "unknown", "dtype"),
    [
        (256, False, np.uint8),
        (256, True, np.uint16),
        (257, False, np.uint16),
        (65536, False, np.uint16),
        (65536, True, np.uint32),
    ],
)
def test_ids_are_of_the_smallest_type_that_holds_them(size, unknown, dtype):
    characters = "".join(chr(0x10000 + i) for i in range(size))
    vocabulary = Vocabulary.of(characters, unknown=unknown)
    ids = vocabulary.encode(characters + ("!" if unknown else ""))
    assert ids.dtype == vocabulary.dtype == dtype
    assert ids.tolist() == list(range(size + unknown))


def test_a_character_that_no_id_fits_is_named_with_code_point_and_position():
    vocabulary = Vocabulary.of("abc")
    with pytest.raises(UnknownCharacterError, match=r"'é' \(U\+00E9\) at position 2"):
        vocabulary.encode("abéé")
    with pytest.raises(UnknownCharacterError, match=r"'\\n' \(U\+000A\) at position 100"):
        vocabulary.encode("\n", start=100)


def test_an_unknown_beside_256_known_characters_is_still_noticed():
    vocabulary = Vocabulary.of("".join(map(chr, range(256))))
    with pytest.raises(UnknownCharacterError, match=r"U\+20AC"):
        vocabulary.encode("a€")


def test_half_a_surrogate_pair_is_an_error_for_bytes_and_unknown_for_characters():
    with pytest.raises(UnknownCharacterError, match=r"U\+DCFF\) at position 11"):
        Vocabulary.bytes().encode("a\udcff", start=10)
    assert Vocabulary.of("a", unknown=True).encode("a\udcff").tolist() == [0, 1]
    with pytest.raises(SettingsError, match="halves"):
        Vocabulary.of("a\udcff")


def test_bytes_that_are_no_utf8_are_decoded_as_the_replacement_character():
    assert Vocabulary.bytes().decode([0x61, 0xFF, 0xC3, 0xA9]) == "a\ufffdé"


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_number_that_is_no_id_is_refused(wrong):
    with pytest.raises(TextError, match=f"{wrong} is not an id"):
        Vocabulary.of("abc").decode([0, wrong])


def test_an_empty_text_has_empty_ids():
    for vocabulary in (Vocabulary.of("abc"), Vocabulary.bytes()):
        assert vocabulary.encode("").size == 0
        assert vocabulary.decode([]) == ""
        assert vocabulary.unknown_characters("") == {}


def test_rare_characters_are_read_as_the_unknown():
    vocabulary = Vocabulary.of("aaabbc", minimum_count=2, unknown=True)
    assert vocabulary.characters == "ab"
    assert vocabulary.encode("abc").tolist() == [0, 1, 2]


def test_rare_characters_without_an_unknown_are_refused():
    with pytest.raises(SettingsError, match="1 rarer character would have no id"):
        Vocabulary.of("aab", minimum_count=2)


def test_a_text_with_nothing_left_to_know_is_refused():
    with pytest.raises(TextError, match="empty"):
        Vocabulary.of("")
    with pytest.raises(TextError, match="as often as 3 times"):
        Vocabulary.of("aab", minimum_count=3, unknown=True)


def test_the_charge_spells_out_one_of_all_characters_outside():
    assert Vocabulary.of("abc", unknown=True).unknown_nats == math.log(1_112_064 - 3)
    assert Vocabulary.of("abc").unknown_nats == 0
    assert Vocabulary.bytes().unknown_nats == 0


def test_the_newline_has_an_id_where_it_is_known():
    assert Vocabulary.of("a\nb").newline_id == 0
    assert Vocabulary.of("ab").newline_id is None
    assert Vocabulary.bytes().newline_id == 10


def test_lengths_in_utf8_are_known_for_every_id():
    assert Vocabulary.of("aé€😀", unknown=True).utf8_lengths().tolist() == [1, 2, 3, 4, 0]
    assert Vocabulary.bytes().utf8_lengths().tolist() == [1] * 256


def test_code_points_are_those_of_ord():
    assert code_points("aé€😀").tolist() == [ord(c) for c in "aé€😀"]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        {},
        {"kind": "words", "characters": "ab", "unknown": False},
        {"kind": "characters", "characters": "ba", "unknown": False},
        {"kind": "characters", "characters": "aa", "unknown": False},
        {"kind": "characters", "characters": "", "unknown": True},
        {"kind": "characters", "characters": "\ud800", "unknown": True},
        {"kind": "characters", "characters": ["a"], "unknown": True},
        {"kind": "characters", "characters": "ab", "unknown": 1},
        {"kind": "bytes", "characters": "ab", "unknown": False},
        {"kind": "bytes", "characters": "", "unknown": True},
    ],
)
def test_a_damaged_vocabulary_in_a_file_is_refused(stored):
    with pytest.raises(ModelFileError, match="stored vocabulary"):
        Vocabulary.from_json(stored)
