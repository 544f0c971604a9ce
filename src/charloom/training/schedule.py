"""The schedule of a run: how many steps, at which learning rate, and when it validates.

All are functions of settings and counts. No clock is read here: of a run of so many minutes
the speed is given, and the plan that comes of it is stored with the run.
"""

from __future__ import annotations

import math

from ..settings import TrainingSettings

UNPLANNED_STEPS = 10**12
"""Steps of a run of so many minutes until its speed is known, at the first checkpoint."""

_MOST = 2**53  # steps, which floats still tell apart

VALIDATIONS = 10
"""How often a run validates by default."""

VALIDATION_SHARE = 0.2
"""At most about this share of a run's work goes into validations by default."""


def planned_steps(
    settings: TrainingSettings, batches_per_epoch: int, chosen: int | None = None
) -> int:
    """Steps of a run as planned before its first one: those given, or those chosen.

    >>> planned_steps(TrainingSettings(epochs=2.5), batches_per_epoch=4)
    10
    """
    if settings.steps is not None:
        return settings.steps
    if settings.epochs is not None:
        return max(round(settings.epochs * batches_per_epoch), 1)
    return chosen or UNPLANNED_STEPS


def steps_that_fit(seconds_left: float, step: int, steps_per_second: float) -> int:
    """Steps of a run that has done `step` of them: at least one more.

    >>> steps_that_fit(10.0, step=100, steps_per_second=4.0)
    140
    """
    return step + max(round(min(seconds_left * steps_per_second, _MOST)), 1)


def learning_rate(step: int, total_steps: int, settings: TrainingSettings) -> float:
    """The learning rate of a step, counted from 0, in a run of `total_steps`.

    It rises in a line over `warmup_steps`, then falls to `final_learning_rate` (a share of
    the highest), which it would reach at the step after the last. A run that is shorter
    than its warm-up only rises.

    >>> settings = TrainingSettings(learning_rate=1.0, warmup_steps=2, decay="linear")
    >>> [learning_rate(step, 6, settings) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    highest, warmup = settings.learning_rate, settings.warmup_steps
    if step < warmup:
        return highest * (step + 1) / warmup
    done = min((step - warmup) / max(total_steps - warmup, 1), 1.0)
    left = {
        "constant": 1.0,
        "linear": 1 - done,
        "cosine": (1 + math.cos(math.pi * done)) / 2,
    }[settings.decay]
    final = settings.final_learning_rate
    return highest * (final + (1 - final) * left)


def dropout(step: int, total_steps: int, settings: TrainingSettings) -> float:
    """The dropout of a step, counted from 0: in a line from `dropout` to `final_dropout`.

    >>> settings = TrainingSettings(dropout=0.2, final_dropout=0.6)
    >>> [round(dropout(step, 5, settings), 3) for step in range(5)]
    [0.2, 0.3, 0.4, 0.5, 0.6]
    """
    first, last = settings.dropout, settings.final_dropout
    if last is None:
        return first
    return first + (last - first) * min(step / max(total_steps - 1, 1), 1.0)


def validation_is_due(
    step: int, steps: int, settings: TrainingSettings, batch_characters: int, held_out: int
) -> bool:
    """Whether `held_out` characters are read after a step, counted from 1.

    They always are after the last one. By default it is ten times in a run, or less often
    where so much is held out, or the run so short, that it would be much of the work.

    >>> steps, settings = 25, TrainingSettings()
    >>> [s for s in range(1, 26) if validation_is_due(s, steps, settings, 2048, 1000)]
    [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    >>> [s for s in range(1, 26) if validation_is_due(s, steps, settings, 2048, 10_000)]
    [9, 17, 25]
    """
    if not held_out:
        return False
    if settings.validate_every is not None:
        return step % settings.validate_every == 0 or step == steps
    work = 3 * steps * batch_characters  # forward alone is about a third of a step
    count = max(min(VALIDATIONS, int(VALIDATION_SHARE * work / held_out)), 1)
    return step * count // steps > (step - 1) * count // steps
