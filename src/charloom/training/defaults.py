"""What is chosen where nothing was given: size, steps, rate and dropout that fit text and time.

Every formula was fitted to 2,185 networks on texts of 5 KB to 4.4 MB (prose, verse, names,
molecules, log lines, source code, tunes, Chinese); docs/measurements.md, "Defaults", has the
numbers and what was not measured. With N training characters, V of them distinct, M networks
side by side with H units in each of L layers and S steps, that is E passes over the text:

    weights        P = 4 H^2 (2 L - 1) + H V       those that are multiplied
    work           6 M P N E operations, at most BUDGET, or what fits into the minutes given
    members        M = 2 up to 1.6 million characters, of at least 256 units each; else 1
    layers         L = 2; 1 below 50,000 characters
    passes         E = 2 (10^6 / N)^0.55, whole ones; 12 below 50,000 characters; above 5 million
                   as much of one pass as makes 20 characters for each weight, if that is more
    units          H as large as the work allows, at most 512 (N / 170,000)^(1/3); 512 in one layer;
                   of each member, which have 896 together at most
    batch          the largest of 32, 16 and 8 streams that leaves 800 steps
    learning rate  0.0146 (256 / H)^(3/4) (2 / L)^(1/2) (1000 / S)^(2/5), at most 0.05
    dropout        d = 0.20 ln E + 0.08 ln(P / N) - 0.17, plus 0.15 in one layer; in more it
                   rises from d / 2 at the first step to 3 d / 2 at the last

What is given stands, and the rest follows from it. Cells other than the LSTM keep Adam's usual
rate, since none of this was measured with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..engines.cell import CELLS
from ..engines.members import share_of
from ..engines.selection import chosen_engine
from ..errors import counted
from ..settings import ModelSettings, TrainingSettings

BUDGET = 42e12
"""Floating-point operations of a run without any limit: about 100 seconds of two cores of a
Zen 4 in bfloat16, which is no promise for another machine."""

SHORT_TEXT = 50_000
"""Characters below which one layer is enough."""

LARGE_TEXT, READ_FOR_A_WEIGHT = 5_000_000, 20
"""From so many characters on, a network reads new text only: the smaller one that reads more of it
is the better one (docs/measurements.md, "Large texts")."""

MEMBER_UNITS, MEMBERS_UNITS = 256, 896
"""Units of a member at least, and of all of them at most: where there is less time, one network is
better, and the weights of more would be a file of more than 40 MB."""

TEXT_FOR_MEMBERS = 1_600_000
"""Characters at most: a longer text is hardly read twice, and one network learns more of it."""

PATIENCE = 3
"""Validations without a better one after which a run ends: of 1,100 runs 1 in 90 would have
become more than half a percent better after that."""

ENOUGH_PASSES = 1.5
"""Of the usual number of passes, at most so many are made where there is time for more; of a large
text at least one whole pass is."""

TUNED_PASSES, TUNED_RATE, TUNED_DROPOUT = 4.0, 0.003, 0.2
"""Of a run that starts from another model."""

_VALIDATING = 0.1  # of the time that is given


@dataclass(frozen=True, kw_only=True)
class TextShape:
    """What the choice asks of a text."""

    characters: int
    """To train on."""
    held_out: int
    vocabulary_size: int
    line_length: float | None = None
    """Mean characters of a line, its line feed included, where lines are trained on."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Settings of which every field has its value, and the choice in a line."""

    model: ModelSettings
    training: TrainingSettings
    steps: int | None
    """Planned; None where epochs are given, which the batches turn into steps."""
    most_steps: int | None
    """Of a run of so many minutes: more would not help."""
    summary: str


def choose(
    model: ModelSettings,
    training: TrainingSettings,
    text: TextShape,
    speed: Callable[[ModelSettings, TrainingSettings], float] | None = None,
    *,
    tuned: bool = False,
) -> Chosen:
    """The settings with every field that was not given chosen to fit the text.

    `speed` measures operations a second, and is asked only where minutes are given. `tuned` is
    a network that starts from another model, whose shape is given.

    >>> text = TextShape(characters=1_003_854, held_out=111_540, vocabulary_size=66)
    >>> choose(ModelSettings(), TrainingSettings(), text).summary  # doctest: +NORMALIZE_WHITESPACE
    '2 networks side by side, together 2 layers of 640 units, 980 steps (2.0 passes), learning rate
    0.013, dropout 0'
    >>> text = TextShape(characters=18_000, held_out=2_000, vocabulary_size=60)
    >>> choose(ModelSettings(), TrainingSettings(), text).summary  # doctest: +NORMALIZE_WHITESPACE
    '2 networks side by side, together 1 layer of 896 units, 422 steps (12.0 passes), learning rate
    0.019, dropout 0.78'
    """
    N, V = max(text.characters, 2), text.vocabulary_size
    L = model.num_layers
    if "num_layers" not in model.model_fields_set:
        L = 2 if N >= SHORT_TEXT else 1
    budget, M = BUDGET, 1 if tuned else _most_members(model, training, N)
    if training.minutes is not None and speed is not None:
        shape = model.replace(num_layers=L, hidden_size=_units(model, N, V, L, M, math.inf))
        budget = 60 * training.minutes * speed(shape, training) * (1 - _VALIDATING)
    H = _units(model, N, V, L, M, budget / M)
    if "members" not in training.model_fields_set and H < MEMBER_UNITS:
        M, H = 1, _units(model, N, V, L, 1, budget)
    budget /= M
    P = _weights(H, V, L)
    usual = TUNED_PASSES if tuned else _passes(N, P)
    affordable = budget / (6 * P * N)
    enough = max(ENOUGH_PASSES * usual, 1.0 if N >= LARGE_TEXT else 0.0)  # what is new still helps
    E = min(usual if training.minutes is None else enough, affordable)

    batch_size = 8 if tuned else _batch_size(training, text, usual * N)
    characters = batch_size * (text.line_length or training.sequence_length)
    if training.batches == "windows":
        characters = batch_size
    S = max(round(E * N / characters), 1)
    if training.steps is not None:
        S = training.steps
    elif training.epochs is not None:
        S = max(round(training.epochs * N / characters), 1)
    E = S * characters / N

    dropout, final = _dropout(training, E, P / N, L)
    rate = _rate(model, H, L, S)
    if tuned:
        rate = TUNED_RATE
        if "dropout" not in training.model_fields_set:
            dropout, final = TUNED_DROPOUT, TUNED_DROPOUT
    found = {
        "members": M,
        "batch_size": batch_size,
        "learning_rate": rate,
        "warmup_steps": min(50, S // 10),
        "dropout": dropout,
        "final_dropout": final,
        "patience": _patience(training, text),
    }
    found |= {name: getattr(training, name) for name in found if name in training.model_fields_set}
    chosen = TrainingSettings(**{**training.model_dump(), **found})
    shape = ModelSettings(**{**model.model_dump(), "num_layers": L, "hidden_size": M * H})
    return Chosen(
        model=shape,
        training=chosen,
        steps=None if training.epochs is not None else S,
        most_steps=S if training.minutes is None else round(enough * N / characters),
        summary=_summary(shape, chosen, S, E),
    )


def multiplied_weights(model: ModelSettings, vocabulary_size: int, members: int = 1) -> int:
    """M P: weights that are multiplied for each character that is trained on."""
    share = model.hidden_size // members
    return members * _weights(share, vocabulary_size, model.num_layers)


def _most_members(model: ModelSettings, training: TrainingSettings, N: int) -> int:
    """M as given, or 2 where the network is left to us and the text is read more than once."""
    if "members" in training.model_fields_set:
        if "hidden_size" in model.model_fields_set:
            share_of(model, training.members)  # refuse what they cannot share
        return training.members
    described = "hidden_size" in model.model_fields_set or bool(model.embedding_size)
    described |= not CELLS[model.cell].has_scaled_values
    described |= training.batches == "windows" or training.first_values == "keras"
    native = chosen_engine(training.engine, training.device) == "native"
    return 2 if native and not described and N <= TEXT_FOR_MEMBERS else 1


def _weights(H: int, V: int, L: int) -> int:
    return 4 * H * H * (2 * L - 1) + H * V


def _passes(N: int, P: int) -> float:
    """E, of a network with so many weights, where there is time for it."""
    if N < SHORT_TEXT:
        return 12.0
    usual = 2 * (1e6 / N) ** 0.55
    if N >= LARGE_TEXT:
        return max(usual, min(READ_FOR_A_WEIGHT * P / N, 1.0))
    return float(round(usual)) if usual >= 1.5 else usual


def _units(model: ModelSettings, N: int, V: int, L: int, M: int, budget: float) -> int:
    """H of each of M members: a share of what was given, or the most that text and budget allow."""
    if "hidden_size" in model.model_fields_set:
        return max(model.hidden_size // M, 1)
    most = 512 if L == 1 and N < SHORT_TEXT else min(512 * (N / 170_000) ** (1 / 3), 1024)
    most = min(most, MEMBERS_UNITS / M) if M > 1 else most
    for H in range(int(most) // 64 * 64, 128, -64):
        P = _weights(H, V, L)
        if 6 * P * N * _passes(N, P) <= budget:
            return H
    return 128


def _batch_size(training: TrainingSettings, text: TextShape, work: float) -> int:
    """Streams, or as many lines as hold about as many characters."""
    if "batch_size" in training.model_fields_set:
        return training.batch_size
    T = training.sequence_length
    streams = next((B for B in (32, 16) if work / (B * T) >= 800), 8)
    if training.batches == "windows":
        return 32
    if text.line_length is None:
        return streams
    return min(max(round(streams * T / text.line_length), 8), 512)


def _rate(model: ModelSettings, H: int, L: int, S: int) -> float:
    if not CELLS[model.cell].has_scaled_values:  # not measured with these
        return TrainingSettings.model_fields["learning_rate"].default
    rate = 0.0146 * (256 / H) ** 0.75 * (2 / L) ** 0.5 * (1000 / S) ** 0.4
    return float(f"{min(rate, 0.05):.3g}")


def _dropout(training: TrainingSettings, E: float, ratio: float, L: int) -> tuple[float, float]:
    """At the first step and at the last."""
    if "dropout" in training.model_fields_set:
        return training.dropout, training.dropout
    d = 0.20 * math.log(E) + 0.08 * math.log(ratio) - 0.17 + 0.15 * (L == 1)
    d = min(max(d, 0.0), 0.7 + 0.1 * (L == 1))
    if d < 0.05:
        return 0.0, 0.0
    first, last = (d, d) if L == 1 else (d / 2, min(1.5 * d, 0.75))
    return round(first, 2), round(last, 2)


def _patience(training: TrainingSettings, text: TextShape) -> int:
    """None where validations were asked for at steps of their own, or nothing is held out."""
    given = "validate_every" in training.model_fields_set
    return 0 if given or text.held_out < 2 else PATIENCE


def _summary(model: ModelSettings, training: TrainingSettings, S: int, E: float) -> str:
    layers = counted(model.num_layers, "layer")
    if training.members > 1:
        layers = f"{counted(training.members, 'network')} side by side, together {layers}"
    dropout = f"{training.dropout:g}"
    if training.final_dropout not in (None, training.dropout):
        dropout += f" to {training.final_dropout:g}"
    return (
        f"{layers} of {counted(model.hidden_size, 'unit')}, {counted(S, 'step')} ({E:.1f} passes), "
        f"learning rate {training.learning_rate:.2g}, dropout {dropout}"
    )
