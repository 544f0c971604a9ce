"""Campaign: how many claims about units survive in networks that know nothing.

    python tests/campaigns/claims.py            # 20 networks of each kind and size
    python tests/campaigns/claims.py --networks 3 --characters 4000

Networks of three sizes are searched for units that follow a label, each on its own stretch
of text and with its own controls: untrained ones, ones that `charloom.train` has trained on
the same text with its letters shuffled, and ones with units planted by hand. Of the first
two kinds no more than a share alpha may keep any claim, nor may that share of claims be
kept; of the planted units each has to be found. Prints a Markdown table; exit status 1 if
that does not hold. The text is the prose of docs/, or the file that --text names.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products on many threads mostly wait

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import planted  # noqa: E402

from charloom import InMemory, Model, ModelSettings, TrainingSettings, train  # noqa: E402
from charloom.engines.weights import initial_weights  # noqa: E402
from charloom.inspection.units.report import Report  # noqa: E402
from charloom.inspection.units.search import units  # noqa: E402
from charloom.text.vocabulary import Vocabulary  # noqa: E402

SIZES = ((16, 1), (32, 2), (64, 1))
"""Hidden units and layers."""

ALPHA = 0.05
FIRST_SEED = 1000


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of the networks of one kind and size."""

    kind: str
    size: str
    networks: int
    with_claim: int
    """Networks that keep at least one claim."""
    claims: int
    """One for each network and label."""
    kept: int
    seconds: float
    """For each search, on average."""


def prose() -> str:
    """The text of the documents."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def shuffled(text: str, seed: int) -> str:
    """The letters of a text in random order."""
    return "".join(np.random.default_rng(seed).permutation(list(text)))


def untrained_network(text: str, shape: ModelSettings, seed: int) -> Model:
    """A network with first weights."""
    vocabulary = Vocabulary.of(text)
    return Model(shape, vocabulary, initial_weights(shape, vocabulary.size, seed), threads=1)


def shuffled_network(
    text: str, shape: ModelSettings, seed: int, steps: int = 400, **training: Any
) -> Model:
    """A network trained on the letters of a text in random order, as a user would train it."""
    chosen = TrainingSettings(steps=steps, seed=seed, validate_every=steps, threads=1, **training)
    return train(InMemory(shuffled(text, seed)), model=shape, training=chosen).finish()


KINDS: dict[str, Callable[[str, ModelSettings, int], Model]] = {
    "untrained": untrained_network,
    "shuffled letters": shuffled_network,
}


def search(model: Model, text: str, characters: int, seed: int, **settings: Any) -> Report:
    """Search a network on a stretch of text of its own, with controls of its own."""
    start = np.random.default_rng(seed).integers(0, max(1, len(text) - characters))
    stretch = text[start : start + characters]
    return units(model, stretch, seed=seed, alpha=ALPHA, **settings)


def ignorant(text: str, networks: int, characters: int) -> Iterator[Row]:
    """Networks that know nothing, by kind and size."""
    for kind, make in KINDS.items():
        for hidden, layers in SIZES:
            shape = ModelSettings(hidden_size=hidden, num_layers=layers)
            found, seconds = [], 0.0
            for seed in range(FIRST_SEED, FIRST_SEED + networks):
                model = make(text, shape, seed)
                began = time.perf_counter()
                found.append(search(model, text, characters, seed))
                seconds += time.perf_counter() - began
            yield Row(
                kind=kind,
                size=f"{layers} x {hidden}",
                networks=networks,
                with_claim=sum(bool(report.surviving) for report in found),
                claims=sum(len(report.best) for report in found),
                kept=sum(len(report.surviving) for report in found),
                seconds=seconds / networks,
            )


def planted_found(networks: int, characters: int) -> list[int]:
    """In how many networks each planted unit is found: brackets, quotes, the symbol."""
    labels = ("bracket depth", "inside quotes", f"matches {planted.REMEMBERED}")
    found = [0, 0, 0]
    for seed in range(networks):
        report = units(
            planted.model(seed=seed),
            planted.text(characters, seed=seed),
            patterns=[planted.REMEMBERED],
            seed=seed,
            alpha=ALPHA,
        )
        for unit, label in enumerate(labels):
            claim = next(claim for claim in report.best if claim.label == label)
            found[unit] += claim.survives and claim.unit == unit
    return found


def main() -> int:
    """Run the campaign; 1 if networks that know nothing keep too much, or too little is found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--networks", type=int, default=20, help="of each kind and size")
    parser.add_argument("--characters", type=int, default=6000, help="that each one reads")
    parser.add_argument("--text", type=Path, help="a file instead of the documents")
    chosen = parser.parse_args()
    text = chosen.text.read_text(encoding="utf-8") if chosen.text else prose()
    print("| networks | size | networks | with a claim | claims | kept | seconds each |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    rows = []
    for row in ignorant(text, chosen.networks, chosen.characters):
        rows.append(row)
        print(
            f"| {row.kind} | {row.size} | {row.networks} | {row.with_claim} | {row.claims} "
            f"| {row.kept} | {row.seconds:.1f} |",
            flush=True,
        )
    networks, claims = sum(row.networks for row in rows), sum(row.claims for row in rows)
    with_claim, kept = sum(row.with_claim for row in rows), sum(row.kept for row in rows)
    print(f"| all | | {networks} | {with_claim} | {claims} | {kept} | |\n")
    print(f"alpha {ALPHA:.1%}; networks with a claim {with_claim / networks:.1%}; "
          f"claims kept {kept / claims:.2%}")  # fmt: skip
    found = planted_found(chosen.networks, 3000)
    print(f"planted units found, of {chosen.networks}: {', '.join(map(str, found))}")
    held = with_claim <= ALPHA * networks and kept <= ALPHA * claims
    return 0 if held and min(found) == chosen.networks else 1


if __name__ == "__main__":
    sys.exit(main())
