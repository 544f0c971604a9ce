"""Why an LSTM and not an RNN: an experiment on recalling one letter over growing distances.

    !k qzvmhaeo...wt ?k        (without the spaces)

The letter after "!" is the answer after "?", however many letters stand between; each
letter is any of 26, so only the one after "!" is worth keeping. Networks are trained as
language models are, every character counting, on texts in which the two are 1 to `distance`
letters apart, short ones as often as long ones (log-uniform). Then each is tested at growing
distances, up to twice the longest of training.

Three networks take part, with the same steps and texts, each with the better of the same
two learning rates: an LSTM, an RNN with as many units, and an RNN with as many weights. Each
is trained from several seeds, for what is learned by then depends on the first weights, an
RNN's far more than an LSTM's: the mean is shown, and the lowest and the highest.

What is measured is what gets learned in that many steps. It is no limit on what an RNN can
hold: with several times the steps, or taught the answer alone from short distances to long
ones, it learns this too. What it lacks is not room, but a gradient that reaches back.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engines.base import Engine, StepSettings
from ...engines.selection import open_engine
from ...engines.weights import Array, initial_weights, parameter_count
from ...errors import counted, short_repr
from ...settings import ModelSettings
from ...text.vocabulary import Vocabulary
from ..settings import RecallSettings

LETTERS = string.ascii_lowercase
VOCABULARY = Vocabulary.of(LETTERS + "!?")
CHANCE = 1 / len(LETTERS)
LEARNING_RATES = (0.01, 0.005)

_BATCH = 32
_TESTED = 512  # texts at each distance


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How well one network has learned to recall in so many steps, from several seeds.

    `print` shows it as bars.
    """

    __repr__ = short_repr

    name: str
    cell: str
    hidden_size: int
    weights: int
    steps: int
    learning_rate: float
    precision: str
    kernels: str
    seeds: list[int]
    distances: list[int]
    by_seed: list[list[float]]
    """By seed and distance, the share of texts whose answer it found likeliest."""
    correct: list[float]
    """The mean over the seeds, at each distance."""
    lowest: list[float]
    highest: list[float]

    def __str__(self) -> str:
        return "\n".join(table(self))


def recall(
    *, threads: int = 0, rates: tuple[float, ...] = LEARNING_RATES, **settings: Any
) -> Iterator[Recall]:
    """Train the networks, one after the other, and yield how well each recalls.

    `settings` are those of RecallSettings; SettingsError for an unknown one.

    >>> networks = recall(hidden_size=4, distance=2, steps=2)
    >>> [(network.cell, network.distances) for network in networks]
    [('lstm', [1, 2, 4]), ('rnn', [1, 2, 4]), ('rnn', [1, 2, 4])]
    """
    chosen = RecallSettings(**settings)
    H = chosen.hidden_size
    for name, cell, size in (
        ("LSTM", "lstm", H),
        ("RNN, as many units", "rnn", H),
        ("RNN, as many weights", "rnn", _size_of_rnn(H)),
    ):
        shape = ModelSettings(cell=cell, hidden_size=size, num_layers=1)  # type: ignore
        seeds = list(range(chosen.seed, chosen.seed + chosen.seeds))
        runs = [[_train(shape, chosen, seed, rate, threads) for seed in seeds] for rate in rates]
        # the same texts for all networks; neither those of training nor those of the test
        nats = [
            sum(_nats(engine, chosen, seed) for engine, seed in zip(engines, seeds, strict=True))
            for engines in runs
        ]
        best = int(np.argmin(nats))
        shares = [
            [_correct(engine, n, seed) for n in chosen.distances]
            for engine, seed in zip(runs[best], seeds, strict=True)
        ]
        yield Recall(
            name=name,
            cell=cell,
            hidden_size=size,
            weights=_count(cell, size),
            steps=chosen.steps,
            learning_rate=rates[best],
            precision=runs[best][0].precision,
            kernels=runs[best][0].kernels,
            seeds=seeds,
            distances=chosen.distances,
            by_seed=shares,
            correct=np.mean(shares, axis=0).tolist(),
            lowest=np.min(shares, axis=0).tolist(),
            highest=np.max(shares, axis=0).tolist(),
        )


def texts(random: np.random.Generator, distance: int, count: int) -> Array:
    """(distance + 4, count) int32 ids, a text in each column.

    >>> ids = texts(np.random.default_rng(0), 3, 1)[:, 0]
    >>> VOCABULARY.decode(ids)
    '!qnhi?q'
    """
    first = VOCABULARY.mapping["a"]
    ids = first + random.integers(0, len(LETTERS), (distance + 4, count), dtype=np.int32)
    ids[0], ids[-2], ids[-1] = VOCABULARY.mapping["!"], VOCABULARY.mapping["?"], ids[1]
    return ids


def _train(
    shape: ModelSettings, settings: RecallSettings, seed: int, rate: float, threads: int
) -> Engine:
    weights = initial_weights(shape, VOCABULARY.size, seed, first_values="keras")
    engine = open_engine(shape, VOCABULARY.size, weights, precision="float32", threads=threads)
    random = np.random.default_rng([seed, 0])
    zero = engine.zero_state(_BATCH)
    for step in range(settings.steps):
        ids = texts(random, _distance(random, settings), _BATCH)
        left = min(1.0, 2 * (1 - step / settings.steps))  # falls during the second half
        how = StepSettings(learning_rate=rate * left, clip_norm=1.0)
        engine.train_step(ids[:-1], ids[1:], zero, how)
    return engine


def _distance(random: np.random.Generator, settings: RecallSettings) -> int:
    return int(math.exp(random.uniform(0, math.log(settings.distance + 1))))


def _nats(engine: Engine, settings: RecallSettings, seed: int) -> float:
    """The surprisal of the answers, in nats, on texts like those of training."""
    random = np.random.default_rng([seed, 1])
    nats = 0.0
    for _ in range(16):
        ids = texts(random, _distance(random, settings), _BATCH)
        found = engine.surprisal(ids[:-1], ids[1:], engine.zero_state(_BATCH))
        nats += float(found.nats[-1].sum(dtype=np.float64))
    return nats if math.isfinite(nats) else math.inf


def _correct(engine: Engine, distance: int, seed: int) -> float:
    ids = texts(np.random.default_rng([seed, 2, distance]), distance, _TESTED)
    found = engine.surprisal(ids[:-1], ids[1:], engine.zero_state(_TESTED))
    return float((found.ranks[-1] == 1).mean())


def _size_of_rnn(hidden_size: int) -> int:
    """Units of the RNN whose number of weights is nearest to that of an LSTM."""
    wanted = _count("lstm", hidden_size)
    return min(range(1, 4 * hidden_size + 1), key=lambda size: abs(_count("rnn", size) - wanted))


def _count(cell: str, H: int) -> int:
    shape = ModelSettings(cell=cell, hidden_size=H, num_layers=1)  # type: ignore
    return parameter_count(shape, VOCABULARY.size)


def table(found: Recall, width: int = 40) -> Iterator[str]:
    """The lines of a network's recall by distance, with bars of at most `width` columns."""
    seeds = len(found.seeds)
    yield (
        f"{found.name}: {counted(found.hidden_size, 'unit')}, {counted(found.weights, 'weight')}; "
        f"learned in {counted(found.steps, 'step')}"
    )
    yield (
        f"  (learning rate {found.learning_rate:g}; {found.precision}, {found.kernels}; "
        + (f"mean of {counted(seeds, 'seed')}, lowest to highest)" if seeds > 1 else "one seed)")
    )
    rows = zip(found.distances, found.correct, found.lowest, found.highest, strict=True)
    for distance, correct, low, high in rows:
        bar = "█" * round(correct * width)
        spread = f"  {low:4.0%} to {high:4.0%}" if seeds > 1 else ""
        yield f"  {distance:5}  {bar:<{width}} {correct:4.0%}{spread}"
