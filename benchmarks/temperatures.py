"""What a lower temperature gives and takes: words that are words, and repetition.

    python benchmarks/temperatures.py book.run book.txt
    python benchmarks/temperatures.py names.run names.txt

Of a model of a stream, by temperature: the share of generated words that stand in the text, and the
shares of different words and of different triples of words among all. Of a model of lines: the
shares of different lines, and of those that are new.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import charloom

TEMPERATURES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TEXTS, LENGTH, LINES = 30, 1000, 1000


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def share_different(values: list) -> float:
    return len(set(values)) / max(len(values), 1)


def of_a_stream(model: charloom.Model, text: str, temperature: float) -> dict[str, float]:
    texts = model.generate_many(count=TEXTS, length=LENGTH, temperature=temperature, seed=1)
    made = [word for one in texts for word in words(one)]
    known = set(words(text))
    return {
        "words that the text has": sum(word in known for word in made) / max(len(made), 1),
        "different words": share_different(made),
        "different triples": share_different(list(zip(made, made[1:], made[2:], strict=False))),
    }


def of_lines(model: charloom.Model, text: str, temperature: float) -> dict[str, float]:
    made = model.generate_many(count=LINES, length=100, temperature=temperature, seed=1)
    known, different = set(text.split("\n")), set(made)
    return {
        "different lines": share_different(made),
        "of these new": sum(line not in known for line in different) / len(different),
    }


def main() -> None:
    """Print a row for each temperature."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path, help="what the model was trained on")
    given = parser.parse_args()
    model = charloom.Model.load(given.model)
    text = "".join(charloom.read(given.text))
    for temperature in TEMPERATURES:
        found = (of_lines if model.lines else of_a_stream)(model, text, temperature)
        shown = ", ".join(f"{value:.3f} {name}" for name, value in found.items())
        print(f"{temperature}: {shown}", flush=True)


if __name__ == "__main__":
    main()
