"""Texts that others measure on, from packages that anyone can install, with their exact splits.

    enwik8       the first 10^8 bytes of a Wikipedia of 2006, in the source package of
                 mingru-pytorch 0.2.1 (PyPI); 90, 5 and 5 million bytes
    smiles       molecules of MOSES, in the wheel of molsets 0.3.1 (PyPI); its training set
    characters   13,000 different characters with their names, from Python's unicodedata

Packages are fetched with pip into a folder that is kept (build/texts), and never installed.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

FOLDER = Path("build/texts")
ENWIK8_BYTES = 100_000_000
DISTINCT = 13_000


def package(requirement: str, pattern: str, *flags: str) -> Path:
    """The file of a package, fetched if it is not there yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not list(FOLDER.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *flags]
        subprocess.run([*command, "--dest", FOLDER, requirement], check=True)
    (found,) = FOLDER.glob(pattern)
    return found


def enwik8(share: float = 1.0) -> tuple[str, str, str]:
    """Training, validation and test text; `share` takes the beginning of each.

    Each cut moves on to where a character begins, by at most three bytes.
    """
    name = "mingru-pytorch"
    path = package(f"{name}==0.2.1", "mingru_pytorch-*.tar.gz", "--no-binary", name)
    with tarfile.open(path) as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith("data/enwik8.gz"))
        file = archive.extractfile(member)
        assert file is not None
        with gzip.open(file) as stream:
            data = stream.read(ENWIK8_BYTES)
    parts = []
    for start, stop in ((0, 90), (90, 95), (95, 100)):
        first, last = start * 10**6, stop * 10**6
        last = first + int((last - first) * share)
        parts.append(data[begin(data, first) : begin(data, last)].decode())
    return parts[0], parts[1], parts[2]


def begin(utf8: bytes, at: int) -> int:
    """The first start of a character at or after a byte."""
    while at < len(utf8) and utf8[at] & 0xC0 == 0x80:
        at += 1
    return at


def smiles() -> list[str]:
    """The training set of MOSES, in its order."""
    path = package("molsets==0.3.1", "molsets-*.whl", "--only-binary", "molsets")
    with zipfile.ZipFile(path) as archive:
        rows = gzip.decompress(archive.read("moses/dataset/data/train.csv.gz")).decode()
    return [row.partition(",")[0] for row in rows.splitlines()[1:]]


def characters() -> str:
    """A line for each of 13,000 characters: the character, and its name in Unicode.

    The order is that of the names' hashes, so that the same kinds stand everywhere.
    """
    lines = []
    for code in range(32, sys.maxunicode):
        name = unicodedata.name(chr(code), "")
        if name and not 0xD800 <= code < 0xE000:
            lines.append(f"{chr(code)} {name.lower()}\n")
        if len(lines) == DISTINCT:
            break
    return "".join(sorted(lines, key=hash_of))


def hash_of(line: str) -> int:
    """A number that spreads lines evenly, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")
