"""docs/serving.md, executed: its curl commands and OpenAI's client against `charloom serve`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_documents import BLOCK, run

pytest.importorskip("openai")

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000/"


@pytest.fixture
def address(tmp_path, monkeypatch):
    """The server of the model that the page trains."""
    monkeypatch.chdir(tmp_path)
    run(PAGE, "serving.md")
    command = [sys.executable, "-m", "charloom", "serve", "fox.safetensors", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_what_the_page_shows_is_what_happens(address):
    shown = PAGE.replace("```python\n", "```once\n").replace("```python peers\n", "```python\n")
    run(shown.replace(ADDRESS, address), "serving.md")
    if shutil.which("curl"):
        answers = [
            subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
            for block in BLOCK.finditer(PAGE.replace(ADDRESS, address))
            for line in block[3].splitlines()
            if line.startswith("curl ")
        ]
        models, text, stream, health, metrics = answers
        assert json.loads(models)["data"][0]["id"] == "fox"
        assert json.loads(text)["choices"][0]["text"] == " and the crow"
        assert stream.endswith("data: [DONE]\n\n")
        assert json.loads(health) == {"status": "ok"}
        assert "charloom_generated_characters_total" in metrics
