"""How much slower text is under a rule: characters a second beside free text, in turns.

    python benchmarks/rules.py [--seconds 2] [--rounds 5] [--hidden 128 512] [--precision auto]

On one thread, by the processor time that was used, so that the ratios hold on a busy machine, too.
For one stream and for 64, and two sizes of network. Untrained weights, since speed does not depend
on them; ASCII as the vocabulary. What is timed is `Model.generate` for one stream (in pieces, as a
reader gets them) and `generate_many` for 64. The rules are such that texts are as long as free
ones: a pattern over all printable characters with structure, a grammar of the same, and schemas of
arrays, which go on: of objects with five properties, and of anything.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import charloom

CHARACTERS = "".join(map(chr, range(32, 127))) + "\n"
LENGTH = 512
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "height": {"type": "number"},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}},
        "address": {"type": "object", "properties": {"street": {"type": "string"}}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
RULES = {
    "free": None,
    "pattern .*": charloom.Pattern(r"(.|\n)*"),
    "pattern words": charloom.Pattern(r"([A-Z]?[a-z]{1,12}[ ,.]|\d{4}-(0[1-9]|1[0-2])-\d\d )*"),
    "schema people": charloom.JsonSchema({"type": "array", "items": PERSON, "minItems": 1}),
    "schema any": charloom.JsonSchema({"type": "array"}),
    "grammar words": charloom.Grammar("start: word*\nword: /[A-Z]?[a-z]+/ /[ ,.]/"),
}


def one(model: charloom.Model, rule: Any, seed: int) -> int:
    return sum(map(len, model.generate("The ", length=LENGTH, seed=seed, rule=rule)))


def many(model: charloom.Model, rule: Any, seed: int) -> int:
    texts = model.generate_many("The ", count=64, length=LENGTH // 4, seed=seed, rule=rule)
    return sum(map(len, texts))


def speed(write: Callable[..., int], *subject: Any, seconds: float) -> float:
    """Characters a second of processor time, over at least so many."""
    made = seed = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds or not made:
        made += write(*subject, seed)
        seed += 1
    return made / spent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 512])
    given = parser.parse_args()
    for hidden in given.hidden:
        model = charloom.Model.untrained(
            charloom.ModelSettings(hidden_size=hidden, num_layers=2),
            charloom.Vocabulary.of(CHARACTERS, unknown=True),
            precision=given.precision,
            threads=1,
        )
        for streams, write in ((1, one), (64, many)):
            speeds: dict[str, list[float]] = {name: [] for name in RULES}
            for _ in range(given.rounds):  # in turns, so that all see the same machine
                for name, rule in RULES.items():
                    speeds[name].append(speed(write, model, rule, seconds=given.seconds))
            for name, found in speeds.items():
                ratios = [a / b for a, b in zip(found, speeds["free"], strict=True)]
                print(
                    f"H{hidden} L2, {streams:2} streams, {name:14}"
                    f"{statistics.median(found):10,.0f} "
                    f"characters/s, {statistics.median(ratios):.2f} of free text's "
                    f"({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
