"""Several processes train as one does, and go on by themselves when one of them is killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from runs import checkpoint_of, outcome

torch = pytest.importorskip("torch")

from campaigns import elastic  # noqa: E402
from peers import group_runs  # noqa: E402

from charloom.engines.group import Group  # noqa: E402
from charloom.engines.joining import group_of, was_restarted  # noqa: E402
from charloom.engines.pytorch.engine import TorchEngine  # noqa: E402
from charloom.engines.pytorch.group import TorchGroup  # noqa: E402
from charloom.engines.pytorch.random import dropout_mask  # noqa: E402
from charloom.engines.pytorch.shared import SharedEngine  # noqa: E402
from charloom.errors import SettingsError  # noqa: E402
from charloom.training.start import resume, train  # noqa: E402

KINDS = ["streams", "lines", "windows", "few"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[int, Path]:
    """The runs of one process, which is this one, and of four: unequal shares of the streams."""
    place = tmp_path_factory.mktemp("runs")
    group_runs.main(str(place / "1"), "60", *KINDS)
    told = elastic.ended(elastic.started(place / "4", KINDS, 4, steps=60))
    assert "BROKEN" not in told, told
    return {processes: place / str(processes) for processes in (1, 4)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_of_one_process(runs, kind):
    one, many = (checkpoint_of(runs[n] / kind) for n in (1, 4))
    for name, weights in one.weights.items():
        assert np.abs(weights - many.weights[name]).max() <= 1e-6
    assert many.state.hidden.shape == one.state.hidden.shape
    assert np.abs(many.state.hidden - one.state.hidden).max() <= 1e-6


def test_a_run_that_is_killed_goes_on_and_ends_equal_to_the_last_bit(runs, tmp_path):
    # At the worst moment, while a checkpoint is written; at any other, the campaign kills.
    told = elastic.ended(elastic.started(tmp_path, ["streams"], 4, 60, KILL_AT_CHECKPOINT="2"))
    assert "BROKEN" not in told, told
    assert "(exitcode: -9) local_rank: 0" in told
    assert outcome(tmp_path / "streams") == outcome(runs[4] / "streams")


def test_a_run_of_four_processes_goes_on_with_one(runs, tmp_path):
    shutil.copytree(runs[4] / "streams", tmp_path / "streams")
    resume(tmp_path / "streams", steps=75).finish()
    longer = tmp_path / "alone"
    shutil.copytree(runs[1] / "streams", longer)
    resume(longer, steps=75).finish()
    one, four = checkpoint_of(longer), checkpoint_of(tmp_path / "streams")
    for name, weights in one.weights.items():
        assert np.abs(weights - four.weights[name]).max() <= 1e-5
    assert outcome(longer)[1] != []


def test_masks_of_some_streams_are_those_of_the_whole_batch():
    key = torch.tensor(12345, dtype=torch.int32)
    whole = dropout_mask(key, 1, (4, 7, 5), 0.3)
    part = dropout_mask(key, 1, (4, 3, 5), 0.3, first=2, streams=7)
    assert bool((whole[:, 2:5] == part).all())


def test_shares_are_all_streams_each_once():
    class One(Group):
        size = 4

    for streams in (0, 1, 3, 4, 10):
        found = []
        for rank in range(4):
            group = One()
            group.rank = rank
            found += range(streams)[group.share(streams)]
        assert found == list(range(streams))


def test_what_trains_in_a_group_is_an_engine_and_a_group_like_any_other():
    assert issubclass(SharedEngine, TorchEngine)
    assert issubclass(TorchGroup, Group)


def test_an_engine_of_one_process_is_refused_in_a_group(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(SettingsError, match="one of 2; use engine torch"):
        group_of("native")
    with pytest.raises(SettingsError, match="engine: auto trains in one process"):
        train([])
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert was_restarted()
