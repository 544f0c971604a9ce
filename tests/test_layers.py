"""Imports point upwards only: a file imports from lines above its own."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import charloom

LAYERS = [
    *("errors", "settings"),
    *("text.vocabulary", "text.reading", "text.corpus", "text.batches"),
    *("core.contract", "core.random", "core.sampling", "core.rounding", "core.reference"),
    *("core._native", "core.native"),
    *("loss", "optimizer", "network", "engines"),
    *("charges", "scoring", "inspection.trace", "generation", "checkpoint", "model"),
    *("folder", "schedule", "progress", "training", "demo", "__init__"),
    *("serving.limits", "serving.packing", "serving.passage", "serving.writing"),
    *("serving.app", "serving.export", "serving.server"),
    *("flags", "tables", "inspection.settings", "inspection.labels", "inspection.clamping"),
    *("inspection.statistics", "inspection.claims", "inspection.units"),
    *("inspection.reach", "inspection.recall"),
    *("inspection.story", "inspection.files", "inspection.pictures"),
    *("display", "commands.arguments", "commands.runs", "commands.models", "commands.inside"),
    *("cli", "__main__"),
]

SOURCE = Path(charloom.__file__).parent
FOLDERS = ("text", "core", "inspection", "serving", "commands")
EMPTY = {f"{folder}.__init__" for folder in FOLDERS}


def modules() -> list[str]:
    names = [".".join(f.relative_to(SOURCE).with_suffix("").parts) for f in SOURCE.rglob("*.py")]
    return sorted(set(names) - EMPTY)


def imported(name: str) -> set[str]:
    """The modules of this package that a module names in an import, wherever it stands."""
    path = SOURCE.joinpath(*name.split(".")).with_suffix(".py")
    package = ["charloom", *name.split(".")][:-1]
    layers = {f"charloom.{layer}": layer for layer in LAYERS}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            names = {f"{origin}.{alias.name}" for alias in node.names}
            found |= names if names <= layers.keys() else {origin}
    found = {module for module in found if module.split(".")[0] == "charloom"}
    return {layers.get(module, "__init__") for module in found}


def test_every_file_has_its_layer():
    assert set(modules()) | {"core._native"} == set(LAYERS)


@pytest.mark.parametrize("name", [n for n in modules() if n != "__init__"])
def test_a_file_imports_only_from_lines_above_its_own(name):
    above = set(LAYERS[: LAYERS.index(name)])
    assert imported(name) <= above


def test_the_check_itself_sees_imports():
    assert {"network", "scoring", "text.corpus"} <= imported("training")
    assert {"__init__", "errors", "tables"} <= imported("commands.arguments")


def test_the_public_names_are_few_sorted_and_loadable():
    assert charloom.__all__ == [
        "CharloomError",
        "InMemory",
        "Model",
        "ModelSettings",
        "Part",
        "Progress",
        "Run",
        "SamplingSettings",
        "Score",
        "TextSettings",
        "TrainingSettings",
        "read",
        "resume",
        "train",
    ]
    for name in charloom.__all__:
        value = getattr(charloom, name)
        home = importlib.import_module(value.__module__)
        assert getattr(home, name) is value
        assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        charloom.trian  # noqa: B018


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_help_shows_the_verbs_and_the_classes():
    shown = run_python("import charloom; help(charloom)")
    for name in charloom.__all__:
        assert name in shown
    assert "charloom.train(" in shown
    assert "class Model(" in shown
    assert "def train(" in shown or "train(sources" in shown


def test_importing_loads_nothing_heavy():
    code = "import charloom, sys; print(*{'numpy', 'pydantic', 'typer'} & {*sys.modules})"
    assert run_python(code).strip() == ""


def test_settings_and_errors_load_no_numpy():
    code = "import charloom, sys; charloom.ModelSettings(); print('numpy' in sys.modules)"
    assert run_python(code).strip() == "False"
