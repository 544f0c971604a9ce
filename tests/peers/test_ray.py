"""On a Ray cluster: parts equal to those of this process, too few CPUs told, no file lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from models import fox_model

import charloom
from charloom.errors import SettingsError
from charloom.model.many import cluster

pytest.importorskip("ray")
NODES = Path(__file__).parent / "ray_nodes.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    fox_model(hidden_size=64).save(folder / "fox.safetensors")
    (folder / "texts").mkdir()
    for n in range(40):
        (folder / "texts" / f"{n}.txt").write_text("the fox said:\n" * (50 * n + 1))
    many = charloom.ManySettings(workers=1)
    model = folder / "fox.safetensors"
    list(charloom.process_files("evaluate", model, folder / "texts", folder / "here", many=many))
    return folder


@pytest.fixture(scope="module")
def on_nodes(place) -> dict:
    """What came of the files on two nodes, in `place / "nodes"`."""
    source = Path(charloom.__file__).parents[1]
    command = [sys.executable, NODES, place / "fox.safetensors", place / "texts", place / "nodes"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), *sys.path])}
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def parts(folder: Path) -> dict[str, bytes]:
    """Without the hidden files that a process of the lost node may have left half written."""
    return {file.name: file.read_bytes() for file in folder.glob("[!.]*")}


def test_a_node_that_is_lost_in_the_middle_loses_nothing(place, on_nodes):
    assert on_nodes["made"] == 40
    assert parts(place / "nodes") == parts(place / "here")


def test_too_few_cpus_are_told_before_it_starts(on_nodes):
    assert "5 were asked for" in on_nodes["complaint"]
    assert "it has 3; give at most 3" in on_nodes["complaint"]


def test_a_cluster_that_is_not_there_is_told(place):
    many = charloom.ManySettings(workers=1, cluster="ray", address="127.0.0.1:1")
    with pytest.raises(SettingsError, match="no Ray cluster answers there"):
        list(
            charloom.process_files(
                "evaluate", place / "fox.safetensors", place / "texts", place / "none", many=many
            )
        )


def test_without_ray_the_extra_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'charloom\[ray\]'"):
        cluster._ray()
