"""One way in for text: whatever enters, by whatever door, passes the same steps."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_tools import served

import charloom
from charloom import (
    AdaptationSettings,
    InMemory,
    Model,
    ModelSettings,
    TextSettings,
    TrainingSettings,
    Vocabulary,
)
from charloom.cli.main import main
from charloom.errors import TextError
from charloom.text.normalizing import Normalized, normalized, steps

RAW = "\ufeffcafe\u0301\r\nau\rlait\n"
READ = "café\nau\nlait\n"


@pytest.fixture(scope="module")
def model() -> Model:
    run = charloom.train(
        InMemory(READ * 30),
        text=TextSettings(normalization="nfc"),
        model=ModelSettings(hidden_size=8, num_layers=1),
        training=TrainingSettings(steps=3),
    )
    return run.finish()


@given(st.lists(st.text(alphabet="a\r\n\ufeffe\u0301é\u1100\u1161", max_size=5), max_size=6))
def test_the_cut_into_pieces_does_not_matter_and_twice_is_as_once(pieces: list[str]):
    whole = "".join(pieces)
    for form in ("none", "nfc"):
        read = normalized(whole, form)
        assert "".join(steps(pieces, form)) == read
        assert "\r" not in read
        if not read.startswith("\ufeff"):
            assert normalized(read, form) == read
        if form == "nfc":
            assert unicodedata.is_normalized("NFC", read)


def test_every_verb_reads_a_text_in_the_same_way_through_every_door(model, tmp_path):
    (tmp_path / "raw.txt").write_bytes(RAW.encode())
    doors = [RAW, InMemory(RAW), tmp_path / "raw.txt", list(RAW), iter([RAW]), io.StringIO(RAW)]
    for door in doors:
        assert "".join(part.text for part in model.score(door)) == READ
    expected = model.evaluate(READ, exact=True)
    assert model.evaluate([RAW], exact=True) == expected
    assert "".join(model.trace(list(RAW)).symbols) == READ
    assert charloom.context(model, RAW + RAW[1:] * 8).bits == charloom.context(model, READ * 9).bits
    assert charloom.compare(model, model, RAW) == charloom.compare(model, model, READ)
    assert model.evaluate(RAW, adapt=AdaptationSettings()) == model.evaluate(
        READ, adapt=AdaptationSettings()
    )
    states = [model.state_after(text) for text in (RAW, READ)]
    assert states[0].last == states[1].last
    assert (states[0].hidden == states[1].hidden).all()
    told = list(charloom.explain(model, RAW))
    assert told == list(charloom.explain(model, READ))


def test_prompts_and_stop_strings_are_read_as_texts_are(model):
    for raw, read in ((RAW, READ), ("cafe\u0301", "café"), ("\r\n", "\n")):
        expected = "".join(model.generate(read, length=40, seed=1))
        assert "".join(model.generate(raw, length=40, seed=1)) == expected
        assert model.generate_many(raw, count=2, length=9) == model.generate_many(
            read, count=2, length=9
        )
        assert model.next(raw) == model.next(read)
    text = "".join(model.generate("a", length=300, seed=2, temperature=2.0))
    for stop, read in (("\r\n", "\n"), ("e\u0301", "é"), ("\r", "\n")):
        cut = "".join(model.generate("a", length=300, seed=2, temperature=2.0, stop=stop))
        assert cut == text.partition(read)[0]
        assert read in text


def test_the_server_reads_prompts_and_texts_so_too(model):
    with served(model) as page:
        answers = [
            page.ask("/api/write", {"prompt": prompt, "length": 20, "seed": 1}).body
            for prompt in (RAW, READ)
        ]
        assert answers[0] == answers[1]
        heading = page.ask("/api/read", {"text": RAW}).lines[0]
        assert "".join(heading["cells"]) == READ
        refused = page.ask("/api/write", {"prompt": "\ud800"})
        assert (refused.status, "surrogate" in refused.json["error"]) == (400, True)


def test_the_command_line_reads_prompts_so_too(model, tmp_path, capsys):
    model.save(tmp_path / "m")
    shown = []
    for prompt in ("cafe\u0301\r\n", "café\n"):
        command = ["generate", str(tmp_path / "m"), "--seed", "1", "--prompt", prompt]
        assert main([*command, "--stop", "\r\n"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert shown[0].startswith("café\n")


@pytest.mark.parametrize("half", ["\ud800", "\udfff", "a\ud83d\ude00"])
def test_halves_of_surrogate_pairs_are_refused_everywhere(model, half):
    vocabulary = Vocabulary.of("ab", unknown=True)
    unknowing = Model.untrained(ModelSettings(hidden_size=4), vocabulary)
    for one in (model, unknowing):
        for act in (
            lambda m: list(m.score(half)),
            lambda m: m.evaluate([half]),
            lambda m: m.trace(half),
            lambda m: list(m.generate(half)),
            lambda m: m.generate_many("a", count=1, stop=[half]),
            lambda m: m.next(half),
            lambda m: m.state_after(half),
            lambda m: charloom.compare(m, m, [half]),
            lambda m: list(charloom.explain(m, half)),
        ):
            with pytest.raises(TextError, match=r"half a surrogate pair \(U\+D"):
                act(one)
    with pytest.raises(TextError, match="surrogate"):
        charloom.train(InMemory(half))


def test_a_piece_that_is_no_str_is_refused(model):
    for wrong in ([b"bytes"], io.BytesIO(b"a line\n"), [1, 2]):
        with pytest.raises(TextError, match="in pieces of str"):
            model.evaluate(wrong)


def test_a_str_that_names_a_file_is_no_text(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("caf").write_text(READ)
    for act in (
        model.evaluate,
        model.trace,
        lambda t: list(model.score(t)),
        lambda t: list(charloom.explain(model, t)),
        lambda t: charloom.compare(model, model, t),
        lambda t: charloom.context(model, t),
        lambda t: charloom.save_trace(model, t, "a.npz", format="npz"),
        lambda t: charloom.save_page(model, t, "a.html"),
    ):
        with pytest.raises(TextError, match=r"Path\('caf'\) .* InMemory\('caf'\)"):
            act("caf")
    with pytest.raises(TextError, match="is the name of a file"):
        charloom.units(model, "caf")
    assert model.evaluate(Path("caf")).characters == len(READ)
    assert model.evaluate(InMemory("caf")).characters == 3
    assert len("".join(model.generate("caf", length=9))) == 9
    assert charloom.train("caf", training=TrainingSettings(steps=1)).plan.corpus.characters


def test_a_text_that_was_read_is_not_read_again(model):
    pieces = charloom.read(InMemory("\ufeff\ufeffa"), model.text_settings)
    assert isinstance(pieces, Normalized)
    assert model.pieces(pieces) is pieces
    other = charloom.read(InMemory("e\u0301"))
    assert "".join(model.pieces(other)) == "é"
