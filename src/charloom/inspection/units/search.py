"""Which units and gates follow something that has a name, and how sure that is.

A claim says that a unit follows a label (labels.py). The first half of a text is searched,
the second is held out: of the search, for the model may well have been trained on it. Which of
the unit's quantities follows best, and with which sign, is chosen on the first half; the
claim's score is their correlation on the second. It survives if all of these hold:

    shuffled    Labels are turned in a circle by a random distance within each half, which
                keeps their own rhythm and breaks any tie to the text, and the same search
                is repeated. p is the share of these searches whose best unit, of all
                units, scores as well, times the number of labels. So no more than `alpha`
                of all reports on a text of which nothing is true contain any claim.
    untrained   The same search in the network before training; the claim must beat its
                best unit in all but `alpha` of 1,000 resamplings of 20 blocks.
    least       A score so low is not worth a name, however sure it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ...engines.weights import Array, initial_weights
from ...model.model import Model, Text
from ..settings import UnitsSettings
from .clamping import bits_of_each, clamped, with_weights
from .features import Features, beginning
from .labels import Selection, labels
from .report import Claim, Clamped, Report
from .statistics import auc, beats, turned


def units(
    model: Model,
    text: Text,
    *,
    patterns: Iterable[str] = (),
    selections: Iterable[Selection] = (),
    extra: dict[str, Array] | None = None,
    untrained: Model | None = None,
    **settings: Any,
) -> Report:
    """Search a model for units that follow a label, with all controls.

    `patterns` are regular expressions and `selections` pairs (start, stop) of positions, each
    a label of its own; `extra` are more labels by name, one number per character. `settings`
    are those of UnitsSettings. By default the untrained network is drawn from the seed that
    the model's run started from. TextError for a text that is too short, SettingsError for
    an unknown setting, an invalid expression, or a selection outside the text.

    >>> import charloom
    >>> text = 'The fox said "no" and "yes". ' * 20
    >>> vocabulary = charloom.Vocabulary.of(text)
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> report = charloom.units(model, text, shuffles=20)
    >>> report.characters, report.best[0].label
    (580, 'inside quotes')
    """
    chosen = UnitsSettings(**settings)
    start = beginning(model, text, chosen.characters)
    named = labels(start, patterns=patterns, selections=selections)
    named |= {name: np.asarray(v, np.float32)[: len(start)] for name, v in (extra or {}).items()}
    if model.vocabulary.kind == "bytes":
        lengths = [len(character.encode()) for character in start]
        named = {name: np.repeat(values, lengths) for name, values in named.items()}
    trained = Features(model, start)
    present = {name: y for name, y in named.items() if trained.can_search(y)}
    shuffles = chosen.shuffles or max(199, math.ceil(len(present) / chosen.alpha))
    first = Features(untrained or before_training(model), start)
    random = np.random.default_rng(chosen.seed)
    found: list[Claim] = []
    best: list[Claim] = []
    for name, y in present.items():
        claims = _claims(name, y, trained, first, shuffles, len(present), chosen, random)
        best.append(claims[0])
        found += [claim for claim in claims if claim.survives]
    of_unit: list[list[Claim | None]] = [
        [None] * model.settings.hidden_size for _ in range(model.settings.num_layers)
    ]
    for claim in sorted(found, key=lambda claim: claim.score):
        of_unit[claim.layer][claim.unit] = claim
    return Report(
        characters=len(start),
        alpha=chosen.alpha,
        least=chosen.least,
        shuffles=shuffles,
        best=_with_clamping(model, trained, present, best),
        of_unit=of_unit,
        absent=[name for name in named if name not in present],
    )


def before_training(model: Model) -> Model:
    """The network that a model's run started from; of a model without a run, with seed 0."""
    first = initial_weights(model.settings, model.vocabulary.size, model.provenance.seed)
    return with_weights(model, first)


def _claims(
    name: str,
    y: Array,
    trained: Features,
    first: Features,
    shuffles: int,
    labels: int,
    settings: UnitsSettings,
    random: np.random.Generator,
) -> list[Claim]:
    """Every unit's claim to one label that may be worth it, the best first; at least one."""
    halves = trained.cut(y)
    shuffled = [turned(half, shuffles, random) for half in halves]
    score, quantity, sign = trained.scores(*(np.stack([h], 1) for h in halves))
    score = score[:, 0]
    null = np.sort(trained.scores(*shuffled)[0].max(axis=0))
    as_good = shuffles - np.searchsorted(null, score, side="left")
    alone = (1 + as_good) / (1 + shuffles)
    p = np.minimum(1.0, labels * alone)

    control, control_quantity, control_sign = first.scores(*(np.stack([h], 1) for h in halves))
    best_control = int(control[:, 0].argmax())
    rival = control_sign[best_control] * first.values(
        int(control_quantity[best_control]), best_control
    )
    order = np.argsort(-score, kind="stable")
    worth = [u for u in order.tolist() if p[u] <= settings.alpha and score[u] >= settings.least]
    two = set(np.unique(y).tolist()) <= {0.0, 1.0}
    claims: list[Claim] = []
    for u in worth or [int(order[0])]:
        x = sign[u] * trained.values(int(quantity[u]), u)
        share = beats(x, rival, halves[1], random)
        survives = bool(u in worth and share >= 1 - settings.alpha)
        claims.append(
            Claim(
                label=name,
                layer=u // trained.hidden_size,
                unit=u % trained.hidden_size,
                quantity=trained.quantities[quantity[u]],
                sign=int(sign[u]),
                score=float(score[u]),
                auc=auc(x, halves[1] > 0) if two else None,
                p=float(p[u]),
                p_alone=float(alone[u]),
                shuffled=float(null[math.ceil((1 - settings.alpha) * shuffles) - 1]),
                untrained=float(control[best_control, 0]),
                beats_untrained=share,
                survives=survives,
            )
        )
    return claims


def _with_clamping(
    model: Model, halves: Features, named: dict[str, Array], claims: list[Claim]
) -> list[Claim]:
    """The claims, those that survive with what clamping their unit costs."""
    if not any(claim.survives for claim in claims):
        return claims
    usual = bits_of_each(model, halves.ids)
    lost: dict[tuple[int, int], Array] = {}
    told: list[Claim] = []
    for claim in claims:
        if claim.survives:
            at = (claim.layer, claim.unit)
            if at not in lost:
                mean = halves.mean_hidden[claim.layer * halves.hidden_size + claim.unit]
                other = clamped(model, *at, float(mean))
                lost[at] = bits_of_each(other, halves.ids) - usual
            held_out = lost[at][halves.middle + 1 :]
            holds = named[claim.label][halves.middle : -1] > 0  # when it was predicted
            told.append(
                replace(
                    claim,
                    clamped=Clamped(
                        bits=float(held_out.mean()),
                        bits_where_it_holds=None
                        if claim.auc is None
                        else float(held_out[holds].mean()),
                    ),
                )
            )
        else:
            told.append(claim)
    return told
