"""The library for C says what Python says: text, nats, states, errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_library import FOLDER, ROOT, Compile, Session, floats_of, hexadecimal, text_of
from numpy.testing import assert_allclose

from charloom import Model, ModelSettings, TextSettings, TrainingSettings, Vocabulary
from charloom.engines.cell import CELLS
from charloom.engines.weights import initial_weights
from charloom.errors import UnknownCharacterError
from charloom.model.storage.provenance import Provenance

pytestmark = pytest.mark.usefixtures("unknown_characters_are_expected")

TEXT = "The fox and the crow.\nA fox, é and 漢字 — the crow!\n"
LETTERS = Vocabulary.of(TEXT, unknown=True)
LINES = Provenance(training=TrainingSettings(batches="lines"))
TEXTS = ["", "T", "The fox", "fox\n", "漢 é Ж?", "\ufeffa\r\nb\rc", "a\n\nthe fox\ncrow"]


def model_of(cell: str = "lstm", vocabulary: Vocabulary = LETTERS, **options) -> Model:
    settings = ModelSettings(
        cell=cell, hidden_size=21, num_layers=2, embedding_size=options.pop("embedding_size", 0)
    )
    weights = initial_weights(settings, vocabulary.size, seed=3)
    random = np.random.default_rng(4)
    weights = {
        n: (1.5 * w + random.normal(0, 0.2, w.shape)).astype("f4") for n, w in weights.items()
    }
    return Model(
        settings,
        vocabulary,
        weights,
        options.pop("provenance", None),
        precision="float32",
        threads=1,
    )


MODELS = {
    **{cell: lambda cell=cell: model_of(cell) for cell in CELLS},
    **{f"{cell} embedded": lambda cell=cell: model_of(cell, embedding_size=5) for cell in CELLS},
    "bytes": lambda: model_of(vocabulary=Vocabulary.bytes()),
    "no line feed": lambda: model_of(vocabulary=Vocabulary.of("abc defghiFTcrowx", unknown=True)),
    "nothing unknown": lambda: model_of(vocabulary=Vocabulary.of(TEXT)),
    "lines": lambda: model_of(provenance=LINES),
    "lines of bytes": lambda: model_of("gru", Vocabulary.bytes(), provenance=LINES),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    return MODELS[request.param]()


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def readable(model: Model, text: str) -> bool:
    try:
        model.vocabulary.encode(model.normalized(text))
    except UnknownCharacterError:
        return False
    return True


def test_text_is_pythons_for_every_prompt_seed_and_way_to_draw(model: Model, path, driver):
    ways = [
        {"length": 60},
        {"length": 1, "seed": 9},
        {"length": 0},
        {"length": 40, "temperature": 0.7, "top_k": 5, "seed": 2**40 + 3},
        {"length": 45, "temperature": 1.5, "top_p": 0.8, "seed": 2**63 - 1},
        {"length": 30, "temperature": 0.0},
        {"length": 80, "seed": 5, "stop": "e"},
        {"length": 80, "temperature": 1.3, "seed": 6, "stop": " a"},
    ]
    lines, expected = [], []
    for prompt in (text for text in TEXTS if readable(model, text)):
        for way in ways:
            expected.append("".join(model.generate(prompt, **way)))
            numbers = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 0, "stop": ""} | way
            length, stop = numbers.pop("length"), hexadecimal(str(numbers.pop("stop")))
            lines += ["reset", f"read {hexadecimal(prompt)}"]
            lines.append(f"generate {length} {' '.join(map(str, numbers.values()))} {stop}")
    found = Session(driver, path, *lines)
    assert [text_of(found[n]) for n in range(2, len(lines), 3)] == expected


def test_generating_in_parts_and_from_a_state_is_generating_the_whole(model: Model, path, driver):
    some = "generate {} 1 0 1 7 -"
    found = Session(
        driver, path, some.format(50),
        "reset", some.format(13), some.format(30), some.format(7),
        "reset", some.format(20), "keep", some.format(30), "restore", some.format(30),
    )  # fmt: skip
    texts = [text_of(found[n]) for n in (0, 2, 3, 4, 6, 8, 10)]
    assert texts[5] == texts[6]
    if not model.lines:  # else each call writes a line, or the rest of one
        assert len(texts[0]) == 50
        assert texts[0] == "".join(texts[1:4]) == texts[4] + texts[5]


def test_nats_are_pythons_to_the_last_bit_and_add_up_in_any_parts(model: Model, path, driver):
    texts = [text for text in TEXTS if text and readable(model, text)]
    lines = [line for text in texts for line in ("reset", f"score {hexadecimal(text)}")]
    found = Session(driver, path, *lines)
    for n, text in enumerate(texts):
        total, characters, unknown, *each = found[2 * n + 1].split()
        score = model.evaluate(text, exact=True)
        assert float.fromhex(total) == score.nats
        assert (int(characters), int(unknown)) == (score.characters, score.unknown_characters)
        assert [float.fromhex(x) for x in each] == [part.nats for part in model.score(text)]
    halves = Session(
        driver, path, f"score {hexadecimal('The fo')}", "reset",
        f"score {hexadecimal('Th')}", f"read {hexadecimal('')}", f"score {hexadecimal('e fo')}",
    )  # fmt: skip
    if not model.lines and readable(model, "The fo"):
        whole, first, second = (float.fromhex(halves[n].split()[0]) for n in (0, 2, 4))
        assert whole == first + second


def test_what_comes_next_is_pythons(model: Model, path, driver):
    texts = [text for text in TEXTS if readable(model, text)]
    lines = [line for text in texts for line in ("reset", f"read {hexadecimal(text)}", "next")]
    found = Session(driver, path, *lines)
    for n, text in enumerate(texts):
        shares = np.exp(floats_of(found[3 * n + 2]))
        assert_allclose(np.sort(shares)[::-1], list(model.next(text).values()), rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_of_8_bits_are_rounded_as_in_python(cell: str, tmp_path: Path, driver):
    model_of(cell).save(tmp_path / "m.safetensors")
    rounded = Model.load(tmp_path / "m.safetensors", precision="int8", threads=1)
    found = Session(
        driver, tmp_path / "m.safetensors", "generate 200 1 0 1 3 -", "reset",
        f"score {hexadecimal(TEXT)}", precision="int8",
    )  # fmt: skip
    assert text_of(found[0]) == "".join(rounded.generate(length=200, seed=3))
    assert float.fromhex(found[2].split()[0]) == rounded.evaluate(TEXT, exact=True).nats


CONFORMANCE = sorted((ROOT / "tests" / "conformance").glob("*.json"))


@pytest.mark.parametrize("path", CONFORMANCE, ids=lambda path: path.stem)
def test_the_conformance_vectors_are_replayed(path: Path, driver):
    vectors = json.loads(path.read_text("utf-8"))
    model, tolerance = path.parent / vectors["model"], vectors["tolerance"]
    lines = []
    for passage in vectors["passages"]:
        lines += [line for id in passage["ids"] for line in (f"ids {id}", "next")]
    passages = Session(driver, model, *lines)
    at = 1
    for passage in vectors["passages"]:
        for logits in passage["logits"]:
            expected = np.array(logits) - np.logaddexp.reduce(logits)
            assert_allclose(floats_of(passages[at]), expected, atol=2 * tolerance)
            at += 2
    for text in vectors["texts"]:
        ids = " ".join(map(str, text["prompt_ids"]))
        drawn = " ".join(str(text[name]) for name in ("temperature", "top_k", "top_p", "seed"))
        found = Session(driver, model, f"ids {ids}", f"generate {len(text['text'])} {drawn} -")
        assert text_of(found[1]) == text["text"]


@pytest.mark.parametrize("normalization", ["none", "nfc"])
def test_who_has_to_normalize_a_text_is_told(normalization: str, tmp_path: Path, driver):
    text = TextSettings(normalization=normalization)
    model = model_of(provenance=Provenance(text=text))
    model.save(tmp_path / "m.safetensors")
    told = Session(driver, tmp_path / "m.safetensors", "nfc")[0]
    assert told == str(int(normalization == "nfc"))
    assert (model.normalized("e\u0301") == "é") == (told == "1")


def test_every_function_of_the_header_is_called_here():
    header = (ROOT / "include/charloom.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^CHARLOOM_API [^(;]*?\*?(charloom_\w+)\(", header, re.M))
    called = (ROOT / "tests/interface/driver.c").read_text(encoding="utf-8")
    assert len(declared) > 10
    assert {name for name in declared if f"{name}(" not in called} == set()


def test_errors_are_codes_with_a_line_that_names_what_was_given(tmp_path: Path, driver):
    model_of(vocabulary=Vocabulary.of(TEXT)).save(tmp_path / "m.safetensors")
    before = ["read 54", "next"]
    wrong = {
        "read d0": "4 the text is no UTF-8",
        "read d096": "4 the character U+0416 at position 0",
        "read 61eda080": "4 the text is no UTF-8 after 1 characters",
        "score 6101": "4 the character U+0001 at position 1",
        "ids 7 -1": "3 ids: one is outside",
        "ids 99999": "3 ids: one is outside",
        "generate 5 -1 0 1 0 -": "3 temperature: it must be",
        "generate 5 1e-5 0 1 0 -": "3 temperature: it must be",
        "generate 5 nan 0 1 0 -": "3 temperature: it must be",
        "generate 5 1 -1 1 0 -": "3 top_k",
        "generate 5 1 0 0 0 -": "3 top_p",
        "generate 5 1 0 1 9223372036854775808 -": "3 seed",
        "generate 5 1 0 1 0 ff": "4 stop: it is no UTF-8",
        "restore": "3 state: it is none",
        "spoil 0": "3 bytes: it must be charloom_state_size",
    }
    found = Session(driver, tmp_path / "m.safetensors", *before, *wrong, "next")
    for answer, expected in zip(found.answers[2:-1], wrong.values(), strict=True):
        assert answer.strip().startswith(expected), answer
    assert found[1] == found[-1]  # nothing was changed


def test_a_callback_may_end_the_text_but_not_use_the_model(tmp_path: Path, driver):
    model_of().save(tmp_path / "m.safetensors")
    found = Session(driver, tmp_path / "m.safetensors", "once 50 1 0 1 0 -", "callback", "reset")
    assert len(text_of(found[0])) == 1
    assert found[1] == "3"


def test_a_state_of_another_model_or_damaged_is_refused(tmp_path: Path, driver):
    model_of().save(tmp_path / "m.safetensors")
    found = Session(
        driver, tmp_path / "m.safetensors",
        "keep", "spoil 20", "restore", "spoil 20", "restore", "spoil 95", "restore",
    )  # fmt: skip
    assert "of another model" in found.answers[2]
    assert found[4] == ""
    assert "damaged" in found.answers[6]  # the last id


def test_threads_share_a_handle_and_have_their_own(tmp_path: Path, driver):
    model_of().save(tmp_path / "m.safetensors")
    ran = subprocess.run(
        [driver, "--race", tmp_path / "m.safetensors"], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("alike\n", "")


def test_the_example_generates_what_python_generates(tmp_path: Path, compiled: Compile):
    program = compiled(ROOT / "examples" / "embed.c")
    model = model_of("gru")
    model.save(tmp_path / "m.safetensors")
    ran = subprocess.run(
        [program, tmp_path / "m.safetensors", "The fox", "7", "120"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "The fox" + "".join(model.generate("The fox", length=120, seed=7))
    bits = model.evaluate("The fox", exact=True).bits_per_character
    assert ran.stderr == f"7 characters, {bits:.3f} bits each, 0 of them never seen\n"
    missing = subprocess.run(
        [program, tmp_path / "none", "x"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert missing.stderr == f"embed: {tmp_path}/none: cannot be opened\n"


def test_the_library_without_symbols_has_at_most_400_kilobytes(library: Path, tmp_path: Path):
    if (
        "CFLAGS" in os.environ
        or b"CHARLOOM_KERNELS:STRING=\n" not in (FOLDER / "CMakeCache.txt").read_bytes()
    ):
        pytest.skip("this is not the library of `make lib`")
    stripped = tmp_path / "libcharloom.so"
    subprocess.run(["strip", "-o", stripped, FOLDER / "libcharloom.so"], check=True)
    assert stripped.stat().st_size <= 400_000
