"""No file makes the library for C do anything but return a code: files changed in every way."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from charloom import Model, ModelSettings, Vocabulary
from charloom.errors import ModelFileError
from charloom.model.storage.sealed import BLANK

FILES = int(os.environ.get("CHARLOOM_FUZZ", "400"))
MARK = rb"{\"digest\":\""
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    3,
    65537,
    2**31,
    2**40,
    2**63,
    1.5,
    "",
    "gru",
    "x" * 50,
    [],
    {},
    [0, 8],
]


def whole(tmp_path: Path, **settings) -> bytes:
    model = Model.untrained(ModelSettings(hidden_size=3, **settings), Vocabulary.of("a fox\n"))
    model.save(tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def parts(data: bytes) -> tuple[dict, dict, bytes]:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["charloom"]), data[8 + size :]


def sealed(header: dict, description: object, data: bytes) -> bytes:
    """A file of these parts whose digest fits."""
    if isinstance(description, dict):
        rest = {key: value for key, value in description.items() if key != "digest"}
        description = {"digest": BLANK, **rest}
    header = {
        **header,
        "__metadata__": {"charloom": json.dumps(description, separators=(",", ":"))},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    return resealed(len(text).to_bytes(8, "little") + text + data)


def resealed(file: bytes) -> bytes:
    """The same file with the digest that fits, where it has a place for one."""
    at = file.find(MARK) + len(MARK)
    if at < len(MARK) or at + 64 > len(file):
        return file
    digest = hashlib.sha256(file[:at] + BLANK.encode() + file[at + 64 :]).hexdigest()
    return file[:at] + digest.encode() + file[at + 64 :]


def places(value: object, found: list) -> list:
    """Every member of every object and array within a value: (container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore
    for key, member in items:
        found.append((value, key))
        if isinstance(member, (dict, list)):
            places(member, found)
    return found


def changed(original: bytes, random: np.random.Generator) -> bytes:
    header, description, data = parts(original)
    kind = random.integers(6)
    if kind < 2:  # some bytes anywhere, or in the JSON, and a digest that fits
        file = bytearray(original)
        most = len(file) if kind else len(original) - len(data)
        for _ in range(random.integers(1, 4)):
            file[random.integers(most)] = random.integers(256)
        return resealed(bytes(file))
    if kind == 2:
        return resealed(original[: random.integers(len(original))])
    if kind == 3:
        return sealed(header, description, data[: random.integers(len(data) + 1)])
    target = header if kind == 4 else description
    found = places(target, [])
    container, key = found[random.integers(len(found))]
    if isinstance(container, dict) and random.random() < 0.2:
        del container[key]
    else:
        container[key] = VALUES[random.integers(len(VALUES))]
    return sealed(header, description, data)


def codes_of(driver: Path, files: list[Path]) -> list[int]:
    ran = subprocess.run(
        [driver, "--load", *files], capture_output=True, text=True, check=False, timeout=550
    )
    assert ran.returncode == 0 and not ran.stderr, ran.stderr[-3000:]
    return [int(line[0]) for line in ran.stdout.splitlines() if line[:2] in ("0 ", "2 ", "5 ")]


@pytest.mark.parametrize("settings", [{"num_layers": 2}, {"cell": "gru", "embedding_size": 4}])
def test_changed_files_are_refused_or_still_models(tmp_path: Path, driver, settings):
    original = whole(tmp_path, **settings)
    random = np.random.default_rng(11)
    files = []
    for n in range(FILES // 2):
        files.append(tmp_path / str(n))
        files[-1].write_bytes(changed(original, random))
    codes = codes_of(driver, files)
    assert len(codes) == len(files)
    assert codes.count(2) > len(files) / 2
    for file, code in zip(files, codes, strict=True):
        if code == 0:  # what the library takes for a model, Python does, too
            try:
                Model.load(file)
            except ModelFileError as error:
                pytest.fail(f"{file}: {error}")


def test_a_changed_byte_and_every_beginning_of_a_file_are_refused(tmp_path: Path, driver):
    original = whole(tmp_path)
    files = []
    for n, at in enumerate(np.linspace(0, len(original) - 1, 60).astype(int)):
        for name, data in (
            (f"byte{n}", original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :]),
            (f"start{n}", original[:at]),
        ):
            files.append(tmp_path / name)
            files[-1].write_bytes(data)
    assert set(codes_of(driver, files)) == {2}


def test_json_that_is_deep_or_long_or_none_is_refused(tmp_path: Path, driver):
    header, _, data = parts(whole(tmp_path))
    hostile = {
        "deep": b"[" * 1_000_000,
        "wide": b"[" + b"0," * 200_000 + b"0]",
        "open": b'"\\',
        "half": b'"\\ud83d\\u',
        "number": b"-",
        "nothing": b"",
    }
    files = []
    for name, text in hostile.items():
        body = b'{"__metadata__":' + text
        for kind, file in (
            (name, len(body).to_bytes(8, "little") + body),
            (f"{name}2", sealed(header, text.decode(), data)),
            (f"{name}3", (2**63).to_bytes(8, "little") + body),
        ):
            files.append(tmp_path / kind)
            files[-1].write_bytes(file)
    codes = codes_of(driver, files)
    assert codes == [2] * len(files)


def test_a_model_that_is_not_there_is_named(tmp_path: Path, driver):
    ran = subprocess.run(
        [driver, "--load", tmp_path / "none", tmp_path], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [
        f"1 {tmp_path}/none: cannot be opened",
        f"1 {tmp_path}: cannot be read",
    ]
