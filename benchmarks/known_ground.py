"""Numbers on texts that others measure on, as Markdown rows with seconds, weights, seed and split.

    python benchmarks/known_ground.py adapt --text tinyshakespeare.txt      static and adapted
    python benchmarks/known_ground.py names --text names.txt
    python benchmarks/known_ground.py enwik8 --minutes 120
    python benchmarks/known_ground.py smiles --minutes 15 --temperatures 1 0.7    needs rdkit
    python benchmarks/known_ground.py characters
    python benchmarks/known_ground.py base --text novel.txt                 20 KB, from "english"
    python benchmarks/known_ground.py base --text novel.txt --characters 5000 100000 --seeds 0 1 2

`--share 0.01` takes the beginning of each part of enwik8 and of SMILES, for a short try; a row says
so. `--steps`, `--units` (in two layers) and `--threads` stand in place of what would be chosen.
"Read" is characters trained on; seconds are those of training, validation included.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import known_texts
import numpy as np

import charloom
from charloom import AdaptationSettings, InMemory, Score, TrainingSettings
from charloom.engines.base import StepSettings
from charloom.engines.selection import open_engine
from charloom.model.adaptation import side_by_side
from charloom.model.bases import find
from charloom.text.batches import NOT_COUNTED
from charloom.training.defaults import multiplied_weights

SAMPLES = 10_000
"""Molecules that are generated, to be counted."""


@dataclass(frozen=True)
class Done:
    """A finished run, the characters that it was trained on, and its seconds."""

    run: charloom.Run
    read: int
    seconds: float

    @property
    def best(self) -> Score:
        """Its best validation."""
        assert self.run.best is not None
        return self.run.best


def run_of(sources, options: argparse.Namespace, seed: int, **more) -> Done:
    """A run with the defaults, but for what was asked for."""
    training = {"seed": seed, "threads": options.threads} | more.pop("training", {})
    for name in ("minutes", "steps"):
        if getattr(options, name):
            training[name] = getattr(options, name)
    if options.units:
        more["model"] = charloom.ModelSettings(hidden_size=options.units, num_layers=2)
    start = time.perf_counter()
    run = charloom.train(sources, training=TrainingSettings(**training), **more)
    read = sum(progress.characters for progress in run)
    return Done(run, read, time.perf_counter() - start)


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def told(done: Done, split: str) -> list[str]:
    """The cells that every row begins with."""
    run, plan = done.run, done.run.plan
    return [
        f"{plan.model.num_layers} x {plan.model.hidden_size}",
        f"{run.parameters:,}",
        str(plan.training.seed),
        f"{run.best_step:,} of {run.steps:,}",
        f"{done.read / 1e6:.2f} M",
        f"{done.seconds:.0f}",
        split,
    ]


HEAD = ("network", "weights", "seed", "best step", "read", "seconds", "split")


def head(*names: str) -> None:
    row(*HEAD, *names)
    row(*["---"] * (len(HEAD) + len(names)))


def names(options: argparse.Namespace) -> None:
    """Held out are the items that a hash of each picks, a tenth of the different ones."""
    head("bits per character", "nats")
    for seed in options.seeds:
        done = run_of(options.text, options, seed)
        split = f"lines by hash, {done.best.characters:,} characters held out"
        nats = f"{done.best.nats_per_character:.4f}"
        row(*told(done, split), f"{done.best.bits_per_character:.4f}", nats)


def characters(options: argparse.Namespace) -> None:
    """13,000 lines of a character and its name; the last tenth is held out."""
    head("characters known", "bits per character", "characters/s of training")
    text = known_texts.characters()
    training = {"batches": "streams"} | ({} if options.steps else {"epochs": options.epochs})
    for seed in options.seeds:
        done = run_of(InMemory(text), options, seed, training=training)
        row(
            *told(done, f"last tenth, {done.best.characters:,} characters"),
            done.run.plan.vocabulary.size,
            f"{done.best.bits_per_character:.4f}",
            f"{done.read / done.seconds:,.0f}",
        )


def enwik8(options: argparse.Namespace) -> None:
    """90, 5 and 5 million bytes; the vocabulary is of bytes, and the test set is read once.

    A validation reads the first tenth of its part, since all of it would cost a short run as much
    as its training does.
    """
    head("validation, bits per byte", "test, bits per byte")
    training, validation, test = known_texts.enwik8(options.share)
    validation = validation[: len(validation) // 10]
    for seed in options.seeds:
        done = run_of(
            InMemory(training),
            options,
            seed,
            validation=InMemory(validation),
            text=charloom.TextSettings(vocabulary="bytes"),
        )
        score = done.run.best_model().evaluate(InMemory(test))
        split = f"enwik8 90/5/5, share {options.share:g} of each"
        bits = (f"{done.best.bits_per_byte:.4f}", f"{score.bits_per_byte:.4f}")
        row(*told(done, split), *bits)


def smiles(options: argparse.Namespace) -> None:
    """Trained on MOSES's training set, line by line; 10,000 molecules are generated.

    As in MOSES's own measure, a canonical molecule is novel if it is not a line of that set. That
    asks for lines which are canonical to this RDKit as well: the share of 10,000 is told.
    """
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")

    def canonical(text: str) -> str | None:
        molecule = Chem.MolFromSmiles(text) if text else None
        return None if molecule is None else Chem.MolToSmiles(molecule)

    lines = known_texts.smiles()
    lines = lines[: int(len(lines) * options.share)]
    known = set(lines)
    same = sum(canonical(line) == line for line in lines[:SAMPLES])
    print(f"{same:,} of {len(lines[:SAMPLES]):,} lines are canonical", flush=True)
    head("bits per character", "temperature", "generated", "valid", "unique", "novel")
    for seed in options.seeds:
        done = run_of(InMemory("\n".join(lines) + "\n"), options, seed)
        model = done.run.best_model()
        for temperature in options.temperatures:
            made = model.generate_many(
                count=options.samples, length=200, temperature=temperature, seed=seed
            )
            valid = [one for one in map(canonical, made) if one]
            unique = set(valid)
            row(
                *told(done, f"lines by hash, {len(lines):,} molecules"),
                f"{done.best.bits_per_character:.4f}",
                temperature,
                f"{len(made):,}",
                f"{len(valid) / len(made):.4f}",
                f"{len(unique) / max(len(valid), 1):.4f}",
                f"{len(unique - known) / max(len(unique), 1):.4f}",
            )


def adapt(options: argparse.Namespace) -> None:
    """The last tenth, static and adapted; then by tenths of it, and what names have of it."""
    text = "".join(charloom.read(options.text, charloom.TextSettings()))
    cut = int(len(text) * 0.9)
    if options.model:
        model = charloom.Model.load(options.model, threads=options.threads)
    else:
        model = run_of(options.text, options, options.seeds[0]).run.best_model()
    held_out, settings = text[cut:], AdaptationSettings()
    row("network", "characters", "static bits", "adapted bits", "adapted less static", "chars/s")
    row(*["---"] * 6)
    static = model.evaluate(InMemory(held_out), exact=True)
    start = time.perf_counter()
    adapted = model.evaluate(InMemory(held_out), adapt=settings)
    speed = adapted.characters / (time.perf_counter() - start)
    gain = adapted.bits_per_character - static.bits_per_character
    bits = (f"{static.bits_per_character:.4f}", f"{adapted.bits_per_character:.4f}")
    row(model, f"{adapted.characters:,}", *bits, f"{gain:+.4f}", f"{speed:,.0f}")

    before = np.array([part.nats for part in model.score(InMemory(held_out))])
    gains = (before - adapted_by_character(model, held_out, settings)) / math.log(2)
    speakers, capitals = name_masks(held_out, text[:cut])
    rest = ~(speakers | capitals)
    print("\nBits saved by adapting, for each character of the whole (the three columns add up)\n")
    row("tenth", "all", "speakers' lines", "other names", "all else")
    row(*["---"] * 5)
    for tenth, places in enumerate(np.array_split(np.arange(len(held_out)), 10)):
        parts = [gains[places][mask[places]].sum() for mask in (speakers, capitals, rest)]
        row(tenth + 1, *(f"{part / len(places):.3f}" for part in (sum(parts), *parts)))
    parts = [gains[mask].sum() / len(gains) for mask in (speakers, capitals, rest)]
    row("whole", *(f"{part:.3f}" for part in (sum(parts), *parts)))


def adapted_by_character(
    model: charloom.Model, text: str, settings: AdaptationSettings
) -> np.ndarray:
    """(N,) nats of each character, by the loop of charloom.model.adaptation; one window."""
    engine = open_engine(model.settings, model.vocabulary.size, dict(model.weights))
    ids = np.append(model.vocabulary.encode(text).astype(np.int32), 0)  # a target that is dropped
    places = side_by_side(np.arange(len(ids) - 1), settings.streams)
    step = StepSettings(learning_rate=settings.learning_rate, beta1=0.0, beta2=0.999)
    nats, state = np.zeros(len(ids)), engine.zero_state(places.shape[1])
    nats[places[0]] = math.log(model.vocabulary.size)
    for start in range(0, len(places), settings.sequence_length):
        read = places[max(start - 1, 0) : start + settings.sequence_length]
        inputs, at = ids[read[:-1]], read[1:]
        targets = np.where(at == NOT_COUNTED, NOT_COUNTED, ids[at])
        if at.size:
            nats[at] = engine.surprisal(inputs, targets, state).nats
            state = engine.train_step(inputs, targets, state, step).state
    return nats[:-1]


def name_masks(text: str, known: str) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool: what stands in a line that names a speaker ("ROMEO:"), and in another rare name.

    That is a word with a capital that the training text has less than once in 100,000 characters.
    """
    speakers, capitals = np.zeros(len(text), bool), np.zeros(len(text), bool)
    at = 0
    for line in text.splitlines(keepends=True):
        if line.rstrip("\n").endswith(":"):
            speakers[at : at + len(line)] = True
        else:
            place = at
            for word in line.split(" "):
                bare = word.strip(".,;:!?'\"-\n")
                rare = known.count(bare) < len(known) / 100_000 if bare else False
                if bare[:1].isupper() and rare:
                    capitals[place : place + len(word)] = True
                place += len(word) + 1
        at += len(line)
    return speakers, capitals


def base(options: argparse.Namespace) -> None:
    """From the English base and from nothing, on stretches of a text of several lengths.

    Seed n takes the n-th stretch, so that the spread is also that of the text. The last tenth of
    each is held out. Operations are those of the products, 6 P a character trained on.
    """
    text = "".join(charloom.read(options.text, charloom.TextSettings()))
    english = charloom.Model.load(find("english"), threads=options.threads)
    head("from", "the base as it is", "TFLOP", "bits per character held out")
    for size in options.characters:
        differences = []
        for seed in options.seeds:
            stretch = text[seed * size : (seed + 1) * size]
            if len(stretch) < size:
                continue
            before = english.evaluate(InMemory(stretch[:16_384])).bits_per_character
            bits = []
            for start_from in ("english", None):
                training = {"batches": options.batches}
                done = run_of(
                    InMemory(stretch), options, seed, training=training, start_from=start_from
                )
                plan = done.run.plan
                shape = (plan.model, plan.vocabulary.size, plan.training.members)
                bits.append(done.best.bits_per_character)
                work = 6e-12 * multiplied_weights(*shape) * done.read
                cells = told(done, f"last tenth of {size:,} characters")
                numbers = (f"{before:.2f}", f"{work:.2f}", f"{bits[-1]:.4f}")
                row(*cells, start_from or "nothing", *numbers)
            differences.append(bits[0] - bits[1])
        if len(differences) > 1:
            error = np.std(differences, ddof=1) / len(differences) ** 0.5
            mean = f"{np.mean(differences):+.4f} (standard error {error:.4f})"
            print(f"{size:,} characters, english less nothing: {mean}", flush=True)


PROGRAMS = (adapt, names, enwik8, smiles, characters, base)
NEED_TEXT = (adapt, names, base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", choices=[program.__name__ for program in PROGRAMS])
    parser.add_argument("--text", type=Path, help="for adapt, names and base")
    parser.add_argument("--model", type=Path, help="for adapt; by default one is trained")
    parser.add_argument("--minutes", type=float, help="by default what fits the text")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--units", type=int, help="of each of two layers")
    parser.add_argument("--threads", type=int, default=0, help="by default every core")
    parser.add_argument("--epochs", type=float, default=2.0, help="for characters")
    parser.add_argument("--share", type=float, default=1.0, help="of enwik8 and of SMILES")
    parser.add_argument("--characters", type=int, nargs="+", default=[20_000], help="for base")
    parser.add_argument("--batches", default="auto", help="for base")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of molecules")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0], help="of these")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    program = next(one for one in PROGRAMS if one.__name__ == options.program)
    if program in NEED_TEXT and not options.text:
        parser.error(f"{options.program} needs --text")
    program(options)


if __name__ == "__main__":
    main()
