"""Which units and gates follow something that a person can name, and how sure that is.

The first half of a text is searched, the second is held out. A claim says that a unit
follows a label (labels.py). Which of its quantities does so best, and with which sign, is
chosen on the first half; the claim's score is their correlation on the second. It survives
if all of these hold:

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
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..core.contract import Array
from ..errors import TextError
from ..model import Model
from ..network import initial_weights
from pydantic import Field

from ..settings import Settings
from .clamping import bits_of_each, clamped, with_weights
from .labels import Selection, labels

SEARCHED = ("f_t", "i_t", "g_t", "C_t", "o_t", "h_t")
"""The quantities that are searched; an RNN has h_t alone."""

_BYTES = 2**30  # of all searched numbers of a text
_BLOCKS = 20
_RESAMPLINGS = 1000
_FEWEST = 200  # characters, and a twentieth of them places where a label holds


class UnitsSettings(Settings):
    """How claims about units are searched for, and which are believed."""

    characters: int = Field(
        default=20_000, ge=_FEWEST, description="so many from the start of the text are read"
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="the chance of any claim where nothing is true"
    )
    least: float = Field(
        default=0.5, ge=0, lt=1, description="the least correlation that is worth a claim"
    )
    shuffles: int = Field(
        default=0, ge=0, description="searches on shuffled labels; 0 is as many as alpha needs"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="of the shuffles")


@dataclass(frozen=True, kw_only=True)
class Clamped:
    """Bits per character that are lost when a unit is held at its mean, on held-out text."""

    bits: float
    bits_where_it_holds: float | None
    """Only on characters predicted while the label is 1; None for counts."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That a unit follows a label, with what speaks for it and against it."""

    label: str
    layer: int
    """From 0."""
    unit: int
    quantity: str
    sign: int
    """-1 if the quantity falls where the label rises."""
    score: float
    """Correlation on the held-out text, times sign."""
    auc: float | None
    """Of labels that are 1 or 0: the chance that a place with 1 has the higher value."""
    p: float
    """After all labels and units are accounted for."""
    shuffled: float
    """What the best unit scores on shuffled labels, exceeded in `alpha` of the searches."""
    untrained: float
    """What the best unit of the untrained network scores."""
    beats_untrained: float
    """Share of the resamplings in which it scores more than that."""
    survives: bool
    clamped: Clamped | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a search found."""

    characters: int
    alpha: float
    least: float
    shuffles: int
    best: list[Claim]
    """For each label its best claim, whether it survives or not."""
    of_unit: list[list[Claim | None]]
    """By layer and unit: the strongest claim that survives, or None."""
    absent: list[str]
    """Labels that hold too rarely, or nearly always, in either half to be searched for."""

    @property
    def surviving(self) -> list[Claim]:
        """Those of the labels' best claims that survive."""
        return [claim for claim in self.best if claim.survives]


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
    seed = model.record.get("training", {}).get("seed", 0)
    return with_weights(model, initial_weights(model.settings, model.vocabulary.size, seed))


def _start(model: Model, pieces: Iterable[str], most: int) -> str:
    """The start of a text, no longer than `most` or than there is memory for."""
    shape = model.settings
    numbers = len(SEARCHED if shape.cell == "lstm" else ("h_t",))
    numbers *= shape.num_layers * shape.hidden_size
    most = min(most, max(_FEWEST, _BYTES // (4 * numbers)))
    taken: list[str] = []
    for piece in pieces:
        taken.append(piece[: most - sum(map(len, taken))])
        if sum(map(len, taken)) >= most:
            break
    text = "".join(taken)
    if len(text) < _FEWEST:
        raise TextError(
            f"the text has {len(text)} characters; {_FEWEST} are the fewest in which a claim "
            "can be searched and tested"
        )
    return text


class _Halves:
    """All searched quantities of a text, in its two halves.

    Of each half: (features, T) float32 with mean 0 and length 1, so that a product with a
    label made alike is their correlation. Features are quantities x units of all layers.
    """

    def __init__(self, model: Model, text: str) -> None:
        columns: list[Array] = []
        for piece in model.trace_pieces([text], alternatives=1):
            names = [name for name in SEARCHED if name in piece.quantities]
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
        self.search = _unit_length(values[:, : self.middle])
        self.held_out = _unit_length(values[:, self.middle :])

    def cut(self, y: Array) -> tuple[Array, Array]:
        """A label, or anything else along the text, in the two halves."""
        return y[: self.middle], y[self.middle :]

    def can_search(self, y: Array) -> bool:
        """Whether a label holds, and does not hold, often enough in both halves."""
        fewest = _FEWEST // 20
        return all(
            min(np.count_nonzero(half), np.count_nonzero(half != half.max())) >= fewest
            for half in self.cut(y)
        )

    def scores(self, search: Array, held_out: Array) -> tuple[Array, Array, Array]:
        """(U, N) the held-out score of every unit for N labels (T, N), and for the first
        label (U,) which quantity it is, and the sign."""
        chosen_on = (self.search @ _unit_length(search.T).T).reshape(-1, self.units, search.shape[1])
        tested_on = (self.held_out @ _unit_length(held_out.T).T).reshape(chosen_on.shape)
        quantity = np.abs(chosen_on).argmax(axis=0)[None]
        sign = np.sign(np.take_along_axis(chosen_on, quantity, axis=0))
        score = (sign * np.take_along_axis(tested_on, quantity, axis=0))[0]
        return score, quantity[0, :, 0], sign[0, :, 0].astype(int)

    def values(self, quantity: int, unit: int) -> Array:
        """(T,) the held-out values of a feature, scaled."""
        return self.held_out[quantity * self.units + unit]


def _unit_length(rows: Array) -> Array:
    """Rows with mean 0 and length 1; a row that never changes becomes 0."""
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.square(centred).sum(axis=1, keepdims=True, dtype=np.float64))
    still = norm <= 1e-6 * np.sqrt(rows.shape[1])
    return centred * np.where(still, 0, 1 / np.where(still, 1, norm)).astype(np.float32)


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
    turned = [_turned(half, shuffles, random) for half in halves]
    score, quantity, sign = trained.scores(*(np.stack([h], 1) for h in halves))
    score = score[:, 0]
    null = np.sort(trained.scores(*turned)[0].max(axis=0))
    as_good = shuffles - np.searchsorted(null, score, side="left")
    p = np.minimum(1.0, labels * (1 + as_good) / (1 + shuffles))

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
        beats = _beats(x, rival, halves[1], random)
        survives = bool(u in worth and beats >= 1 - settings.alpha)
        claims.append(
            Claim(
                label=name,
                layer=u // trained.hidden_size,
                unit=u % trained.hidden_size,
                quantity=trained.quantities[quantity[u]],
                sign=int(sign[u]),
                score=float(score[u]),
                auc=_auc(x, halves[1] > 0) if two else None,
                p=float(p[u]),
                shuffled=float(null[math.ceil((1 - settings.alpha) * shuffles) - 1]),
                untrained=float(control[best_control, 0]),
                beats_untrained=beats,
                survives=survives,
            )
        )
    return claims


def _turned(half: Array, count: int, random: np.random.Generator) -> Array:
    """(T, count) a label turned in a circle, by at least a twentieth of it either way."""
    T = len(half)
    by = random.integers(T // 20, T - T // 20, count)
    return half[(np.arange(T)[:, None] - by) % T]


def _beats(x: Array, rival: Array, y: Array, random: np.random.Generator) -> float:
    """The share of resamplings of blocks of text in which x follows y better than a rival."""
    weights = random.multinomial(_BLOCKS, [1 / _BLOCKS] * _BLOCKS, _RESAMPLINGS)
    return float((_resampled(x, y, weights) > _resampled(rival, y, weights)).mean())


def _resampled(x: Array, y: Array, weights: Array) -> Array:
    """(R,) the correlation over blocks that are counted so many times (R, blocks)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    edges = np.linspace(0, len(x), _BLOCKS, endpoint=False).astype(int)
    parts = (np.ones_like(x), x, y, x * x, y * y, x * y)
    n, sx, sy, sxx, syy, sxy = (weights @ np.add.reduceat(part, edges) for part in parts)
    spread = np.maximum(n * sxx - sx**2, 0) * np.maximum(n * syy - sy**2, 0)
    return np.where(spread > 0, (n * sxy - sx * sy) / np.sqrt(np.where(spread > 0, spread, 1)), 0)


def _auc(x: Array, holds: Array) -> float:
    """The chance that x is higher at a place where it holds than at one where not."""
    values, place, count = np.unique(x, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # equal values share the mean of their ranks
    positive = int(holds.sum())
    above = rank[place][holds].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(x) - positive)))


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
