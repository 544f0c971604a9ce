"""The plan of a run: typed, complete, and refused where it makes no sense."""

from __future__ import annotations

import json

import pytest
from runs import PLAN

from charloom.errors import CharloomError
from charloom.training.plan import IdsFile, Plan


def test_a_plan_comes_back_from_json():
    assert Plan(**json.loads(json.dumps(PLAN.model_dump()))) == PLAN


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"vocabulary": {"kind": "characters", "characters": "ba", "unknown": True}},
        {"vocabulary": 3},
        {"model": {"hidden_size": 0}},
        {"training": {"steps": 1, "epochs": 2}},
        {"corpus": {"characters": -1}},
        {"split": {}},
        {"colour": 3},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change):
    with pytest.raises(CharloomError):
        Plan(**{**PLAN.model_dump(), **change})


@pytest.mark.parametrize(
    "name", ["../text.ids", "/etc/passwd", "text.ids\n", "text.idsx", "text.xyz.ids", ""]
)
def test_ids_are_in_the_folder_of_their_run(name):
    with pytest.raises(CharloomError):
        IdsFile(name=name, sha256="0" * 64)
    IdsFile(name="text.0123abcd.ids", sha256="0" * 64)
