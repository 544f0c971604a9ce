"""Sources: each file once, no open files and no empty names, and the way out of a foreign file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import warned

import charloom
from charloom import InMemory, Model, ModelSettings, TextSettings, Vocabulary, read
from charloom.cli.main import main
from charloom.errors import CharloomError, TextError
from charloom.text.reading import beginning, given_as_text
from charloom.text.recognizing import MAGIC, kind_of, unicode_of

GREEK = "Ἄνδρα μοι ἔννεπε, Μοῦσα, πολύτροπον,\nὃς μάλα πολλὰ πλάγχθη.\n" * 30
LATIN = "The fox saw a crow on the limb of a tree.\n" * 30


def text_of(*sources, **settings) -> str:
    return "".join(read(list(sources), TextSettings(**settings)))


def refusal(source, **settings) -> str:
    with pytest.raises(TextError) as error:
        text_of(source, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_links_in_a_circle_give_each_file_once(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "deep" / "b.txt").write_text("b")
    (tmp_path / "deep" / "er" / "up").symlink_to(tmp_path)
    (tmp_path / "link.txt").symlink_to("a.txt")
    assert text_of(tmp_path) == "a\nb"
    assert text_of(str(tmp_path / "**" / "*.txt")) == "a\nb"
    assert text_of(tmp_path, tmp_path / "deep") == "a\nb"
    with warned(r"a.txt: is given twice, and read once"):
        assert text_of(tmp_path, tmp_path / "a.txt") == "a\nb"


def test_an_open_file_an_empty_name_and_foreign_things_get_a_clear_message(tmp_path):
    (tmp_path / "a.txt").write_text(LATIN)
    with (tmp_path / "a.txt").open() as file, pytest.raises(TextError, match=r"Path\('.*a.txt'\)"):
        charloom.train(file)
    with pytest.raises(TextError, match="open file"):
        charloom.train(io.StringIO("text"))
    for wrong in ("", [""], b"bytes", 5, [None], [b"a.txt"]):
        with pytest.raises(TextError, match=r"empty name was given|was given as a text"):
            charloom.train(wrong)


def test_a_str_that_names_nothing_says_how_to_give_a_text_itself():
    assert "InMemory(text)" in refusal("To be or not to be")
    assert "InMemory" not in refusal(Path("no-such-file"))


@pytest.mark.parametrize("text", [GREEK, LATIN], ids=["Greek", "Latin"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("marked", [False, True])
def test_the_advice_for_wide_encodings_works(tmp_path, text, encoding, marked):
    path = tmp_path / "wide.txt"
    path.write_bytes(("\ufeff" * marked + text).encode(encoding))
    for wrong in ({}, {"errors": "replace"}, {"encoding": encoding[:6]}):
        if marked and "encoding" in wrong:
            continue  # which is right
        told = refusal(path, **wrong)
        advice = told.rpartition("`encoding='")[2].partition("'")[0]
        assert text_of(path, encoding=advice) == text


@given(st.binary(max_size=300))
def test_no_bytes_break_the_recognition(data: bytes):
    encoding = unicode_of(data)
    kind_of(data)
    assert encoding is None or encoding.startswith("utf-")


def test_a_stray_nul_is_told_with_its_position_and_a_way_round(tmp_path):
    path = tmp_path / "a.log"
    for at in (0, 17, (1 << 18) - 1, (1 << 18) + 3):
        path.write_bytes(b"x" * at + b"\0" + b"y" * 9)
        told = refusal(path)
        assert f"byte {at} (the first is 0) is NUL" in told
        assert "`errors='replace'`" in told
        assert text_of(path, errors="replace") == "x" * at + "\ufffd" + "y" * 9


def test_archives_and_compressed_files_get_the_advice_that_suits_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", LATIN)
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd\x24\x05rest")
    (tmp_path / "gz.txt").write_bytes(gzip.compress(LATIN.encode()))
    (tmp_path / "bz2.txt").write_bytes(bz2.compress(LATIN.encode()))
    (tmp_path / "xz.txt").write_bytes(lzma.compress(LATIN.encode()))
    for name, told in (
        ("a.zip", "is a zip archive"),
        ("a.zst", "zstd -d"),
        ("gz.txt", "the ending .gz"),
        ("bz2.txt", "the ending .bz2"),
        ("xz.txt", "the ending .xz"),
    ):
        assert told in refusal(tmp_path / name)
        assert "encoding" not in refusal(tmp_path / name)
        ending = f".{name[:-4]}" if name.endswith(".txt") else ""
        if ending:
            os.rename(tmp_path / name, tmp_path / f"renamed{ending}")  # noqa: PTH104
            assert text_of(tmp_path / f"renamed{ending}") == LATIN
    assert kind_of(b"BZhao is a word of this text") is None
    assert all(kind_of(magic + b"1" * 20) for magic in MAGIC if magic != b"BZh")


def test_standard_input_may_be_closed_or_a_stream_of_text(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in refusal("-")
    monkeypatch.setattr("sys.stdin", io.StringIO("a\r\nb"))
    assert text_of("-") == "a\nb"


def test_no_more_of_a_text_is_read_than_its_beginning_needs():
    def pieces():
        yield "abc"
        raise AssertionError

    assert beginning(pieces(), 2) == "ab"
    assert given_as_text("no file").text == "no file"


def test_an_empty_name_is_refused_in_python_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Model.untrained(ModelSettings(hidden_size=4), Vocabulary.of("ab"))
    for act in (
        lambda: charloom.train(InMemory(LATIN), output=""),
        lambda: charloom.resume(""),
        lambda: Model.load(""),
        lambda: model.save(""),
        lambda: charloom.save_trace(model, "ab", "", format="npz"),
        lambda: charloom.save_page(model, "ab", ""),
        lambda: charloom.plot(""),
        lambda: charloom.export_log("", "a.csv"),
    ):
        with pytest.raises(CharloomError, match="empty name was given"):
            act()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["train", ""], ["train", "BOOK", "-o", ""], ["train", "BOOK", "--validation", ""],
     ["generate", ""], ["evaluate", "m", ""], ["inspect", "m", "BOOK", "--npz", ""],
     ["plot", ""], ["export-log", "r", "-o", ""], ["serve", "m", ""], ["train", "--resume", ""]],
)  # fmt: skip
def test_an_empty_argument_is_refused_in_every_verb(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(LATIN)
    assert main(["book.txt" if a == "BOOK" else a for a in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "an empty name was given" in line
    assert [p.name for p in tmp_path.iterdir()] == ["book.txt"]
