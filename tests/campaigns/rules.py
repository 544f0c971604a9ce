"""10,000 texts for each of twenty patterns, 1,000 for each of eleven grammars and schemas: all fit.

    python tests/campaigns/rules.py [--count 10000]

So many by each of three kinds of model, of characters, of bytes and of lines, with random weights,
in three lengths. Each text has to stay inside the length, and to fit as a whole: a pattern by
Python's `re`, a schema by jsonschema, a grammar by a test of its own. Else exit status 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rule_cases import GRAMMARS, KINDS, PATTERNS, SCHEMAS, fits_schema, rule_model

import charloom
from charloom.errors import shown
from charloom.model.rules.rule import Rule

LENGTHS = (40, 60, 200)


def cases() -> Iterator[tuple[str, Rule, Callable[[str], object]]]:
    """Each rule by its name, and what says whether a text fits it."""
    for pattern in PATTERNS:
        matches = re.compile(pattern, re.ASCII).fullmatch
        yield pattern, charloom.Pattern(pattern), matches
    for grammar, fits in GRAMMARS:
        yield shown(grammar, 45), charloom.Grammar(grammar), fits
    for schema in SCHEMAS:
        yield (
            shown(json.dumps(schema), 45),
            charloom.JsonSchema(schema),
            partial(fits_schema, schema),
        )


def wrong_texts(kind: str, rule: Rule, fits: Callable[[str], object], count: int) -> list[str]:
    """Texts that do not fit, or are too long."""
    model, found = rule_model(kind), []
    for number, length in enumerate(LENGTHS):
        for start in range(0, count // len(LENGTHS) + 1, 500):
            texts = model.generate_many(
                count=min(500, count // len(LENGTHS) + 1 - start),
                length=length,
                seed=1000 * number + start,
                rule=rule,
            )
            found += [text for text in texts if len(text) > length or not fits(text)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    wrong, total = 0, 0
    for name, rule, fits in cases():
        count = options.count if isinstance(rule, charloom.Pattern) else options.count // 10
        for kind in KINDS:
            found = wrong_texts(kind, rule, fits, count)
            wrong += len(found)
            total += count
            print(
                f"{name:45} {kind:10} {len(found)} wrong of {count:,} {found[:1] or ''}",
                flush=True,
            )
    print(f"{wrong} wrong texts of {total:,}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
