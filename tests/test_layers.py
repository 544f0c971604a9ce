"""Imports point downwards only: a folder imports from folders and files below it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import charloom
from charloom.engines.cell import CELLS

LAYERS = [  # from the bottom; a line may import from itself and from the lines above it here
    ("errors",),
    ("settings", "files"),
    ("text",),
    ("engines",),
    ("model",),
    ("training",),
    ("__init__", "demo"),
    ("inspection",),
    ("serving",),
    ("export",),
    ("cli",),
    ("__main__",),
]
LEVEL = {place: level for level, places in enumerate(LAYERS) for place in places}

SOURCE = Path(charloom.__file__).parent
TESTS = Path(__file__).parent

PUBLIC = [name for name in dir(charloom) if not name.startswith("_")]


@cache
def modules() -> list[str]:
    files = (f.relative_to(SOURCE) for f in SOURCE.rglob("*.py"))
    return sorted(".".join(f.with_suffix("").parts) for f in files)


@cache
def imported(name: str) -> set[str]:
    """The modules of this package that a module names in an import, wherever it stands."""
    path = SOURCE.joinpath(*name.split(".")).with_suffix(".py")
    package = ["charloom", *name.split(".")][:-1]
    known = {f"charloom.{module}" for module in modules()}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            names = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {one if one in known else origin for one in names}
    own = {module for module in found if module.split(".")[0] == "charloom"}
    return {module.removeprefix("charloom").removeprefix(".") or "__init__" for module in own}


def place(module: str) -> str:
    return module.split(".")[0]


def circles(graph: dict[str, set[str]]) -> list[str]:
    """What is left when modules that import only finished ones are taken away, again and again."""
    left = dict(graph)
    while done := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in done:
            del left[name]
    return sorted(left)


def test_every_folder_and_file_has_its_layer():
    assert {place(module) for module in modules()} <= LEVEL.keys()


@pytest.mark.parametrize("name", [n for n in modules() if n != "__init__"])
def test_no_import_points_upwards(name):
    for other in imported(name):
        same = place(other) == place(name)
        assert same or LEVEL[place(other)] < LEVEL[place(name)], f"{name} imports {other}"


def test_imports_form_no_circle():
    graph = {name: imported(name) - {name, "__init__"} for name in modules()}
    del graph["__init__"]  # it loads what it names when first used
    assert circles(graph) == []


def test_the_checks_see_imports_and_circles():
    assert {"text.corpus", "model.storage.provenance"} <= imported("training.start")
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_no_code_outside_an_engine_compares_the_name_of_a_cell():
    names = "|".join(CELLS)
    for file in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.js")]:
        compared = re.findall(rf"""[!=]=+ ?["'](?:{names})["']""", file.read_text("utf-8"))
        assert not compared or "engines" in file.parts, file


def test_the_top_of_the_package_is_small():
    shown = [entry for entry in SOURCE.iterdir() if entry.name != "__pycache__"]
    assert len([entry for entry in shown if [*entry.glob("*.py")]]) <= 8  # others hold data
    assert len([entry for entry in shown if entry.is_file()]) <= 7


def test_every_module_is_named_by_a_test_file():
    named = set()
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
    here = {f"charloom.{m}" for m in modules() if not m.endswith(("__init__", "__main__"))}
    assert sorted(here - named) == []


def test_the_public_names_are_few_sorted_and_loadable():
    functions = [
        "card",
        "compare",
        "compress",
        "context",
        "copied",
        "decompress",
        "explain",
        "export_log",
        "export_model",
        "import_model",
        "plot",
        "prepare",
        "process_files",
        "read",
        "recall",
        "resume",
        "rule_given",
        "save_page",
        "save_trace",
        "serve",
        "tensorboard",
        "train",
        "tune",
        "units",
        "visible",
    ]
    assert [name for name in PUBLIC if name.islower()] == functions
    assert len(PUBLIC) <= 60
    assert sorted(PUBLIC) == PUBLIC
    for name in PUBLIC:
        value = getattr(charloom, name)
        home = importlib.import_module(value.__module__)
        assert getattr(home, name) is value
        assert value.__doc__


def test_every_public_function_has_an_example_that_runs():
    for name in PUBLIC:
        if name.islower():
            assert ">>> " in (getattr(charloom, name).__doc__ or ""), name


def test_the_types_of_public_names_are_those_that_are_loaded():
    tree = ast.parse(Path(charloom.__file__).read_text(encoding="utf-8"))
    block, lazy = (node for node in tree.body if isinstance(node, ast.If))
    assert isinstance(lazy.test, ast.UnaryOp)  # a type checker does not see __getattr__
    declared = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == charloom._HOME


def allowed_in_the_command_line(tree: ast.AST) -> list[str]:
    """What a file of cli/ takes from the library that is not public."""
    modules = {"settings", "inspection.settings", "errors", "demo"}
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module not in modules:
            wrong.append(f"..{node.module}")
        if isinstance(node, ast.ImportFrom) and node.level == 0 and "charloom" in node.module:
            wrong.append(node.module)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = dir(charloom)
            if node.value.id == "charloom" and node.attr not in known:
                wrong.append(f"charloom.{node.attr}")
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            wrong.append(node.attr)
    return wrong


@pytest.mark.parametrize("file", sorted((SOURCE / "cli").glob("*.py")), ids=lambda f: f.stem)
def test_the_command_line_uses_public_names_alone(file: Path):
    assert allowed_in_the_command_line(ast.parse(file.read_text(encoding="utf-8"))) == []


def test_a_private_name_in_the_command_line_is_seen():
    code = "from ..text.reading import read\nfrom charloom.files import replacing\n"
    code += "charloom.settings.Threads\nrun._log\n"
    found = allowed_in_the_command_line(ast.parse(code))
    assert sorted(found) == ["..text.reading", "_log", "charloom.files", "charloom.settings"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        charloom.trian  # noqa: B018


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_help_names_all_that_is_public_in_less_than_200_lines():
    shown = run_python("import charloom; help(charloom)")
    for name in PUBLIC:
        assert re.search(rf"\b{name}\b", shown), name
    assert "charloom.train(" in shown
    assert "pydantic" not in shown
    assert len(shown.splitlines()) < 200
    told = run_python("import charloom; help(charloom.Model)")
    assert re.search(r"generate\([\s|]*self,[\s|]*prompt", told)  # over several lines from 3.13 on


def test_importing_loads_nothing_heavy():
    code = "import charloom, sys; print(*{'numpy', 'pydantic', 'typer'} & {*sys.modules})"
    assert run_python(code).strip() == ""


def test_settings_and_errors_load_no_numpy():
    code = "import charloom, sys; charloom.ModelSettings(); print('numpy' in sys.modules)"
    assert run_python(code).strip() == "False"
