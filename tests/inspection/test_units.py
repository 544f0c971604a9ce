"""Claims about units: what was planted is found, and where nothing is true, nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import planted
import pytest
from numpy.testing import assert_allclose

from charloom.engines.base import State
from charloom.engines.reference import lstm
from charloom.engines.weights import initial_weights
from charloom.errors import SettingsError, TextError
from charloom.inspection.settings import UnitsSettings
from charloom.inspection.units import search as module
from charloom.inspection.units.clamping import bits_of_each, clamped
from charloom.inspection.units.labels import labels
from charloom.inspection.units.report import Report, drawn
from charloom.inspection.units.search import find_claims
from charloom.inspection.units.statistics import auc, beats, turned, unit_length
from charloom.model.model import Model
from charloom.settings import ModelSettings
from charloom.text.vocabulary import Vocabulary

TEXT = planted.text(3000, seed=1)
REMEMBERED = "A[^Z]*"


@pytest.fixture(scope="module")
def report() -> Report:
    return find_claims(planted.model(), [TEXT], patterns=[REMEMBERED])


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


def test_units_without_a_surviving_claim_are_reported_as_such(report: Report):
    assert None in report.of_unit[0]
    lines = list(drawn(report))
    assert any("(no claim survives)" in line for line in lines)
    assert max(map(len, lines)) <= 80
    refused = [line for line in lines if line.partition("  no: ")[2]]
    assert len(refused) == sum(not claim.survives for claim in report.best) > 0
    assert any("a digit" in line for line in lines if line.startswith("Too rare"))
    assert "a digit" in report.absent


def test_a_claim_that_does_not_survive_says_which_test_it_fails(report: Report):
    good = replace(report.surviving[0], clamped=None)
    failures = {
        "by chance": replace(good, p=0.2, survives=False),
        "too weak": replace(good, score=0.3, survives=False),
        "untrained": replace(good, beats_untrained=0.5, survives=False),
    }
    for reason, claim in failures.items():
        row = next(line for line in drawn(replace(report, best=[claim])) if good.label in line)
        assert row.endswith(f"  no: {reason}")


def test_an_untrained_network_has_no_claim_of_its_own():
    settings = ModelSettings(hidden_size=12, num_layers=1)
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    untrained = Model(settings, planted.VOCABULARY, weights, precision="float32")
    found = find_claims(untrained, [TEXT], UnitsSettings(least=0))
    assert found.surviving == []
    assert not any(claim for claim in found.of_unit[0])


def unrelated(count: int, characters: int, seed: int) -> dict[str, np.ndarray]:
    """Labels that know nothing of the text: on and off for about 10 characters at a time."""
    random = np.random.default_rng(seed)
    switched = random.random((count, characters)) < 0.1
    return {f"unrelated {n}": row.cumsum() % 2 for n, row in enumerate(switched)}


def test_labels_that_know_nothing_of_the_text_find_nothing_at_the_stated_rate():
    count = 150
    found = find_claims(
        planted.model(),
        [planted.text(2000, seed=2)],
        UnitsSettings(least=0, shuffles=99),
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
        found = find_claims(
            model,
            [planted.text(600, seed=50 + seed)],
            UnitsSettings(least=0, alpha=alpha, shuffles=120, seed=seed),
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
    found = find_claims(model, ["".join(made)[:2000]])
    claim = best(found, "inside quotes")
    assert claim.unit == planted.QUOTES
    assert claim.clamped is not None
    assert claim.clamped.bits > 0.3
    silent = find_claims(planted.model(), [TEXT])
    lost = best(silent, "inside quotes").clamped
    assert lost is not None
    assert abs(lost.bits) < 0.2


@pytest.mark.parametrize("layer", [0, 1])
def test_a_clamped_network_is_the_old_one_with_that_headline_overwritten(layer: int):
    settings = ModelSettings(hidden_size=6, num_layers=2)
    vocabulary = Vocabulary.of("the fox")
    weights = initial_weights(settings, vocabulary.size, seed=2)
    weights = {name: 2 * values for name, values in weights.items()}
    model = Model(settings, vocabulary, weights, precision="float32")
    ids = vocabulary.encode("the fox fox").astype(np.int32)

    hidden, cell = np.zeros((2, 1, 6)), np.zeros((2, 1, 6))
    hidden[layer, 0, 4] = 0.7
    expected = []
    for id in ids:
        x = np.array([[id]])
        for level in range(2):
            out, _, cell[level], _ = lstm.forward(
                x,
                hidden=hidden[level],
                cell=cell[level],
                weight_ih=weights[f"lstm.weight_ih_l{level}"].astype(np.float64),
                weight_hh=weights[f"lstm.weight_hh_l{level}"].astype(np.float64),
                bias=weights[f"lstm.bias_l{level}"].astype(np.float64),
            )
            if level == layer:
                out[..., 4] = 0.7
            hidden[level], x = out[0], out
        expected.append(x[0, 0] @ weights["head.weight"].T + weights["head.bias"])

    other = clamped(model, layer, 4, 0.7)
    logits, _ = other.engine.logits(ids[:, None], State.zeros(settings, 1))
    assert_allclose(logits[:, 0], expected, atol=2e-6)
    assert model.weights["head.weight"][:, 4].all()  # the old one is untouched


def test_bits_of_each_add_up_to_the_score():
    model = planted.model()
    ids = model.vocabulary.encode(TEXT[:500])
    bits = bits_of_each(model, ids)
    total = model.evaluate(TEXT[:500], exact=True)
    assert bits.sum() == pytest.approx(total.bits_per_character * 500)


def test_a_selection_of_text_is_a_label():
    spans = [match.span() for match in re.finditer(REMEMBERED, TEXT)]
    found = find_claims(planted.model(), [TEXT], selections=spans)
    assert best(found, "the selection").unit == planted.SYMBOL
    assert best(found, "the selection").score > 0.999


def test_labels_are_what_their_names_say():
    text = 'No (a [b] c) "Hi  4"\nit'
    found = {name: values.astype(int).tolist() for name, values in labels(text).items()}
    assert found["bracket depth"] == [*[0] * 3, 1, 1, 1, 2, 2, 1, 1, 1, *[0] * 12]
    assert found["inside brackets"] == [*[0] * 3, *[1] * 8, *[0] * 12]
    assert found["inside quotes"] == [*[0] * 13, *[1] * 6, *[0] * 4]
    assert found["position in the line"][:3] == [1, 2, 3]
    assert found["position in the line"][-3:] == [0, 1, 2]
    assert found["position in the word"] == [
        *(1, 2, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0),
        *(1, 2, 0, 0, 1, 0, 0, 1, 2),
    ]
    assert found["since the last space"][:5] == [1, 2, 0, 1, 2]
    assert found["a capital"] == [1, *[0] * 13, 1, *[0] * 8]
    assert sum(found["a digit"]) == 1
    assert [n for n, one in enumerate(found["starts a line"]) if one] == [0, 21]
    assert found["next is a capital"][13] == 1
    assert found["next is '\\n'"][19] == 1
    assert found["next is a vowel"][0] == 1


def test_quotes_close_at_a_new_paragraph_and_curly_ones_know_their_side():
    assert labels('"a\n\nb')["inside quotes"].tolist() == [1, 1, 1, 0, 0]
    assert labels("a“b”c")["inside quotes"].tolist() == [0, 1, 1, 0, 0]


def test_what_cannot_be_searched_for_is_refused():
    model = planted.model()
    with pytest.raises(SettingsError, match="no regular expression"):
        find_claims(model, [TEXT], patterns=["("])
    with pytest.raises(SettingsError, match="9:5 was given"):
        find_claims(model, [TEXT], selections=[(9, 5)])
    with pytest.raises(TextError, match="200 are the fewest"):
        find_claims(model, ["abc"])


def test_bytes_have_labels_too():
    text = 'eé("é ab) ' * 60
    settings = ModelSettings(hidden_size=8, num_layers=1)
    weights = initial_weights(settings, 256, seed=0)
    model = Model(settings, Vocabulary.bytes(), weights)
    found = find_claims(model, [text], UnitsSettings(shuffles=20))
    assert found.characters == len(text)
    assert "bracket depth" not in found.absent


def test_a_plain_rnn_is_searched_by_its_headlines():
    settings = ModelSettings(cell="rnn", hidden_size=8, num_layers=1)
    weights = initial_weights(settings, planted.VOCABULARY.size, seed=0)
    found = find_claims(Model(settings, planted.VOCABULARY, weights), [TEXT[:600]])
    assert {claim.quantity for claim in found.best} == {"h_t"}


def test_the_auc_is_the_chance_that_a_place_with_the_label_is_higher():
    x, holds = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert auc(x, holds) == pytest.approx(3.5 / 4)
    assert auc(-x, holds) == pytest.approx(0.5 / 4)


def test_correlations_are_products_of_rows_of_length_1():
    random = np.random.default_rng(0)
    rows = random.normal(size=(2, 50)).astype(np.float32)
    x, y = unit_length(rows)
    assert x @ y == pytest.approx(np.corrcoef(rows)[0, 1], abs=1e-6)
    assert not unit_length(np.full((1, 9), 0.1, np.float32)).any()


def test_turned_labels_keep_their_rhythm():
    half = np.arange(100)
    for column in turned(half, 50, np.random.default_rng(0)).T:
        assert set(np.diff(column) % 100) == {1}
        assert 5 <= column[0] <= 95


def test_what_is_no_better_does_not_beat():
    random = np.random.default_rng(0)
    y = (random.random(1000) < 0.5).astype(float)
    good, bad = y + random.normal(size=1000), random.normal(size=1000)
    assert beats(good, bad, y, random) == 1
    assert beats(bad, good, y, random) == 0
    assert beats(good, good, y, random) == 0


def test_the_quantity_and_its_sign_are_chosen_where_the_score_is_not_taken():
    rng = np.random.default_rng(0)
    y = np.concatenate([(rng.random(400) < 0.5) for _ in range(2)]).astype(np.float32)[:, None]
    noise = rng.normal(size=(2, 800)).astype(np.float32)
    halves = object.__new__(module._Halves)
    halves.units = 1
    # the first quantity follows the label in the first half, the second one in the second
    searched = np.stack([-y[:400, 0] + 0.1 * noise[0, :400], noise[1, :400]])
    tested = np.stack([-0.5 * y[400:, 0] + noise[0, 400:], y[400:, 0] + 0.1 * noise[1, 400:]])
    halves.search, halves.held_out = unit_length(searched), unit_length(tested)
    score, quantity, sign = halves.scores(y[:400], y[400:])
    assert (quantity[0], sign[0]) == (0, -1)
    exact = -np.corrcoef(tested[0], y[400:, 0])[0, 1]
    assert score[0, 0] == pytest.approx(exact, abs=1e-5)
    assert 0 < exact < 0.5
