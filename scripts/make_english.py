"""Train the English base from texts that Debian packages, and store it with 8-bit weights.

    python scripts/make_english.py                 # src/charloom/model/shipped/english.safetensors
    python scripts/make_english.py --texts FOLDER  # writes the texts, and stops

The texts are in the public domain: the King James Bible (bible-kjv-text), Jane Austen's novels
but one (r-cran-janeaustenr), and Ambrose Bierce's Devil's Dictionary (dict-devil). "Northanger
Abbey" is left out, to measure with. Needs apt-get and dpkg, which fetch and unpack the
packages into a temporary folder; nothing is installed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
import subprocess
import tempfile
import zlib
from pathlib import Path

import charloom
from charloom.model.storage.provenance import Provenance

PACKAGES = ("bible-kjv", "bible-kjv-text", "r-cran-janeaustenr", "dict-devil")
NOVELS = (
    "Emma",
    "Mansfield Park",
    "Northanger Abbey",
    "Persuasion",
    "Pride and Prejudice",
    "Sense and Sensibility",
)
"""In the order of their blocks in the package's data."""

HELD_OUT_NOVEL = "Northanger Abbey"
WRAPPED = ("Mansfield Park", "Persuasion", "The Devil's Dictionary")
"""These keep the line breaks of their printed pages; elsewhere a paragraph is one line."""

HELD_OUT = 20_000
"""Characters at the end of each text that are not trained on."""

PACKAGE_OF = {"King James Bible": "bible-kjv-text", "The Devil's Dictionary": "dict-devil"}
LICENSES = {
    "King James Bible": "public domain (1611)",
    "The Devil's Dictionary": "public domain (Ambrose Bierce, 1911)",
}
STEPS = 3500
"""About nine tenths of a pass."""

TARGET = Path(__file__).parents[1] / "src/charloom/model/shipped/english.safetensors"


def texts() -> dict[str, str]:
    """The texts by title, in order."""
    with tempfile.TemporaryDirectory() as place:
        fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
        subprocess.run(fetch, cwd=place, check=True)
        for package in Path(place).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package.name, "."], cwd=place, check=True)
        usr = Path(place) / "usr"
        found = {"King James Bible": bible(usr)}
        found |= dict(zip(NOVELS, novels(usr), strict=True))
        found["The Devil's Dictionary"] = dictionary(usr)
    return {title: text if title in WRAPPED else unwrapped(text) for title, text in found.items()}


def bible(usr: Path) -> str:
    """Every verse on a line of its own, without its number."""
    done = subprocess.run(  # it takes no absolute path, and its exit status says nothing
        [usr / "bin/bible", "-d", "bible.data", "-l", "2000", "-f", "gen1:1-rev22:21"],
        cwd=usr / "lib",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    verses = done.stdout.decode("ascii")
    assert verses.count("\n") == 31_102, "verses are missing"
    return re.sub(r"(?m)^\w+:\d+ +", "", verses)


def novels(usr: Path) -> list[str]:
    """The novels in R's serialized form: blocks of zlib, each a vector of lines."""
    data = (usr / "lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    found = []
    while data:
        unpacked = zlib.decompressobj()
        found.append(r_lines(unpacked.decompress(data[4:])))
        data = unpacked.unused_data
    return found


def r_lines(data: bytes) -> str:
    """The text of a character vector in R's XDR serialization, version 3."""
    at = 14 + 4 + int.from_bytes(data[14:18], "big")  # the header ends with a name's length
    count = int.from_bytes(data[at + 4 : at + 8], "big")
    at, lines = at + 8, []
    for _ in range(count):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        lines.append(data[at + 8 : at + 8 + size].decode())
        at += 8 + size
    return "\n".join(lines) + "\n"


def dictionary(usr: Path) -> str:
    """The entries, without what the package says of itself."""
    text = gzip.decompress((usr / "share/dictd/devil.dict.dz").read_bytes()).decode()
    return text[text.index("_The Devil's Dictionary_ was begun") :]


def unwrapped(text: str) -> str:
    """A text whose paragraphs are lines, with an empty line between two of them."""
    if "\n\n" not in text:
        return text
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def train(found: dict[str, str], folder: Path) -> charloom.Model:
    """The base; 32 streams read from everywhere in the texts at once."""
    known = [text for title, text in found.items() if title != HELD_OUT_NOVEL]
    if (folder / "run.json").exists():
        run = charloom.resume(folder)
    else:
        run = charloom.train(
            charloom.InMemory("".join(text[:-HELD_OUT] for text in known)),
            output=folder,
            validation=charloom.InMemory("".join(text[-HELD_OUT:] for text in known)),
            model=charloom.ModelSettings(hidden_size=256, num_layers=2),
            training=charloom.TrainingSettings(
                steps=STEPS, batches="streams", precision="float32", patience=0
            ),
            start_from=None,
        )
    for progress in run:
        tell(progress)
    return run.best_model()


def tell(progress: charloom.Progress) -> None:
    """Print a validation."""
    if progress.validation is not None:
        bits = progress.validation.bits_per_character
        print(f"step {progress.step}: {bits:.4f} bits a character", flush=True)


def described(model: charloom.Model, found: dict[str, str]) -> charloom.Model:
    """The model with its texts and their licences in its record."""
    texts = [
        {
            "title": title,
            "package": "Debian: " + PACKAGE_OF.get(title, "r-cran-janeaustenr"),
            "license": LICENSES.get(title, "public domain (Jane Austen, 1775-1817)"),
            "characters": len(text),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        for title, text in found.items()
        if title != HELD_OUT_NOVEL
    ]
    about = {"license": "MIT, as charloom; its texts are in the public domain", "texts": texts}
    record = Provenance(**model.provenance.to_json(), **about)
    return charloom.Model(model.settings, model.vocabulary, model.weights, record)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=Path, help="write the texts into this folder, and stop")
    parser.add_argument("--run", type=Path, help="keep the run in this folder, or go on with it")
    options = parser.parse_args()
    found = texts()
    if options.texts:
        options.texts.mkdir(parents=True, exist_ok=True)
        for title, text in found.items():
            (options.texts / f"{title}.txt").write_text(text, encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as place:
        model = train(found, options.run or Path(place) / "english.run")
    TARGET.parent.mkdir(exist_ok=True)
    described(model, found).save(TARGET, bits=8)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
    sample = charloom.InMemory(found[HELD_OUT_NOVEL][3000:23000])
    for name, one in (("float32", model), ("8 bits", charloom.Model.load(TARGET))):
        print(f"{HELD_OUT_NOVEL}, {name}: {one.evaluate(sample).bits_per_character:.4f} bits")


if __name__ == "__main__":
    main()
