"""`export`, `import` and `card`, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from models import fox_model

import charloom
from charloom.cli import formats
from charloom.cli.main import main


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    fox_model().save(tmp_path / "fox.safetensors")
    return tmp_path / "fox.safetensors"


def test_a_page_is_written(fox, tmp_path, capsys):
    assert main(["export", str(fox), "-o", str(tmp_path / "fox.html")]) == 0
    assert "<!doctype html>" in (tmp_path / "fox.html").read_text("utf-8")
    assert capsys.readouterr().out == ""


def test_a_model_file_is_stamped_anew(fox, tmp_path):
    assert main(["import", str(fox), "-o", str(tmp_path / "new.safetensors")]) == 0
    new = charloom.Model.load(tmp_path / "new.safetensors")
    assert new.digest == charloom.Model.load(fox).digest


def test_a_card_is_printed(fox, capsys):
    assert main(["card", str(fox)]) == 0
    assert capsys.readouterr().out.startswith("---\n")
    assert formats.card.__doc__


def test_an_unknown_format_is_one_line(fox, tmp_path, capsys):
    assert main(["export", str(fox), "-o", str(tmp_path / "fox.docx")]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert ".docx" in line
    assert ".onnx" in line
