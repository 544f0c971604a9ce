"""10,000 texts for each of twenty patterns, three kinds of model and three lengths: all match.

    python tests/campaigns/rules.py [--count 10000]

Each text has to match as a whole by Python's `re` and stay inside the length; the kinds are models
of characters, of bytes and of lines, of random weights. Exit status 1 if one does not.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rule_cases import KINDS, PATTERNS, rule_model

import charloom

LENGTHS = (40, 60, 200)


def wrong_texts(kind: str, pattern: str, count: int) -> list[str]:
    """Texts that do not match, or are too long."""
    model, found = rule_model(kind), []
    for number, length in enumerate(LENGTHS):
        for start in range(0, count // len(LENGTHS) + 1, 500):
            texts = model.generate_many(
                count=min(500, count // len(LENGTHS) + 1 - start),
                length=length,
                seed=1000 * number + start,
                rule=charloom.Pattern(pattern),
            )
            found += [
                text
                for text in texts
                if len(text) > length or not re.fullmatch(pattern, text, re.ASCII)
            ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    count = parser.parse_args().count
    wrong: Counter[str] = Counter()
    for pattern in PATTERNS:
        for kind in KINDS:
            found = wrong_texts(kind, pattern, count)
            wrong[pattern] += len(found)
            print(
                f"{pattern:45} {kind:10} {len(found)} wrong of {count:,} {found[:1] or ''}",
                flush=True,
            )
    print(f"{sum(wrong.values())} wrong texts of {count * len(PATTERNS) * len(KINDS):,}")
    return int(sum(wrong.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
