"""Files: whole, or refused with the reason; replaced all at once, or not at all."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file, save_file

from charloom.engines.weights import weight_shapes
from charloom.errors import ModelFileError, OutputError
from charloom.files import replacing
from charloom.model.storage import container
from charloom.model.storage.file import ModelFile, read_model, write_model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TextSettings
from charloom.text.vocabulary import Vocabulary

GOLDEN = Path(__file__).parents[2] / "golden" / "model_format_1.safetensors"


def a_model(cell: str = "lstm", embedding_size: int = 0, num_layers: int = 1) -> ModelFile:
    settings = ModelSettings(
        cell=cell, hidden_size=2, num_layers=num_layers, embedding_size=embedding_size
    )
    vocabulary = Vocabulary.of("ab\né€𝄞", unknown=True)
    random = np.random.default_rng(3)
    weights = {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in weight_shapes(settings, vocabulary.size).items()
    }
    provenance = Provenance(text=TextSettings(), bits=0.1 + 0.2, digest="0" * 64)
    return ModelFile(
        settings=settings, vocabulary=vocabulary, weights=weights, provenance=provenance
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embedding_size", [0, 3])
def test_a_model_comes_back_as_it_was_saved(path, cell, embedding_size):
    model = a_model(cell, embedding_size, num_layers=2)
    write_model(path, model)
    back = read_model(path)
    assert (back.settings, back.vocabulary) == (model.settings, model.vocabulary)
    assert back.provenance == model.provenance
    assert list(back.weights) == list(model.weights)
    for name, weight in model.weights.items():
        assert_array_equal(back.weights[name], weight)
        assert back.weights[name].dtype == np.float32


def test_equal_models_give_equal_bytes(path, tmp_path):
    model = a_model()
    write_model(path, model)
    write_model(tmp_path / "again", read_model(path))
    reordered = ModelFile(
        settings=model.settings,
        vocabulary=model.vocabulary,
        weights=dict(reversed(model.weights.items())),
        provenance=Provenance(**dict(reversed(model.provenance.to_json().items()))),
    )
    write_model(tmp_path / "reordered", reordered)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()
    assert path.read_bytes() == (tmp_path / "reordered").read_bytes()


def test_the_file_holds_the_names_and_shapes_of_pytorch(path):
    write_model(path, a_model(embedding_size=3))
    tensors = load_file(path)
    assert {name: t.shape for name, t in tensors.items()} == {
        "embedding.weight": (7, 3),
        "lstm.weight_ih_l0": (8, 3),
        "lstm.weight_hh_l0": (8, 2),
        "lstm.bias_ih_l0": (8,),
        "lstm.bias_hh_l0": (8,),
        "head.weight": (7, 2),
        "head.bias": (7,),
    }
    assert not tensors["lstm.bias_hh_l0"].any()


def test_a_model_of_format_1_is_read_for_ever():
    back, model = read_model(GOLDEN), a_model("lstm", 3, 2)
    assert (back.settings, back.vocabulary) == (model.settings, model.vocabulary)
    assert back.provenance.to_json()["bits"] == 0.1 + 0.2
    for name, weight in model.weights.items():
        assert_array_equal(back.weights[name], weight)


def test_two_biases_of_a_file_are_added(path):
    model = a_model()
    write_model(path, model)
    data = edited(path, lambda tensors: tensors["lstm.bias_hh_l0"].__iadd__(np.float32(0.5)))
    path.write_bytes(data)
    assert_array_equal(
        read_model(path).weights["lstm.bias_l0"],
        model.weights["lstm.bias_l0"] + np.float32(0.5),
    )


@pytest.mark.parametrize("change", [1, 0x29])  # 0x29 makes a tab of a space, in the header
def test_any_changed_byte_is_noticed(path, change):
    write_model(path, a_model())
    data = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    for at in range(len(data) if change == 1 else header):
        data[at] ^= change
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
            read_model(path)
        data[at] ^= change
    path.write_bytes(data)
    read_model(path)


def test_a_file_cut_anywhere_is_refused(path):
    write_model(path, a_model())
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ModelFileError, match="truncated" if size else "empty"):
            read_model(path)


def test_bytes_added_at_the_end_are_noticed(path):
    write_model(path, a_model())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


def write_text(path: Path) -> None:
    path.write_text("Once upon a time there was a fox.\n" * 10)


def write_pytorch_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")


def write_another_safetensors(path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, path)


def write_deep_json(path: Path) -> None:
    nested = b'{"a": ' + b"[" * 100_000
    path.write_bytes(len(nested).to_bytes(8, "little") + nested)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (write_text, "not a charloom model"),
        (write_pytorch_archive, "not a charloom model"),
        (write_another_safetensors, "not a charloom model"),
        (write_deep_json, "not a charloom model"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "no such file"),
        (
            lambda path: path.write_bytes(b"\x06\0\0\0\0\0\0\0[[[[[["),
            "not a charloom model",
        ),
        (lambda path: path.write_bytes(b"\x02\0\0\0\0\0\0\0{}"), "not a charloom model"),
        (
            lambda path: path.write_bytes(b'\x07\0\0\0\0\0\0\0{"a":1}'),
            "not a charloom model",
        ),
    ],
)
def test_what_is_not_a_model_is_refused_with_the_reason(path, write, says):
    write(path)
    with pytest.raises(ModelFileError, match=says) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)


def edited(path: Path, edit) -> bytes:
    """The file with its tensors changed, and a digest that fits."""
    tensors, content = container.read_container(path, "model")
    edit(tensors)
    content = {k: v for k, v in content.items() if k not in ("digest", "format", "kind")}
    container.write_container(path, "model", tensors, content)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda t: t.pop("head.bias"), "head.bias is missing"),
        (lambda t: t.update(extra=np.zeros(1, np.float32)), "extra"),
        (lambda t: t.update({"head.bias": np.zeros(3, np.float32)}), r"\(3,\).*\(7,\)"),
        (lambda t: t.update({"head.bias": np.zeros(7)}), "float64"),
    ],
)
def test_tensors_that_do_not_fit_the_settings_are_refused(path, edit, says):
    write_model(path, a_model())
    path.write_bytes(edited(path, edit))
    with pytest.raises(ModelFileError, match=says):
        read_model(path)


WHOLE = {
    "settings": ModelSettings().model_dump(),
    "vocabulary": Vocabulary.of("ab").to_json(),
}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"settings": {}, "vocabulary": {}, "record": {}},
        {"settings": {"hidden_size": 0}, "vocabulary": {}, "record": {}},
        {"settings": [], "vocabulary": None, "record": 3},
        *(
            {**WHOLE, "record": record}
            for record in (
                {"text": {"encoding": 3}},
                {"text": {"colour": 3}},
                {"text": 3},
                {"step": -1},
                {"step": 2**63},
                {"training": {"batches": "circles"}},
                {"validation": {"nats": "many"}},
                {"corpus": {"characters": 3}},
            )
        ),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(path, content):
    container.write_container(path, "model", {"head.bias": np.zeros(2, np.float32)}, content)
    with pytest.raises(ModelFileError, match="makes no sense"):
        read_model(path)


def test_a_newer_format_is_named(path, monkeypatch):
    monkeypatch.setattr(container, "FORMAT", 3)
    write_model(path, a_model())
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="format 3, and this charloom reads formats 1 to 2"):
        read_model(path)


def test_a_file_of_8_bits_is_refused_by_what_reads_format_1_alone(path, monkeypatch):
    write_model(path, a_model(), bits=8)
    monkeypatch.setattr(container, "_FORMATS", (1,))
    with pytest.raises(ModelFileError, match="is of format 2"):
        read_model(path)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("embedding_size", [0, 3])
def test_a_file_of_8_bits_holds_whole_numbers_and_a_scale_for_each_row(path, cell, embedding_size):
    model = a_model(cell, embedding_size, num_layers=2)
    write_model(path, model, bits=8)
    stored, back = load_file(path), read_model(path).weights
    assert list(back) == list(model.weights)
    for name, values in model.weights.items():
        if values.ndim == 1:
            assert_array_equal(back[name], values)
            continue
        scale = np.abs(values).max(axis=1) / np.float32(127)
        assert stored[name].dtype == np.int8
        assert_array_equal(stored[name + ".scale"], scale)
        assert_array_equal(back[name], stored[name].astype(np.float32) * scale[:, None])
        assert (np.abs(back[name] - values) <= 0.501 * scale[:, None]).all()
    size = path.stat().st_size
    write_model(path, model, bits=8)
    assert path.stat().st_size == size
    write_model(path.with_name("again"), read_model(path), bits=8)
    assert load_file(path.with_name("again")).keys() == stored.keys()


def test_a_file_of_8_bits_without_a_scale_or_with_another_shape_is_refused(path):
    write_model(path, a_model(), bits=8)
    tensors, content = container.read_container(path, "model")
    whole = {name: tensors[name] for name in tensors if name != "head.weight.scale"}
    container.write_container(path, "model", whole, content)
    with pytest.raises(ModelFileError, match=r"head\.weight\.scale is missing"):
        read_model(path)
    tensors["head.weight.scale"] = np.ones(1, np.float32)
    container.write_container(path, "model", tensors, content)
    with pytest.raises(ModelFileError, match=r"head\.weight\.scale is float32 \(1,\)"):
        read_model(path)
    tensors["head.weight.scale"] = np.ones(7, np.float32)
    tensors["head.bias"] = np.zeros(7, np.int8)  # only matrices are rounded
    container.write_container(path, "model", tensors, content)
    with pytest.raises(ModelFileError, match=r"head\.bias is int8"):
        read_model(path)


def test_a_new_file_takes_the_place_of_the_old(path):
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_has_to_be_new_takes_no_files_place(path, monkeypatch):
    with replacing(path, new=True) as file:
        file.write(b"first")
    for links in (True, False):  # some disks have none
        if not links:
            monkeypatch.setattr(os, "link", unsupported)
        with pytest.raises(FileExistsError), replacing(path, new=True) as file:
            file.write(b"second")
        assert path.read_bytes() == b"first"
        assert list(path.parent.iterdir()) == [path]
    path.unlink()
    with replacing(path, new=True) as file:
        file.write(b"third")
    assert path.read_bytes() == b"third"


def unsupported(*arguments):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_save_leaves_the_old_file(path, error):
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_save_killed_before_its_end_leaves_the_old_file(path):
    path.write_bytes(b"old")
    program = """
import os, signal, sys
from charloom.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half of the n")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_model(path, a_model())  # what the killed one left behind is in nobody's way
    read_model(path)


def test_a_full_disk_leaves_the_old_file_and_says_so(path, monkeypatch):
    path.write_bytes(b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match=r"No space left.*free some space"):
        write_model(path, a_model())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"make the folder .*nowhere first"):
        write_model(tmp_path / "nowhere" / "model", a_model())


def test_a_folder_in_the_way_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="folder is in the way"):
        write_model(tmp_path, a_model())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="may write"):
        write_model(tmp_path / "model", a_model())


def test_a_link_stays_a_link(tmp_path, path):
    (tmp_path / "link").symlink_to(path)
    write_model(tmp_path / "link", a_model())
    assert (tmp_path / "link").is_symlink()
    read_model(path)


def test_the_metadata_is_plain_json(path):
    write_model(path, a_model())
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content = json.loads(header["__metadata__"]["charloom"])
    assert list(header["__metadata__"]) == ["charloom"]
    assert sorted(content) == [
        "digest",
        "format",
        "kind",
        "record",
        "settings",
        "vocabulary",
    ]


def test_the_digest_is_what_the_manual_says(path):
    page = Path(__file__).parents[3] / "docs" / "file-format.md"
    code = page.read_text("utf-8").split("```python\nimport hashlib")[1].split("```")[0]
    names: dict = {}
    exec("import hashlib" + code, names)
    write_model(path, a_model())
    assert names["is_whole"](path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x99")
    assert not names["is_whole"](path)
