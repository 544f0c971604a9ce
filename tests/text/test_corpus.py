"""A text is read from anywhere, normalized, kept as ids, split; every failure is told."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.errors import (
    CharloomError,
    ModelFileError,
    OutputError,
    SettingsError,
    TextError,
    UnknownCharacterError,
)
from charloom.settings import TextSettings
from charloom.text import normalizing, reading, splitting
from charloom.text.corpus import Corpus, InMemory, build_corpus
from charloom.text.reading import read
from charloom.text.vocabulary import Vocabulary

PLAIN = TextSettings()
NFC = TextSettings(normalization="nfc")
AWKWARD = "a\r\n\ufeffé\u0301\u0300ქ한\u1112\u1161\u11ab가\u09c7\u09be😀\u0958\u212b 。"
awkward_texts = st.text(st.sampled_from(AWKWARD), min_size=1, max_size=30)


@pytest.fixture
def small_pieces(monkeypatch):
    """Read three bytes or characters at a time, so that every border is met."""
    monkeypatch.setattr(reading, "PIECE", 3)
    monkeypatch.setattr(splitting, "PIECE", 3)


def text_of(sources, settings=PLAIN) -> str:
    return "".join(read(sources, settings))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Reading


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)],
)
def test_a_file_is_decompressed_by_its_ending(tmp_path, ending, pack):
    path = write(tmp_path / f"a.txt{ending}", pack("Größe\n".encode()))
    assert text_of(path) == text_of(str(path)) == "Größe\n"


def test_a_folder_is_its_text_files_in_order_of_their_names(tmp_path):
    write(tmp_path / "b.txt", "3\n")
    write(tmp_path / "a" / "y.md", "2\n")
    write(tmp_path / "a" / "x.TXT.gz", gzip.compress(b"1\n"))
    write(tmp_path / "a" / "image.png", b"\0")
    write(tmp_path / ".hidden" / "c.txt", "4\n")
    (tmp_path / "folder.txt").mkdir()
    assert text_of(tmp_path) == "1\n2\n3\n"


def test_a_glob_is_its_files_in_order_of_their_names(tmp_path):
    for name in ("b.log", "a.log", "deep/c.log"):
        write(tmp_path / name, name + "\n")
    assert text_of(f"{tmp_path}/*.log") == "a.log\nb.log\n"
    assert text_of(f"{tmp_path}/**/*.log") == "a.log\nb.log\ndeep/c.log\n"


def test_a_file_with_a_name_like_a_glob_is_that_file(tmp_path):
    assert text_of(write(tmp_path / "what[1]?.txt", "yes")) == "yes"


def test_sources_are_joined_in_the_order_given_with_line_feeds_between(tmp_path):
    first, empty = write(tmp_path / "1.txt", "one"), write(tmp_path / "2.txt", "")
    last = write(tmp_path / "3.txt", "\ufeffthree\r")
    assert text_of([last, empty, first, InMemory("four")]) == "three\none\nfour"


def test_standard_input_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("Größe\r\n".encode())))
    assert text_of("-") == "Größe\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-le", "latin-1", "gb18030"])
def test_other_encodings_are_read_on_request(tmp_path, small_pieces, encoding):
    path = write(tmp_path / "a.txt", "Größe\r\nund\rmehr".encode(encoding))
    assert text_of(path, TextSettings(encoding=encoding)) == "Größe\nund\nmehr"


@given(awkward_texts, st.integers(1, 5))
@settings(deadline=None)
def test_the_size_of_the_pieces_changes_nothing(text, size):
    expected = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not expected:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", size)
        assert text_of(InMemory(text)) == expected
        assert text_of(InMemory(text), NFC) == unicodedata.normalize("NFC", expected)


def test_no_character_that_joins_the_one_before_it_begins_a_piece():
    everything = list(map(chr, range(0x110000)))
    parts = {c: d.split() for c in everything if (d := unicodedata.decomposition(c))}
    joining = {chr(int(p[1], 16)) for p in parts.values() if len(p) == 2 and "<" not in p[0]}
    assert "\u0301" in joining
    for character in filter(normalizing._stands_alone, everything):
        start = unicodedata.normalize("NFD", character)[0] if character in parts else character
        assert start not in joining and not unicodedata.combining(start)


def test_pieces_are_of_bounded_size():
    pieces = list(read(InMemory("a longer text\n" * 100_000), NFC))
    assert len(pieces) > 2
    assert max(map(len, pieces)) < reading.PIECE + 100


# What cannot be read


@pytest.mark.parametrize("at", [0, 5, 2**18 - 1, 2**18])
def test_an_undecodable_byte_is_named_with_file_offset_and_flags(tmp_path, at):
    path = write(tmp_path / "bad.txt", b"a" * at + b"\xe9t\xe9")
    with pytest.raises(TextError) as error:
        text_of(path)
    for part in (str(path), f"byte {at} (0xe9)", "`encoding`", "`errors='replace'`"):
        assert part in str(error.value)
    replaced = text_of(path, TextSettings(errors="replace"))
    assert replaced == "a" * at + "\ufffdt\ufffd"


def test_a_character_cut_off_by_the_end_of_the_file_is_undecodable(tmp_path, small_pieces):
    with pytest.raises(TextError, match="byte 4 "):
        text_of(write(tmp_path / "cut.txt", b"abcd\xe2\x82"))


def test_every_failure_to_read_says_what_is_wrong_with_which_file(tmp_path):
    whole = gzip.compress(os.urandom(1000).hex().encode())
    for content, name, told in [
        (b"", "empty.txt", "empty"),
        (b"\x7fELF\0\0", "program", "byte 4 (the first is 0) is NUL"),
        ("text".encode("utf-16-le"), "wide.txt", "`encoding='utf-16-le'`"),
        (whole[:-20], "cut.txt.gz", "cut off, damaged"),
        (b"text", "not.txt.gz", "no .gz file"),
        (b"text", "not.txt.xz", "no .xz file"),
        (b"text", "not.txt.bz2", "no .bz2 file"),
        (whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], "bit.txt.gz", "damaged"),
    ]:
        path = write(tmp_path / name, content)
        with pytest.raises(TextError) as error:
            text_of(path)
        assert str(path) in str(error.value) and told in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("missing.txt", "no such file"),
        ("missing/*.txt", "no file matches"),
        ("empty_folder", "no files that end in .txt"),
        ("book.run", "the folder of a run, and no text; --resume goes on with it"),
        ("x" * 5000, r"x{60}\.\.\.: there is no such file"),
        ("a\0b", r"'a\\x00b': there is no such file"),
        ("two\nlines", r"'two\\nlines': there is no such file"),
        ([], "no text was given"),
        (["empty.txt", "blank.txt"], "all 2 texts: empty"),
        (InMemory(""), "the text given: empty"),
    ],
)
def test_a_source_without_text_is_refused(tmp_path, monkeypatch, source, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "book.run").mkdir()
    write(tmp_path / "book.run" / "run.json", "{}")
    write(tmp_path / "empty.txt", "")
    write(tmp_path / "blank.txt", "")
    with pytest.raises(TextError, match=told):
        text_of(source)


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "secret.txt", "text")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(reading, "open", refuse, raising=False)
    with pytest.raises(TextError, match="no permission"):
        text_of(path)


@pytest.mark.parametrize("encoding", ["utf-9", "hex"])
def test_an_encoding_that_does_not_exist_is_a_setting_out_of_range(encoding):
    with pytest.raises(SettingsError, match=f"encoding: '{encoding}'"):
        text_of(InMemory("a"), TextSettings(encoding=encoding))


def test_utf_16_without_its_mark_is_a_text_error(tmp_path):
    path = write(tmp_path / "a.txt", "text".encode("utf-16-le"))
    settings = TextSettings(encoding="utf-16")
    try:
        assert text_of(path, settings) == "text"  # newer Pythons take it as little-endian
    except CharloomError as error:
        assert isinstance(error, TextError)


# Building


@pytest.mark.parametrize("kind", ["characters", "bytes"])
@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_corpus_knows_its_text(tmp_path, small_pieces, kind, in_a_file):
    text = "Größe 😀\nund\r\nmehr"
    normalized = text.replace("\r\n", "\n")
    ids_path = tmp_path / "text.ids" if in_a_file else None
    corpus = build_corpus(InMemory(text), TextSettings(vocabulary=kind), ids_path=ids_path)
    assert corpus.vocabulary.decode(corpus.ids) == normalized
    assert corpus.characters == len(normalized)
    assert corpus.utf8_bytes == len(normalized.encode())
    assert corpus.sha256 == hashlib.sha256(normalized.encode()).hexdigest()
    assert corpus.unknown_count == 0
    assert corpus.path == ids_path
    assert corpus.ids.dtype == corpus.vocabulary.dtype == np.uint8
    if kind == "bytes":
        assert corpus.ids.tobytes() == normalized.encode()
    else:
        assert corpus.vocabulary == Vocabulary.of(normalized, unknown=True)


@given(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), min_size=1))
@settings(deadline=None)
def test_the_ids_of_a_corpus_are_those_of_its_vocabulary(text):
    text = "." + text
    corpus = build_corpus(InMemory(text), PLAIN)
    assert corpus.ids.tolist() == Vocabulary.of(text, unknown=True).encode(text).tolist()


def test_standard_input_is_read_only_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"banana")))
    corpus = build_corpus("-", PLAIN, ids_path=tmp_path / "text.ids")
    assert corpus.ids.tolist() == [1, 0, 2, 0, 2, 0]


def test_more_than_256_characters_take_two_bytes_each(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    corpus = build_corpus(InMemory(text), PLAIN, ids_path=tmp_path / "text.ids")
    assert corpus.ids.dtype == np.uint16
    assert corpus.ids.tolist() == list(range(300))


def test_characters_that_appear_late_change_no_id_before_them(tmp_path, small_pieces):
    text = "".join(map(chr, range(0x4E00 + 299, 0x4E00 - 1, -1))) + "zba\n"
    corpus = build_corpus(InMemory(text), PLAIN, ids_path=tmp_path / "text.ids")
    assert corpus.ids.tolist() == Vocabulary.of(text).encode(text).tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["text.ids"]


def test_rare_characters_are_unknown_and_counted():
    corpus = build_corpus(InMemory("aaabbcd"), TextSettings(minimum_count=2))
    assert corpus.vocabulary.characters == "ab"
    assert corpus.ids.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert corpus.unknown_count == 2


def test_a_given_vocabulary_is_used_and_what_it_lacks_is_counted(small_pieces):
    vocabulary = Vocabulary.of("abc", unknown=True)
    corpus = build_corpus(InMemory("abcdéa"), PLAIN, vocabulary=vocabulary)
    assert corpus.vocabulary is vocabulary
    assert corpus.ids.tolist() == [0, 1, 2, 3, 3, 0]
    assert (corpus.unknown_count, corpus.characters, corpus.utf8_bytes) == (2, 6, 7)


def test_a_given_vocabulary_without_an_unknown_refuses_with_the_position(small_pieces):
    with pytest.raises(UnknownCharacterError, match=r"'é' .* at position 7"):
        build_corpus(InMemory("abcabcaé"), PLAIN, vocabulary=Vocabulary.of("abc"))


def test_half_a_surrogate_pair_is_refused_with_its_position(small_pieces):
    with pytest.raises(TextError, match=r"character 4 .*U\+D83D"):
        build_corpus(InMemory("abcd\ud83d"), PLAIN)


def test_a_corpus_is_opened_again_by_its_facts(tmp_path):
    built = build_corpus(InMemory("banana"), PLAIN, ids_path=tmp_path / "text.ids")
    facts = json.loads(json.dumps(built.facts()))
    opened = Corpus.open(tmp_path / "text.ids", built.vocabulary, facts)
    assert opened.ids.tolist() == built.ids.tolist()
    assert opened.facts() == built.facts()


def test_ids_that_were_cut_off_are_refused(tmp_path):
    path = tmp_path / "text.ids"
    built = build_corpus(InMemory("banana"), PLAIN, ids_path=path)
    write(path, path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="5 bytes where 6"):
        Corpus.open(path, built.vocabulary, built.facts())
    path.unlink()
    with pytest.raises(ModelFileError, match=r"text\.ids: No such file"):
        Corpus.open(path, built.vocabulary, built.facts())
    with pytest.raises(ModelFileError, match="nothing tells its characters, sha256"):
        Corpus.open(path, built.vocabulary, {"utf8_bytes": 6, "unknown_count": 0})


def test_a_full_disk_leaves_the_old_ids_and_nothing_else(tmp_path, monkeypatch):
    path = write(tmp_path / "text.ids", "old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        build_corpus(InMemory("banana"), PLAIN, ids_path=path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"text\.ids: cannot be written"):
        build_corpus(InMemory("banana"), PLAIN, ids_path=tmp_path / "missing" / "text.ids")


def test_a_text_that_fails_half_way_leaves_no_file(tmp_path):
    bad = write(tmp_path / "bad.txt", b"a" * reading.PIECE + b"\xff")
    with pytest.raises(TextError):
        build_corpus(bad, PLAIN, ids_path=tmp_path / "text.ids")
    assert list(tmp_path.iterdir()) == [bad]


# Splitting
