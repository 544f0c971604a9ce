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
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

TEXT = planted.text(3000, seed=1)
REMEMBERED = "A[^Z]*"


@pytest.fixture(scope="module")
def report() -> Report:
    return units(planted.model(), TEXT, patterns=[REMEMBERED])


def best(report: Report, label: str):
    return next(claim for claim in report.best if claim.label == label)


@pytest.mark.parametrize(
    ("label", "unit"),
    [
        ("bracket depth", planted.BRACKETS),
        ("inside quotes", planted.QUOTES),
        (f"matches {REMEMBERED}", planted.SYMBOL),
    ],
)
def test_a_planted_unit_is_found_on_held_out_text(report: Report, label: str, unit: int):
    claim = best(report, label)
    assert (claim.layer, claim.unit, claim.quantity, claim.sign) == (0, unit, "C_t", 1)
    assert claim.score > 0.999
    assert claim.survives
    assert claim.p <= report.alpha
    assert claim.shuffled < 0.5 < claim.score
    assert claim.untrained < 0.9
    assert claim.beats_untrained == 1
    assert report.of_unit[0][unit] is not None
    assert claim.auc is None if label == "bracket depth" else claim.auc > 0.999


def test_the_strongest_claim_of_a_planted_unit_is_its_own(report: Report):
    found = [claim.label if claim else None for claim in report.of_unit[0][:3]]
    assert found[:2] == ["bracket depth", "inside quotes"]
    assert found[2] in {f"matches {REMEMBERED}", "a capital"}  # its forget gate shuts at these


def test_an_untrained_network_has_no_claim_of_its_own():
    settings = ModelSettings(hidden_size=12, num_layers=1)
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    untrained = Model(settings, planted.VOCABULARY, weights, precision="float32")
    found = units(untrained, TEXT, least=0)
    assert found.surviving == []
    assert not any(claim for claim in found.of_unit[0])


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
        shuffles=99,
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
            shuffles=120,
            seed=seed,
            extra=unrelated(5, 600, seed=100 + seed),
        )
        wrong += any(c.p <= alpha for c in found.best if c.label.startswith("unrelated"))
    assert wrong / reports <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / reports)


def test_clamping_a_unit_costs_bits_where_the_model_listens_to_it():
    model = planted.listening_to_quotes()
    random = np.random.default_rng(0)
    inside, made = False, []
    for _ in range(2000):
        inside ^= random.random() < 0.1
        made.append("bcd"[random.integers(3)] if inside else "a")
        if len(made) > 1 and (made[-1] == "a") != (made[-2] == "a"):
            made.insert(-1, '"')
    found = units(model, ["".join(made)[:2000]])
    claim = best(found, "inside quotes")
    assert claim.unit == planted.QUOTES
    assert claim.clamped is not None
    assert claim.clamped.bits > 0.3
    silent = units(planted.model(), TEXT)
    lost = best(silent, "inside quotes").clamped
    assert lost is not None
    assert abs(lost.bits) < 0.2


def test_a_selection_of_text_is_a_label():
    spans = [match.span() for match in re.finditer(REMEMBERED, TEXT)]
    found = units(planted.model(), TEXT, selections=spans)
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
    found = units(model, [text], shuffles=20)
    assert found.characters == len(text)
    assert "bracket depth" not in found.absent


def test_a_plain_rnn_is_searched_by_its_headlines():
    settings = ModelSettings(cell="rnn", hidden_size=8, num_layers=1)
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    found = units(Model(settings, planted.VOCABULARY, weights), TEXT[:600])
    assert {claim.quantity for claim in found.best} == {"h_t"}
