"""Provenance: typed when it is given, checked when it is read, and nothing of it lost."""

from __future__ import annotations

import json

import pytest

from charloom.errors import SettingsError
from charloom.model.scoring import Score
from charloom.model.storage.provenance import Provenance
from charloom.settings import TextSettings, TrainingSettings


def test_nothing_needs_to_be_known_of_a_model():
    empty = Provenance()
    assert empty.to_json() == {}
    assert (empty.lines, empty.seed, empty.text) == (False, 0, TextSettings())


def test_what_is_known_comes_back_from_json():
    known = Provenance(
        step=7,
        steps=9,
        validation=Score(nats=2.5, characters=2, utf8_bytes=3, unknown_characters=1),
        precision="float32",
        kernels="native avx2",
        text=TextSettings(normalization="nfc"),
        training=TrainingSettings(batches="lines", seed=3),
        corpus={"characters": 4, "utf8_bytes": 5, "sha256": "0" * 64, "unknown_count": 1},
        split={
            part: {"start": 0, "stop": 2, "sha256": "f" * 64} for part in ("training", "validation")
        },
    )
    back = Provenance(**json.loads(json.dumps(known.to_json())))
    assert back == known
    assert (back.lines, back.seed) == (True, 3)


def test_a_validation_is_stored_with_the_figures_that_follow_from_it():
    stored = Provenance(validation=Score(nats=3.0, characters=2)).to_json()["validation"]
    assert stored["nats_per_character"] == 1.5
    assert stored["bits_per_character"] == Score(nats=3.0, characters=2).bits_per_character


def test_a_key_that_others_have_added_is_kept():
    assert Provenance(card={"licence": ["MIT"]}).to_json() == {"card": {"licence": ["MIT"]}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": -1},
        {"step": 2**63},
        {"validation": {"characters": 10**400}},
        {"validation": {"nats": float("nan")}},
        {"corpus": {"characters": 1}},
        {"split": {"training": {}}},
        {"text": {"colour": 3}},
        {"training": {"threads": -1}},
        {"card": object()},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(SettingsError):
        Provenance(**wrong)
