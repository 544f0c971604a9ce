"""Compressed files: every byte comes back, in the size that evaluation says."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import messages
from models import fox_model

import charloom
from charloom import AdaptationSettings, CompressionSettings, Model, ModelSettings
from charloom.engines.native import available_kernels
from charloom.errors import CharloomError, ModelFileError, OutputError, SettingsError, TextError
from charloom.model.compression import compress as compression
from charloom.model.compression.archive import Header, read_archive, sha256, write_archive
from charloom.model.compression.compress import compress, decompress
from charloom.model.storage.provenance import Provenance
from charloom.settings import TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = "the fox and the crow saw a piece of cheese\n" * 6
SMALL = CompressionSettings(hidden_size=8)
FAST = AdaptationSettings(learning_rate=0.01, sequence_length=16)


def model_of(kind: str) -> Model:
    known = Vocabulary.of(TEXT + "é", unknown=kind == "unknown")
    vocabulary = Vocabulary.bytes() if kind == "bytes" else known
    lines = kind == "lines"
    provenance = Provenance(training=TrainingSettings(batches="lines")) if lines else None
    made = Model.untrained(ModelSettings(hidden_size=8, num_layers=2), vocabulary, seed=1)
    return Model(made.settings, vocabulary, made.weights, provenance or Provenance())


KINDS = ["unknown", "none", "bytes", "lines"]
MODELS = {kind: model_of(kind) for kind in KINDS}


def there_and_back(folder, data: bytes, model: Model | None, **options) -> bytes:
    (folder / "a").write_bytes(data)
    compress(folder / "a", folder / "a.loom", model, **options)
    given = None if options.get("inside") else model
    assert decompress(folder / "a.loom", folder / "b", given) == len(data)
    return (folder / "b").read_bytes()


AWKWARD = [
    b"",
    b"x",
    b"\xef\xbb\xbfthe fox\r\nand\rthe\ncrow",  # a byte-order mark, all line ends
    "e\u0301 é \U0001f98a \u2028\x00".encode(),
    b"\xff\xfe the \x80 fox \xc3",  # not UTF-8
    b"\xed\xb2\x80 \xed\xa0\x80",  # what half surrogates would be
    bytes(range(256)) * 2,
    TEXT.encode(),
]


@pytest.mark.parametrize("adapt", [None, FAST], ids=["static", "adapt"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_comes_back(tmp_path, kind, adapt):
    for data in AWKWARD:
        assert there_and_back(tmp_path, data, MODELS[kind], adapt=adapt) == data


def test_every_byte_comes_back_without_a_model(tmp_path):
    for data in AWKWARD:
        assert there_and_back(tmp_path, data, None, settings=SMALL) == data
        assert there_and_back(tmp_path, data, None, settings=SMALL, fast=True) == data


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300), kind=st.sampled_from(KINDS))
def test_any_bytes_come_back(tmp_path_factory, data, kind):
    assert there_and_back(tmp_path_factory.mktemp("any"), data, MODELS[kind]) == data


@pytest.mark.parametrize("kind", ["unknown", "bytes", "lines"])
def test_the_size_is_what_evaluation_says(tmp_path, kind):
    rng = random.Random(0)
    text = "".join(rng.choice(["the fox ", "and ", "a crow\n", "é"]) for _ in range(600)) + "\n"
    (tmp_path / "a").write_text(text, "utf-8")
    found = compress(tmp_path / "a", tmp_path / "a.loom", MODELS[kind])
    told = MODELS[kind].evaluate(text, exact=True).nats / np.log(2) / 8
    assert found.surprisal_bytes == pytest.approx(told, rel=1e-4)
    assert abs(found.code_bytes - told) <= 0.001 * told + 16
    assert found.archive_bytes == (tmp_path / "a.loom").stat().st_size


def test_learning_makes_it_smaller(tmp_path):
    (tmp_path / "a").write_text(TEXT * 6)
    sizes = [
        compress(tmp_path / "a", tmp_path / "a.loom", MODELS["none"], adapt=adapt).code_bytes
        for adapt in (None, FAST)
    ]
    assert sizes[1] < 0.7 * sizes[0]


def test_a_file_is_learned_as_one_stream(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    archives = [tmp_path / "one.loom", tmp_path / "default.loom"]
    for archive, adapt in zip(archives, (FAST.replace(streams=1), FAST), strict=True):
        compress(tmp_path / "a", archive, MODELS["none"], adapt=adapt)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with pytest.raises(SettingsError, match=r"streams: 3 was given, .* one stream"):
        compress(tmp_path / "a", archives[0], MODELS["none"], adapt=FAST.replace(streams=3))


def test_a_model_inside_needs_no_other_and_the_same_file_makes_the_same_archive(tmp_path):
    assert there_and_back(tmp_path, TEXT.encode(), MODELS["unknown"], inside=True) == TEXT.encode()
    first = (tmp_path / "a.loom").read_bytes()
    there_and_back(tmp_path, TEXT.encode(), MODELS["unknown"], inside=True)
    assert (tmp_path / "a.loom").read_bytes() == first


def test_kernels_and_threads_do_not_change_a_portable_archive(tmp_path, monkeypatch):
    (tmp_path / "a").write_text(TEXT)
    archives = []
    for kernels in available_kernels():
        monkeypatch.setenv("CHARLOOM_KERNELS", kernels)
        compress(tmp_path / "a", tmp_path / "a.loom", settings=SMALL)
        archives.append((tmp_path / "a.loom").read_bytes())
    assert len(set(archives)) == 1


# Of TEXT, by a new network of 8 units: a file that was written once, which every later version
# and every machine has to write again, whatever its defaults are.
WRITTEN_ONCE = CompressionSettings(
    hidden_size=8, learning_rate=5e-3, final_learning_rate=3e-4, sequence_length=32
)
PORTABLE_DIGEST = "002dbf60c05912fc96749f6cfb22404b9d7f69b294361ae3b5084d2c6148a47f"


def test_the_archive_of_a_text_is_the_same_on_every_machine(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    compress(tmp_path / "a", tmp_path / "a.loom", settings=WRITTEN_ONCE)
    assert sha256(read_archive(tmp_path / "a.loom")[2]) == PORTABLE_DIGEST


def test_an_error_in_the_middle_ends_the_thread_that_runs_ahead(tmp_path):
    (tmp_path / "a").write_text(TEXT * 50)
    before = threading.active_count()

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(tmp_path / "a", tmp_path / "a.loom", settings=SMALL, progress=stop)
    assert threading.active_count() == before
    assert not (tmp_path / "a.loom").exists()


def test_a_damaged_archive_is_an_error_and_writes_nothing(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    compress(tmp_path / "a", tmp_path / "a.loom", settings=SMALL)
    whole = (tmp_path / "a.loom").read_bytes()
    rng = random.Random(0)
    places = sorted({*range(60), *rng.sample(range(len(whole)), 150)})
    for at in places:
        bad = bytearray(whole)
        bad[at] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.loom").write_bytes(bad)
        with pytest.raises(CharloomError):
            decompress(tmp_path / "bad.loom", tmp_path / "b")
    for cut in (0, 5, 30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "bad.loom").write_bytes(whole[:cut])
        with pytest.raises(ModelFileError):
            decompress(tmp_path / "bad.loom", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_crafted_archive_whose_digests_fit_is_an_error(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    compress(tmp_path / "a", tmp_path / "a.loom", settings=SMALL)
    header, _, code = read_archive(tmp_path / "a.loom")
    rng = random.Random(1)
    for _ in range(40):
        bad = bytes(rng.randrange(256) if rng.random() < 0.2 else byte for byte in code)
        if bad == code:
            continue
        fields = {**vars(header), "code_sha256": sha256(bad)}
        write_archive(tmp_path / "bad.loom", Header(**fields), b"", bad)
        with pytest.raises(CharloomError):
            decompress(tmp_path / "bad.loom", tmp_path / "b")


def test_what_an_archive_lacks_is_named(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    model = fox_model()
    with messages():
        compress(tmp_path / "a", tmp_path / "a.loom", model)
    with pytest.raises(SettingsError, match=f"with a model, {model.digest}; give it"):
        decompress(tmp_path / "a.loom", tmp_path / "b")
    with pytest.raises(ModelFileError, match="with another model"):
        decompress(tmp_path / "a.loom", tmp_path / "b", MODELS["unknown"])
    header, held, code = read_archive(tmp_path / "a.loom")
    changed = Header(**{**vars(header), "kernels": "cray"})
    write_archive(tmp_path / "bad.loom", changed, held, code)
    with pytest.raises(SettingsError, match="'cray' were asked for; this processor has"):
        decompress(tmp_path / "bad.loom", tmp_path / "b", model)
    for version in (b"2", b"4"):
        (tmp_path / "new.loom").write_bytes(b"charloom archive " + version + b"\n")
        with pytest.raises(ModelFileError, match=r"another version of charloom.*pip install -"):
            decompress(tmp_path / "new.loom", tmp_path / "b")
    with pytest.raises(ModelFileError, match="is not an archive"):
        decompress(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ModelFileError, match="no-such"):
        decompress(tmp_path / "no-such", tmp_path / "b")
    with pytest.raises(TextError, match="no-such"):
        compress(tmp_path / "no-such", tmp_path / "b")
    with pytest.raises(OutputError):
        compress(tmp_path / "a", tmp_path / "no-folder" / "b", settings=SMALL)
    with pytest.raises(SettingsError, match="for a model"):
        compress(tmp_path / "a", tmp_path / "b", inside=True)
    assert not (tmp_path / "b").exists()


def test_progress_is_told(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    told = []
    compress(tmp_path / "a", tmp_path / "x", settings=SMALL, progress=lambda *at: told.append(at))
    assert told[-1] == (len(TEXT), len(TEXT))
    done = [at for at, _ in told]
    assert done == sorted(done)
    told.clear()
    decompress(tmp_path / "x", tmp_path / "y", progress=lambda *at: told.append(at))
    assert told[-1] == (len(TEXT), len(TEXT))


def test_its_names_are_public():
    assert charloom.compress is compression.compress
    assert charloom.decompress is compression.decompress
