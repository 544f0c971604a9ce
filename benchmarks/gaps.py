"""Words taken out of a text, and filled in: with both sides, and with the left side alone.

    python benchmarks/gaps.py MODEL TEXT [--words 200] [--samples 128] [--seed 0]

The text should be one that the model was not trained on. Words of 3 to 10 letters are taken at
random places, and `Model.fill` looks for each. From the left alone it knows the one character
after the word, which says where the word ends, and nothing more. Printed: the mean of 1 / the place
of the word among all fills, and how often it comes first or among the first five, with the standard
error of the difference.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

import charloom

BEFORE, AFTER = 200, 40  # characters around a word


def places(text: str, count: int, seed: int) -> list[re.Match[str]]:
    """Words at random places that have enough around them."""
    words = [
        word
        for word in re.finditer(r"\b[A-Za-z]{3,10}\b", text)
        if word.start() >= BEFORE and word.end() + AFTER < len(text)
    ]
    return random.Random(seed).sample(words, min(count, len(words)))


def rank(model: charloom.Model, left: str, word: str, right: str, samples: int) -> float:
    """The place of the word among all fills that were found; inf if it is none of them."""
    found = model.fill(f"{left}___{right}", n=65_536, length=10, samples=samples)
    texts = [one.text for one in found]
    return texts.index(word) + 1 if word in texts else float("inf")


def told(name: str, both: list[float], alone: list[float]) -> str:
    """The means of a number, and of its difference, with the standard error of that."""
    gains = [a - b for a, b in zip(both, alone, strict=True)]
    mean = sum(gains) / len(gains)
    error = (sum((gain - mean) ** 2 for gain in gains) / len(gains) ** 2) ** 0.5
    return (
        f"{name:20} both sides {sum(both) / len(both):.3f}, left alone "
        f"{sum(alone) / len(alone):.3f}, difference {mean:+.3f} (standard error {error:.3f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model = charloom.Model.load(given.model)
    text = "".join(charloom.read(given.text)).replace("___", " ")
    both, alone = [], []
    for word in places(text, given.words, given.seed):
        left = text[word.start() - BEFORE : word.start()]
        right = text[word.end() : word.end() + AFTER]
        both.append(rank(model, left, word[0], right, given.samples))
        alone.append(rank(model, left, word[0], right[:1], given.samples))
    print(f"{len(both)} words, of which {sum(r < float('inf') for r in both)} were found")
    print(told("1 / place", [1 / r for r in both], [1 / r for r in alone]))
    for most in (1, 5):
        firsts = ([float(r <= most) for r in ranks] for ranks in (both, alone))
        print(told(f"among the first {most}", *firsts))


if __name__ == "__main__":
    main()
