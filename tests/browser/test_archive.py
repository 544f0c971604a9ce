"""An archive of `charloom compress` comes back in the page, byte for byte, or it says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from serving_tools import TEXT, small_model
from worker_code import decoded, encoded, file_of

from charloom import AdaptationSettings, CompressionSettings, Model, ModelSettings, compress
from charloom.engines.native import available_kernels
from charloom.engines.weights import initial_weights
from charloom.model.compression.coding import frequencies
from charloom.model.storage.provenance import Provenance
from charloom.settings import TrainingSettings
from charloom.text.vocabulary import Vocabulary

DECOMPRESS = """
  const found = [];
  for (const archive of given.archives) {
    const made = await Decompression.start(core, bytesOf(archive), model);
    while (!made.done) made.goOn();
    found.push(base64Of(await made.file()));
  }
  return found;
"""
HOSTILE = "a\r\nb\x00\u00df\u2603\U0001f98a\ufffd\ufeff the Fox\n".encode()


def bytes_model() -> Model:
    shape = ModelSettings(hidden_size=16)
    return Model(shape, Vocabulary.bytes(), initial_weights(shape, 256, seed=0))


def without_unknown(**options) -> Model:
    shape = ModelSettings(hidden_size=16, **options)
    vocabulary = Vocabulary.of("the Fox\n\u00df")
    weights = initial_weights(shape, vocabulary.size, seed=0)
    lines = Provenance(training=TrainingSettings(batches="lines"))
    return Model(shape, vocabulary, weights, lines, precision="float32")


MODELS = {
    "lstm": small_model,
    "gru": lambda: small_model(cell="gru"),
    "rnn": lambda: small_model(cell="rnn"),
    "embedding": lambda: small_model(embedding_size=5),
    "lines": lambda: small_model(lines=True),
    "lines without unknown": without_unknown,
    "bytes": bytes_model,
    "none": lambda: None,
}
FILES = [TEXT.encode(), HOSTILE, b"the \xff\xfe Fox\x80", b"t", b""]
WAYS = {
    "": {},
    "adapt": {"adapt": AdaptationSettings(sequence_length=8)},
    "inside": {"inside": True},
}
SMALL = CompressionSettings(hidden_size=16, sequence_length=20)


def archive_of(data: bytes, folder: Path, model: Model | None, **options) -> bytes:
    (folder / "a").write_bytes(data)
    compress(folder / "a", folder / "a.loom", model, settings=SMALL, **options)
    return (folder / "a.loom").read_bytes()


@pytest.mark.parametrize(
    ("name", "way"), [(n, w) for n in MODELS for w in WAYS if n != "none" or not w]
)
def test_the_file_comes_back(node, tmp_path, name, way):
    model = MODELS[name]()
    archives = [encoded(archive_of(data, tmp_path, model, **WAYS[way])) for data in FILES]
    own = {"model": file_of(model, tmp_path)} if model and way != "inside" else {}
    found = node(DECOMPRESS, archives=archives, **own)
    assert [decoded(one, "u1").tobytes() for one in found] == FILES


def test_a_new_network_and_its_counts_learn_as_in_python(node, tmp_path):
    random = np.random.default_rng(0)
    some = random.choice(list(b"abcdefgh \n"), 1500).astype("u1").tobytes()
    data = b"the fox and the crow\n" * 80 + some  # counts are halved, and the table of them grows
    archive = archive_of(data, tmp_path, None)
    assert len(archive) < 0.6 * len(data)
    assert decoded(node(DECOMPRESS, archives=[encoded(archive)])[0], "u1").tobytes() == data


def test_frequencies_are_pythons(node):
    random = np.random.default_rng(0)
    rows = (random.standard_normal((200, 70)) * random.choice([0.1, 3, 30], (200, 1))).astype("<f4")
    rows[0], rows[1, 5] = 0, 1e30
    found = node(
        "const rows = new Float32Array(bytesOf(given.rows).buffer);"
        "const row = (n) => rows.subarray(70 * n, 70 * n + 70);"
        "return Array.from({ length: 200 }, (_, n) => frequencies(row(n)));",
        rows=encoded(rows),
    )
    assert found == frequencies(rows).tolist()


REFUSED = """
  try {
    await Decompression.start(core, bytesOf(given.archive), model);
  } catch (error) {
    return error.message;
  }
"""


def test_what_cannot_be_read_is_refused_with_a_reason(node, tmp_path):
    model = small_model()
    good = archive_of(TEXT.encode(), tmp_path, model)
    wrong = [
        ("not an archive", b"the Fox"),
        ("another version of it", good.replace(b"archive 3", b"archive 2")),
        (f"another model, {model.digest}", good),
    ]
    for at in (30, len(good) // 2, len(good) - 1):
        wrong.append(("damaged", good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]))
    fast = available_kernels()[0]
    if fast != "baseline":
        archive = archive_of(TEXT.encode(), tmp_path, model, fast=True)
        wrong.append((f"the kernels {fast} (--fast)", archive))
    for reason, archive in wrong:
        assert reason in node(REFUSED, archive=encoded(archive))


DROP = """([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  const given = { dataTransfer, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("drop", given));
}"""


def test_an_archive_dropped_on_the_page_or_chosen_is_decompressed(
    open_page, file, address, model, tmp_path
):
    archives = {"own.txt.loom": (file, archive_of(HOSTILE, tmp_path, model))}
    archives["new.loom"] = (address, archive_of(TEXT.encode(), tmp_path, None))
    for name, (place, archive) in archives.items():
        page = open_page(place)
        for way in ("dropped", "chosen"):
            if way == "dropped":
                page.evaluate(DROP, [name, encoded(archive)])
            else:
                (tmp_path / name).write_bytes(archive)
                page.set_input_files("#archive", tmp_path / name)
            page.wait_for_selector("#archive-file:not([hidden])")
            with page.expect_download() as download:
                page.click("#archive-file")
            assert download.value.suggested_filename == name.removesuffix(".loom")
            download.value.save_as(tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == (HOSTILE if "own" in name else TEXT.encode())
        page.evaluate(DROP, ["<b>x</b>", encoded(archive[:-1])])
        page.wait_for_function("() => byId('archive-status').textContent.includes('damaged')")
        assert page.inner_text("#archive-status").startswith("<b>x</b>: the archive is damaged")
        assert page.is_hidden("#archive-file")
