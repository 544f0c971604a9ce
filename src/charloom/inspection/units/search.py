"""Which units and gates follow something that a person can name, and how sure that is.

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

import numpy as np

from ...engines.cell import CELLS
from ...engines.weights import Array, initial_weights
from ...errors import TextError
from ...model.model import Model
from ..settings import FEWEST, UnitsSettings
from .clamping import bits_of_each, clamped, with_weights
from .labels import Selection, labels
from .report import Claim, Clamped, Report
from .statistics import auc, beats, turned, unit_length

_BYTES = 2**30  # of all searched numbers of a text


def find_claims(
    model: Model,
    text: Iterable[str],
    settings: UnitsSettings | None = None,
    *,
    patterns: Iterable[str] = (),
    selections: Iterable[Selection] = (),
    extra: dict[str, Array] | None = None,
    untrained: Model | None = None,
) -> Report:
    """Search a model for units that follow a label, with all controls.

    `text` comes in pieces; `extra` are labels of the caller's, one number per character. By
    default the untrained network is drawn from the seed that the model's run started from.
    TextError for a text that is too short.
    """
    settings = settings or UnitsSettings()
    text = _start(model, text, settings.characters)
    named = labels(text, patterns=patterns, selections=selections)
    named |= {name: np.asarray(v, np.float32)[: len(text)] for name, v in (extra or {}).items()}
    if model.vocabulary.kind == "bytes":
        lengths = [len(character.encode()) for character in text]
        named = {name: np.repeat(values, lengths) for name, values in named.items()}
    trained = _Halves(model, text)
    present = {name: y for name, y in named.items() if trained.can_search(y)}
    shuffles = settings.shuffles or max(199, math.ceil(len(present) / settings.alpha))
    first = _Halves(untrained or before_training(model), text)
    random = np.random.default_rng(settings.seed)
    found: list[Claim] = []
    best: list[Claim] = []
    for name, y in present.items():
        claims = _claims(name, y, trained, first, shuffles, len(present), settings, random)
        best.append(claims[0])
        found += [claim for claim in claims if claim.survives]
    of_unit: list[list[Claim | None]] = [
        [None] * model.settings.hidden_size for _ in range(model.settings.num_layers)
    ]
    for claim in sorted(found, key=lambda claim: claim.score):
        of_unit[claim.layer][claim.unit] = claim
    return Report(
        characters=len(text),
        alpha=settings.alpha,
        least=settings.least,
        shuffles=shuffles,
        best=_with_clamping(model, trained, present, best),
        of_unit=of_unit,
        absent=[name for name in named if name not in present],
    )


def before_training(model: Model) -> Model:
    """The network that a model's run started from; of a model without a run, with seed 0."""
    first = initial_weights(model.settings, model.vocabulary.size, model.provenance.seed)
    return with_weights(model, first)


def _start(model: Model, pieces: Iterable[str], most: int) -> str:
    """The start of a text, no longer than `most` or than there is memory for."""
    shape = model.settings
    numbers = len(_searched(model)) * shape.num_layers * shape.hidden_size
    most = min(most, max(FEWEST, _BYTES // (4 * numbers)))
    taken: list[str] = []
    for piece in pieces:
        taken.append(piece[: most - sum(map(len, taken))])
        if sum(map(len, taken)) >= most:
            break
    text = "".join(taken)
    if len(text) < FEWEST:
        raise TextError(
            f"the text has {len(text)} characters; {FEWEST} are the fewest in which a claim "
            "can be searched and tested"
        )
    return text


def _searched(model: Model) -> list[str]:
    """The quantities that are searched: all that are no product of two others."""
    cell = CELLS[model.settings.cell]
    return [name for name in cell.quantities if name not in cell.products]


class _Halves:
    """All searched quantities of a text, in its two halves.

    Of each half: (features, T) float32 with mean 0 and length 1, so that a product with a
    label made alike is their correlation. Features are quantities x units of all layers.
    """

    def __init__(self, model: Model, text: str) -> None:
        columns: list[Array] = []
        names = _searched(model)
        for piece in model.trace_pieces([text], alternatives=1):
            stacked = np.stack([piece.quantities[name] for name in names])  # (Q, T, L, H)
            columns.append(stacked.transpose(0, 2, 3, 1).reshape(-1, len(piece)))
        values = np.concatenate(columns, axis=1)
        self.quantities = names
        self.units = len(values) // len(names)
        self.hidden_size = model.settings.hidden_size
        self.length = values.shape[1]
        self.middle = self.length // 2
        self.ids = model.vocabulary.encode(text).astype(np.int32)
        self.mean_hidden = values[-self.units :].mean(axis=1, dtype=np.float64)
        self.search = unit_length(values[:, : self.middle])
        self.held_out = unit_length(values[:, self.middle :])

    def cut(self, y: Array) -> tuple[Array, Array]:
        """A label, or anything else along the text, in the two halves."""
        return y[: self.middle], y[self.middle :]

    def can_search(self, y: Array) -> bool:
        """Whether a label holds, and does not hold, often enough in both halves."""
        fewest = FEWEST // 20
        return all(
            min(np.count_nonzero(half), np.count_nonzero(half != half.max())) >= fewest
            for half in self.cut(y)
        )

    def scores(self, search: Array, held_out: Array) -> tuple[Array, Array, Array]:
        """The held-out score (U, N) of every unit for N labels (T, N).

        And, for the first label, which quantity of each it is, and with which sign: (U,).
        """
        shape = (-1, self.units, search.shape[1])
        chosen_on = (self.search @ unit_length(search.T).T).reshape(shape)
        tested_on = (self.held_out @ unit_length(held_out.T).T).reshape(shape)
        quantity = np.abs(chosen_on).argmax(axis=0)[None]
        sign = np.sign(np.take_along_axis(chosen_on, quantity, axis=0))
        score = (sign * np.take_along_axis(tested_on, quantity, axis=0))[0]
        return score, quantity[0, :, 0], sign[0, :, 0].astype(int)

    def values(self, quantity: int, unit: int) -> Array:
        """(T,) the held-out values of a feature, scaled."""
        return self.held_out[quantity * self.units + unit]


def _claims(
    name: str,
    y: Array,
    trained: _Halves,
    first: _Halves,
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
    model: Model, halves: _Halves, named: dict[str, Array], claims: list[Claim]
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
