"""The plugin in plugins/llm-charloom gives the program `llm` the texts of the model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from serving_tools import small_model

llm = pytest.importorskip("llm")
testing = pytest.importorskip("click.testing")

PLUGIN = Path(__file__).parents[2] / "plugins" / "llm-charloom" / "llm_charloom.py"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`llm`, with this plugin as if it were installed."""
    from llm import cli, plugins

    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    specification = importlib.util.spec_from_file_location("llm_charloom", PLUGIN)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "llm_charloom", module)
    specification.loader.exec_module(module)
    plugins.load_plugins()
    plugins.pm.register(module, name="charloom")
    small_model().save(tmp_path / "small.safetensors")
    file = str(tmp_path / "small.safetensors")

    def run(*words: str):
        return testing.CliRunner().invoke(cli.cli, ["-m", "charloom", *words])

    yield run, file
    plugins.pm.unregister(module)


@pytest.mark.filterwarnings("ignore")
def test_its_text_is_the_one_that_generate_makes(command):
    run, file = command
    alone = "".join(small_model().generate("the Fox", length=40, seed=3, top_k=5))
    options = ["-o", "file", file, "-o", "length", "40", "-o", "seed", "3", "-o", "top_k", "5"]
    for way in ([], ["--no-stream"]):
        answer = run("the Fox", *options, *way)
        assert answer.exit_code == 0, answer.output
        assert answer.output == alone + "\n"


@pytest.mark.filterwarnings("ignore")
def test_what_is_wrong_is_told_in_one_line(command):
    run, file = command
    for options, told in (
        (["-o", "file", "nowhere"], "nowhere"),
        (["-o", "file", file, "-o", "temperature", "-1"], "temperature: -1"),
        ([], "file"),
    ):
        answer = run("the Fox", *options)
        assert answer.exit_code != 0
        assert told in answer.output
        assert "Traceback" not in answer.output


def test_it_stays_small():
    assert len(PLUGIN.read_text(encoding="utf-8").splitlines()) < 60
