"""How well odd lines are found, beside an n-gram model and an isolation forest; and how fast.

    python benchmarks/odd.py logs       50,000 lines of two logs, with planted faults
    python benchmarks/odd.py words      gibberish among words and names of four languages
    python benchmarks/odd.py alarms     false alarms on fresh lines, many small models
    python benchmarks/odd.py rate       characters/s beside `evaluate`, in turns

Prints Markdown tables: of each way to find them and threshold, the share of false alarms,
precision and recall; the area under precision by recall (average precision); and the recall of
each kind. Needs the extra `benchmarks`. All ways are trained on the same lines and calibrated by
the same ones, which are those that `train` holds out: a fifth.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import odd_texts
from odd_rivals import Isolation, Ngrams

import charloom
from charloom import InMemory, ModelSettings, TextSettings, TrainingSettings
from charloom.text.corpus import build_corpus
from charloom.text.splitting import split

THRESHOLDS = (0.001, 0.01, 0.05)
EACH = {"system log": 32, "access log": 26}
"""Faults of each kind among 25,000 lines of a log: about one line in 100."""


HELD_OUT = TextSettings(validation_fraction=0.2)


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(*cells: object) -> None:
    print()
    row(*cells)
    row(*["---"] * len(cells))


def parts_of(lines: list[str]) -> tuple[list[str], list[str]]:
    """What `train` learns from, and what it holds out."""
    settings = HELD_OUT
    corpus = build_corpus(InMemory("\n".join(lines) + "\n"), settings)
    parts = split(corpus, settings, lines=True)
    texts = (corpus.vocabulary.decode(part.ids) for part in (parts.training, parts.validation))
    training, held_out = ([line for line in text.split("\n") if line] for text in texts)
    return training, held_out


def model_of(lines: list[str], epochs: float, layers: int) -> charloom.Model:
    run = charloom.train(
        InMemory("\n".join(lines) + "\n"),
        model=ModelSettings(hidden_size=128, num_layers=layers),
        training=TrainingSettings(epochs=epochs, batches="lines"),
        text=HELD_OUT,
        start_from=None,
    )
    model = run.finish()
    print(f"\n{model}, {run.step:,} steps, {run.best.bits_per_character:.3f} bits held out")
    return model


def ways(
    lines: list[str], tested: list[str], *, epochs: float, layers: int, order: int
) -> dict[str, np.ndarray]:
    """The p-values of the tested lines, by each way."""
    training, held_out = parts_of(lines)
    found: dict[str, np.ndarray] = {}
    model = model_of(lines, epochs, layers)
    parts = model.odd("\n".join(tested) + "\n", threshold=1.0)
    found["charloom"] = np.array([part.p for part in parts])
    found[f"{order}-grams"] = Ngrams(training, order).p_values(held_out, tested)
    found["isolation forest"] = Isolation(training).p_values(held_out, tested)
    assert all(len(p) == len(tested) for p in found.values())
    return found


def report(found: dict[str, np.ndarray], kinds: list[str]) -> None:
    from sklearn.metrics import average_precision_score

    odd = np.array([bool(kind) for kind in kinds])
    print(f"\n{len(kinds):,} lines, of which {odd.sum():,} are odd.")
    head("", "threshold", "false alarms", "precision", "recall", "average precision")
    for name, p in found.items():
        average = f"{average_precision_score(odd, -p):.3f}"
        for threshold in THRESHOLDS:
            alarm = p <= threshold
            right = (alarm & odd).sum()
            row(
                name,
                threshold,
                f"{100 * alarm[~odd].mean():.3f} %",
                f"{right / max(alarm.sum(), 1):.3f}",
                f"{right / odd.sum():.3f}",
                average,
            )
            average = ""
    head("recall at 0.01", "lines", *found)
    for kind in sorted({kind for kind in kinds if kind}):
        mine = np.array([one == kind for one in kinds])
        row(
            kind.replace("_", " "),
            mine.sum(),
            *(f"{(p[mine] <= 0.01).mean():.2f}" for p in found.values()),
        )


def logs(options: argparse.Namespace) -> None:
    for kind in odd_texts.LOGS:
        print(f"\n### {kind}")
        lines = odd_texts.usual(kind, options.lines, options.seed)
        tested, kinds = odd_texts.planted(kind, 25_000, EACH[kind], options.seed)
        report(ways(lines, tested, epochs=options.epochs, layers=1, order=6), kinds)


def words(options: argparse.Namespace) -> None:
    for language in odd_texts.LANGUAGES:
        print(f"\n### {language}")
        known = odd_texts.words(language, options.words)
        fresh, known = known[: len(known) // 5], known[len(known) // 5 :]
        items, kinds = odd_texts.gibberish(known, fresh, len(fresh) // 20, options.seed)
        report(ways(known, items, epochs=4 * options.epochs, layers=1, order=4), kinds)


def alarms(options: argparse.Namespace) -> None:
    """The share of false alarms of models that differ in their lines and seeds.

    Each is calibrated by the lines that were held out in its training, and by as many fresh ones;
    both are tested with the same 10,000 others.
    """
    print(f"{options.seeds} models, 6,000 lines each; in percent, and its standard error")
    shares: dict[tuple[str, float], list[float]] = {}
    expected: dict[tuple[str, float], list[float]] = {}
    for seed in range(options.seeds):
        lines = odd_texts.usual("system log", 6_000, options.seed + seed)
        run = charloom.train(
            InMemory("\n".join(lines) + "\n"),
            model=ModelSettings(hidden_size=64, num_layers=1),
            training=TrainingSettings(epochs=2.0, batches="lines", seed=seed),
            text=HELD_OUT,
            start_from=None,
        )
        model = run.finish()
        held_out = model.provenance.calibration
        assert held_out is not None
        fresh = odd_texts.planted(
            "system log", 10_000 + 2 * held_out.parts, 0, options.seed + seed
        )[0]
        others = model.calibrated("\n".join(fresh[10_000:]) + "\n")
        for name, calibration in (("held out", held_out), ("fresh", others)):
            parts = model.odd(
                "\n".join(fresh[:10_000]) + "\n", threshold=1.0, calibration=calibration
            )
            p = np.array([part.p for part in parts])
            for threshold in (0.002, 0.01, 0.05):
                exact = int(threshold * (calibration.parts + 1)) / (calibration.parts + 1)
                shares.setdefault((name, threshold), []).append((p <= threshold).mean())
                expected.setdefault((name, threshold), []).append(exact)
    head("calibrated by", "threshold", "false alarms", "expected", "spread (standard deviation)")
    for (name, threshold), found in shares.items():
        exact = statistics.mean(expected[name, threshold])
        spread = statistics.stdev(found)
        row(
            name,
            threshold,
            f"{100 * statistics.mean(found):.3f} ({100 * spread / len(found) ** 0.5:.3f})",
            f"{100 * exact:.3f}",
            f"{100 * spread:.3f}",
        )


def rate(options: argparse.Namespace) -> None:
    """2 x 128, lines and a stream: processor time of `odd` and of `evaluate`, in turns."""
    text = "\n".join(odd_texts.usual("system log", options.lines, 0)) + "\n"
    head("", "evaluate, characters/s of processor time", "odd", "ratio, median of turns")
    for batches in ("lines", "streams"):
        run = charloom.train(
            InMemory(text),
            model=ModelSettings(hidden_size=128, num_layers=2),
            training=TrainingSettings(steps=20, batches=batches),
            start_from=None,
        )
        model = run.finish()
        usual = model.calibrated(text[: len(text) // 2])

        def evaluated(model: charloom.Model = model) -> None:
            model.evaluate(InMemory(text))

        def searched(model: charloom.Model = model, usual: charloom.Calibration = usual) -> None:
            list(model.odd(InMemory(text), threshold=0.01, calibration=usual))

        turns = [(seconds(evaluated), seconds(searched)) for _ in range(options.turns)]
        a, b = (len(text) / statistics.median(column) for column in zip(*turns, strict=True))
        ratio = statistics.median(first / second for first, second in turns)
        row(batches, f"{a:,.0f}", f"{b:,.0f}", f"{ratio:.3f}")


def seconds(work) -> float:
    """Of all threads, so that other programs do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    programs = {program.__name__: program for program in (logs, words, alarms, rate)}
    parser.add_argument("program", choices=list(programs))
    parser.add_argument("--epochs", type=float, default=4.0, help="of training; of words 4 times")
    parser.add_argument("--lines", type=int, default=12_000, help="of a log, to train on")
    parser.add_argument("--words", type=int, default=20_000, help="of a language, at most")
    parser.add_argument("--turns", type=int, default=7, help="of rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=40, help="of alarms")
    options = parser.parse_args()
    programs[options.program](options)


if __name__ == "__main__":
    main()
