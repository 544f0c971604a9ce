"""A model card says what the file knows, in front matter that YAML reads."""

from __future__ import annotations

import json
import re

import pytest
from models import fox_model, short_run

import charloom
from charloom.cli.main import main
from charloom.export.card import card


def front(text: str) -> dict:
    opening, matter, _ = text.split("---\n", 2)
    assert opening == ""
    return {
        key: json.loads(value)
        for key, value in (line.split(": ", 1) for line in matter.splitlines())
    }


def test_the_card_of_a_run_has_its_measurement_text_and_training(tmp_path, capsys):
    short_run(tmp_path / "fox.run")
    assert main(["card", str(tmp_path / "fox.run")]) == 0
    text = capsys.readouterr().out
    model = charloom.Model.load(tmp_path / "fox.run")
    known = model.provenance
    matter = front(text)
    (entry,) = matter["model-index"]
    (result,) = entry["results"]
    measured = {metric["type"]: metric["value"] for metric in result["metrics"]}
    bits = known.validation.bits_per_character
    assert measured["bits_per_character"] == pytest.approx(bits, abs=1e-4)
    assert measured["perplexity"] == pytest.approx(2**bits, abs=1e-3)
    assert result["task"] and result["dataset"]["name"] and result["dataset"]["type"]
    for told in (known.corpus.sha256, model.digest, f"{model.parameters:,} weights", f"{bits:.4f}"):
        assert told in text
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code.replace("model.safetensors", str(tmp_path / "fox.run")), {})
    assert len(capsys.readouterr().out) == 301


def test_the_card_of_a_model_without_a_record_claims_nothing():
    text = card(fox_model())
    assert "model-index" not in front(text)
    assert "Measured" not in text and "bits per character" not in text


def test_yaml_reads_the_front_matter():
    yaml = pytest.importorskip("yaml")
    text = card(fox_model())
    assert yaml.safe_load(text.split("---\n")[1]) == front(text)
