"""Claims about units: what was planted is found, and where nothing is true, nothing."""

from __future__ import annotations

import re

import numpy as np
import planted
import pytest

from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, TextError
from charloom.inspection.units.report import Report
from charloom.inspection.units.search import units
from charloom.model.model import Model
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings
from charloom.text.vocabulary import Vocabulary

TEXT = planted.text(3000, seed=1)
QUICK = {"untrained": 3, "letter_shuffled": 3}  # where the controls do not matter


@pytest.fixture(scope="module")
def report() -> Report:
    return units(planted.model(), TEXT, patterns=[planted.REMEMBERED])


def best(report: Report, label: str):
    return next(claim for claim in report.best if claim.label == label)


@pytest.mark.parametrize(
    ("label", "unit"),
    [
        ("bracket depth", planted.BRACKETS),
        ("inside quotes", planted.QUOTES),
        (f"matches {planted.REMEMBERED}", planted.SYMBOL),
    ],
)
def test_a_planted_unit_is_found_on_held_out_text(report: Report, label: str, unit: int):
    claim = best(report, label)
    assert (claim.layer, claim.unit, claim.quantity, claim.sign) == (0, unit, "C_t", 1)
    assert claim.score > 0.999
    assert claim.survives
    assert claim.p <= report.alpha
    assert claim.shuffled < 0.5 < claim.score
    assert claim.p < 1e-9  # which 200 shuffles could not tell by counting
    assert claim.control < 0.9
    assert claim.p_control <= report.alpha
    assert claim.clamped is not None
    assert 0 < claim.clamped.interval[0] < claim.clamped.bits < claim.clamped.interval[1]
    assert report.of_unit[0][unit] is not None
    assert claim.auc is None if label == "bracket depth" else claim.auc > 0.999


def test_the_strongest_claim_of_a_planted_unit_is_its_own(report: Report):
    found = [claim.label if claim else None for claim in report.of_unit[0][:3]]
    assert found[:2] == ["bracket depth", "inside quotes"]
    assert found[2] in {
        f"matches {planted.REMEMBERED}",
        "a capital",
    }  # its forget gate shuts at these


def unrelated(count: int, characters: int, seed: int) -> dict[str, np.ndarray]:
    """Labels that know nothing of the text: on and off for about 10 characters at a time."""
    random = np.random.default_rng(seed)
    switched = random.random((count, characters)) < 0.1
    return {f"unrelated {n}": row.cumsum() % 2 for n, row in enumerate(switched)}


def test_labels_that_know_nothing_of_the_text_find_nothing_at_the_stated_rate():
    count = 150
    found = units(
        planted.model(),
        [planted.text(2000, seed=2)],
        least=0,
        **QUICK,
        extra=unrelated(count, 2000, seed=3),
    )
    p = np.array([c.p_alone for c in found.best if c.label.startswith("unrelated")])
    assert len(p) == count
    for rate in (0.05, 0.2):  # the bound is three standard deviations above it
        assert (p <= rate).mean() <= rate + 3 * np.sqrt(rate * (1 - rate) / count)
    assert not [c for c in found.surviving if c.label.startswith("unrelated")]


def test_of_many_reports_in_which_nothing_is_true_no_more_than_alpha_claim_anything():
    model, alpha, reports = planted.model(), 0.2, 20
    wrong = 0
    for seed in range(reports):
        found = units(
            model,
            [planted.text(600, seed=50 + seed)],
            least=0,
            alpha=alpha,
            **QUICK,
            seed=seed,
            extra=unrelated(5, 600, seed=100 + seed),
        )
        wrong += any(c.p <= alpha for c in found.best if c.label.startswith("unrelated"))
    assert wrong / reports <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / reports)


def test_a_unit_that_the_head_does_not_hear_follows_its_label_and_is_refused():
    found = units(planted.model(heard=False), TEXT)
    planted_units = (("bracket depth", planted.BRACKETS), ("inside quotes", planted.QUOTES))
    for label, unit in planted_units:
        claim = best(found, label)
        assert (claim.unit, claim.refused) == (unit, "clamping")
        assert claim.score > 0.999
        assert claim.clamped is not None
        assert claim.clamped.interval[0] <= 0
        assert claim.clamped.bits == pytest.approx(0, abs=1e-3)
        assert found.of_unit[0][unit] is None


def test_a_selection_of_text_is_a_label():
    spans = [match.span() for match in re.finditer(planted.REMEMBERED, TEXT)]
    found = units(planted.model(), TEXT, selections=spans, **QUICK)
    assert best(found, "the selection").unit == planted.SYMBOL
    assert best(found, "the selection").score > 0.999


def test_what_cannot_be_searched_for_is_refused():
    model = planted.model()
    with pytest.raises(SettingsError, match="no regular expression"):
        units(model, TEXT, patterns=["("])
    with pytest.raises(SettingsError, match="9:5 was given"):
        units(model, TEXT, selections=[(9, 5)])
    with pytest.raises(TextError, match="200 are the fewest"):
        units(model, ["abc"])


def test_bytes_have_labels_too():
    text = 'eé("é ab) ' * 60
    settings = ModelSettings(hidden_size=8, num_layers=1)
    weights = initial_weights(settings, 256, seed=0)
    model = Model(settings, Vocabulary.bytes(), weights)
    found = units(model, [text], **QUICK)
    assert found.characters == len(text)
    assert "bracket depth" not in found.absent


def test_a_plain_rnn_is_searched_by_its_headlines():
    settings = ModelSettings(cell="rnn", hidden_size=8, num_layers=1)
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    found = units(Model(settings, planted.VOCABULARY, weights), TEXT[:600], **QUICK)
    assert {claim.quantity for claim in found.best} == {"h_t"}


def test_a_model_of_lines_is_searched_line_by_line():
    text = "".join(f"{'ab' * (n % 5 + 1)}({n})\n" for n in range(60))
    vocabulary, shape = Vocabulary.of(text), ModelSettings(hidden_size=8, num_layers=1)
    weights = initial_weights(shape, vocabulary.size, seed=0)
    model = Model(
        shape, vocabulary, weights, Provenance(training=TrainingSettings(batches="lines"))
    )
    found = units(model, text, **QUICK, least=0)
    assert found.best
    assert (found.precision, found.kernels) == (model.engine.precision, model.engine.kernels)


def test_a_search_is_a_function_of_its_seed():
    once, again = (units(planted.model(), TEXT[:800], seed=7, **QUICK) for _ in range(2))
    assert once == again
    assert once != units(planted.model(), TEXT[:800], seed=8, **QUICK)
