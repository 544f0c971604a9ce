"""Controls: networks that know nothing are many, and keep no more claims than is said."""

from __future__ import annotations

import numpy as np
import planted
import pytest
from campaigns import claims
from numpy.testing import assert_array_equal

from charloom.engines.weights import initial_weights
from charloom.inspection.settings import UnitsSettings
from charloom.inspection.units import controls
from charloom.inspection.units.labels import labels
from charloom.model.storage.provenance import Provenance
from charloom.settings import ModelSettings, TrainingSettings

TEXT = planted.text(1200, seed=4)


def test_networks_that_know_nothing_keep_no_claim_where_controls_and_clamping_alone_decide():
    text, shape = claims.prose()[:20_000], ModelSettings(hidden_size=12, num_layers=1)
    reports = []
    for seed in range(3):
        for model in (
            claims.untrained_network(text, shape, seed),
            claims.shuffled_network(text, shape, seed, steps=60),
        ):
            reports.append(claims.search(model, text, 3000, seed, least=0))
    tested = [claim for report in reports for claim in report.best]
    assert sum(claim.survives for claim in tested) <= claims.ALPHA * len(tested)
    assert sum(bool(report.surviving) for report in reports) <= 1
    assert [c for c in tested if c.score > 0.4 and c.p < 1e-6 and not c.survives]  # tempting ones


def test_controls_are_as_many_as_asked_and_none_is_another():
    every = labels(TEXT)["bracket depth"][:, None]
    found = controls.controls(
        planted.model(), TEXT, every, UnitsSettings(untrained=4, letter_shuffled=3)
    )
    assert found.untrained.shape == (4, 1)
    assert found.shuffled.shape == (3, 1)
    scores = [*found.untrained[:, 0], *found.shuffled[:, 0]]
    assert len(set(scores)) == 7
    assert found.best(0) == max(scores)


def test_the_chance_is_that_of_the_stronger_kind_and_1_below_the_best():
    random = np.random.default_rng(0)
    weak, strong = random.normal(0.2, 0.03, (12, 1)), random.normal(0.5, 0.03, (12, 1))
    for kinds in ((weak, strong), (strong, weak)):
        found = controls.Controls(untrained=kinds[0], shuffled=kinds[1])
        low, high = found.chance_of(np.array([found.best(0) - 0.001, 0.8]), 0)
        assert low == 1
        assert 0 < high == controls.chance_of(np.array([0.8]), strong[:, 0])[0]


def test_the_first_untrained_network_is_the_one_that_the_run_began_with(monkeypatch):
    seeds = []
    monkeypatch.setattr(controls, "best_scores", lambda model, *_: np.zeros(1))
    monkeypatch.setattr(controls, "untrained", lambda model, seed: seeds.append(seed))
    monkeypatch.setattr(controls, "letter_shuffled", lambda *_: None)
    model = planted.model()
    model.provenance = Provenance(training=TrainingSettings(seed=41))
    controls.controls(model, TEXT, np.zeros((9, 1)), UnitsSettings())
    assert seeds[0] == 41
    assert len(set(seeds)) == UnitsSettings().untrained


def test_letters_in_random_order_teach_their_frequencies_and_nothing_else():
    model = planted.model()
    trained = controls.letter_shuffled(model, TEXT, seed=3, steps=300)
    fresh = controls.untrained(model, seed=3)
    counts = np.bincount(model.vocabulary.encode(TEXT), minlength=model.vocabulary.size)
    share = counts[counts > 0] / counts.sum()
    entropy = -(share * np.log2(share)).sum()
    text = claims.shuffled(TEXT, seed=0)
    assert trained.evaluate(text).bits_per_character == pytest.approx(entropy, abs=0.1)
    assert fresh.evaluate(text).bits_per_character > entropy + 0.2
    first = initial_weights(model.settings, model.vocabulary.size, 3)
    assert_array_equal(fresh.weights["head.weight"], first["head.weight"])
