"""Which units and gates follow something that has a name, and how sure that is.

A claim says that a unit follows a label (labels.py). The first half of a text is searched,
the second is held out: of the search, for the model may well have been trained on it. Which of
the unit's quantities follows best, and with which sign, is chosen on the first half; the
claim's score is their correlation on the second. It survives if all of these hold:

    chance    Labels are turned in a circle by a random distance within each half, which
              keeps their own rhythm and breaks any tie to the text, and the same search is
              repeated. p, that the best unit of such a search scores as well, times the
              number of labels, is at most `alpha`.
    weakness  The score is at least `least`: less is not worth a name, however sure it is.
    controls  The same search in networks that know nothing (controls.py). The score is above
              the best of all of them, and p_control, that such a network has a unit that
              scores as well, times the number of labels, is at most `alpha`.
    clamping  The model loses bits on the held-out half when the unit is clamped at its mean,
              and the interval of that loss, with probability 1 - alpha, is above 0.

So of networks that know nothing, and of texts on which nothing is true, no more than a share
`alpha` of all reports contain any claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ...engines.weights import Array
from ...model.model import Model, Text, check_model
from ..settings import UnitsSettings
from .clamping import HeldOut, clamped
from .controls import Controls, controls
from .features import Features, beginning, halves, searchable
from .labels import Selection, labels
from .report import Claim, Clamped, Refusal, Report
from .statistics import auc, chance_of, interval, score_at, turned


def units(
    model: Model,
    text: Text,
    *,
    patterns: Iterable[str] = (),
    selections: Iterable[Selection] = (),
    extra: dict[str, Array] | None = None,
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
    check_model("model", model)
    chosen = UnitsSettings(**settings)
    start = beginning(model, text, chosen.characters)
    named = labels(start, patterns=patterns, selections=selections)
    named |= {name: np.asarray(v, np.float32)[: len(start)] for name, v in (extra or {}).items()}
    present = searchable(model, start, named)
    search = _Search(model, start, present, chosen)
    best, surviving = search.run()
    of_unit: list[list[Claim | None]] = [
        [None] * model.settings.hidden_size for _ in range(model.settings.num_layers)
    ]
    for claim in sorted(surviving, key=lambda claim: claim.score):
        of_unit[claim.layer][claim.unit] = claim
    return Report(
        characters=len(start),
        alpha=chosen.alpha,
        least=chosen.least,
        shuffles=chosen.shuffles,
        untrained=chosen.untrained,
        letter_shuffled=chosen.letter_shuffled,
        precision=model.engine.precision,
        kernels=model.engine.kernels,
        best=best,
        of_unit=of_unit,
        absent=[name for name in named if name not in present],
    )


class _Search:
    """The tests of all claims about one model and text."""

    def __init__(
        self, model: Model, text: str, present: dict[str, Array], settings: UnitsSettings
    ) -> None:
        self._model, self._present, self._settings = model, present, settings
        self._features = Features(model, text)
        self._ids = model.vocabulary.encode(text).astype(np.int32)
        self._controls: Controls | None = None
        if present:
            every = np.stack(list(present.values()), axis=1)
            self._controls = controls(model, text, every, settings)
        self._random = np.random.default_rng(settings.seed)
        self._held_out: HeldOut | None = None
        self._usual = np.empty(0)
        self._lost: dict[int, Array] = {}

    def run(self) -> tuple[list[Claim], list[Claim]]:
        """For each label its best claim, and all claims that survive."""
        best: list[Claim] = []
        surviving: list[Claim] = []
        for number, (name, y) in enumerate(self._present.items()):
            claims = self._claims(number, name, y)
            survivors = [claim for claim in claims if claim.survives]
            best.append((survivors or claims)[0])
            surviving += survivors
        return best, surviving

    def _claims(self, number: int, name: str, y: Array) -> list[Claim]:
        """The claims to one label worth testing, the best first; at least that of the best."""
        features, settings, cut = self._features, self._settings, halves(y)
        score, quantity, sign = (a[:, 0] for a in features.scores(*(h[:, None] for h in cut)))
        null = features.scores(*(turned(h, settings.shuffles, self._random) for h in cut))[0]
        maxima = null.max(axis=0)
        assert self._controls is not None
        alone, known = chance_of(score, maxima), self._controls.chance_of(score, number)
        p, p_control = (np.minimum(1.0, len(self._present) * each) for each in (alone, known))
        passes = (p <= settings.alpha) & (score >= settings.least) & (p_control <= settings.alpha)
        order = np.argsort(-score, kind="stable")
        two = set(np.unique(y).tolist()) <= {0.0, 1.0}
        found: list[Claim] = []
        for u in [u for u in order.tolist() if passes[u]] or [int(order[0])]:
            refused: Refusal | None = None
            if not passes[u]:
                refused = "controls" if score[u] >= settings.least else "too weak"
                refused = "by chance" if p[u] > settings.alpha else refused
            x = sign[u] * features.values(int(quantity[u]), u)
            layer, unit = divmod(u, self._model.settings.hidden_size)
            claim = Claim(
                label=name,
                layer=layer,
                unit=unit,
                quantity=features.quantities[quantity[u]],
                sign=int(sign[u]),
                score=float(score[u]),
                auc=auc(x, cut[1] > 0) if two else None,
                p=float(p[u]),
                p_alone=float(alone[u]),
                shuffled=score_at(settings.alpha, maxima),
                control=self._controls.best(number),
                p_control=float(p_control[u]),
                clamped=None,
                refused=refused,
            )
            found.append(claim if refused else self._with_clamping(claim, u, y, two))
        return found

    def _with_clamping(self, claim: Claim, u: int, y: Array, two: bool) -> Claim:
        """A claim that passes all other tests, with what clamping its unit costs."""
        lost = self._lost_by(u)
        holds = y[len(y) - len(lost) - 1 : -1] > 0  # when each was predicted
        low, high = interval(lost, self._settings.alpha, self._random)
        effect = Clamped(
            bits=float(lost.mean()),
            interval=(low, high),
            bits_where_it_holds=float(lost[holds].mean()) if two else None,
        )
        return replace(claim, clamped=effect, refused=None if low > 0 else "clamping")

    def _lost_by(self, u: int) -> Array:
        """(T,) the bits that each held-out character costs more when a unit is clamped."""
        if u not in self._lost:
            if self._held_out is None:
                self._held_out = HeldOut(self._model, self._ids, len(self._ids) // 2 + 1)
                self._usual = self._held_out.bits(self._model)
            layer, unit = divmod(u, self._model.settings.hidden_size)
            other = clamped(self._model, layer, unit, float(self._features.mean_hidden[u]))
            self._lost[u] = self._held_out.bits(other) - self._usual
        return self._lost[u]
