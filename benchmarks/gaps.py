"""Words taken out of a text, and filled in: with both sides, and with the left side alone.

    python benchmarks/gaps.py MODEL TEXT [--words 200] [--samples 128] [--seed 0]

The text should be one that the model was not trained on. Words of 3 to 10 letters are taken at
random places, and `Model.fill` names ten for each. From the left alone it knows the one character
after the word, which says where the word ends, and nothing more. Printed: how often the word itself
comes first, or among the first five, with the standard error of the difference.
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


def rank(model: charloom.Model, left: str, word: str, right: str, samples: int) -> int:
    """The place of the word among ten fills; 11 if it is none of them."""
    found = model.fill(f"{left}___{right}", n=10, length=10, samples=samples)
    texts = [one.text for one in found]
    return texts.index(word) + 1 if word in texts else 11


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
    for most in (1, 5):
        gains = [(a <= most) - (b <= most) for a, b in zip(both, alone, strict=True)]
        mean = sum(gains) / len(gains)
        error = (sum((gain - mean) ** 2 for gain in gains) / len(gains) ** 2) ** 0.5
        shares = [sum(r <= most for r in ranks) / len(ranks) for ranks in (both, alone)]
        print(
            f"{len(both)} words, among the first {most}: both sides {shares[0]:.3f}, left alone "
            f"{shares[1]:.3f}, difference {mean:+.3f} (standard error {error:.3f})"
        )


if __name__ == "__main__":
    main()
