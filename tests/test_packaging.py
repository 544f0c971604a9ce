"""What packaging says agrees with itself: Pythons, lowest versions, extras, typed names."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import charloom

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
SETTINGS = tomllib.loads(PYPROJECT)
PROJECT = SETTINGS["project"]
PYTHONS = [f"3.{minor}" for minor in range(10, 15)]


def test_classifiers_wheels_ci_and_make_name_the_same_pythons():
    classified = [c for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert [c.rpartition(" ")[2] for c in classified] == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    wheels = SETTINGS["tool"]["cibuildwheel"]["build"].split()
    assert wheels == [f"cp{python.replace('.', '')}-*" for python in PYTHONS]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert str(PYTHONS).replace("'", '"') in workflow
    assert f"$(addprefix pythons-,{' '.join(PYTHONS)})" in (ROOT / "Makefile").read_text("utf-8")


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_core_for_the_page_was_made_of_these_sources():
    core = ROOT / "src/charloom/serving/page/worker/core.wasm"
    assert core.read_bytes().endswith(script("make_web").section()), "run: make web"


def test_every_dependency_has_a_lowest_version_that_is_tried():
    constraints = script("lowest").lowest(PYPROJECT)
    needed = [re.match(r"[\w.-]+", need)[0] for need in PROJECT["dependencies"]]
    assert [line.partition("==")[0] for line in constraints][: len(needed)] == needed
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+( ; .*)?", line) for line in constraints)


def imported(tree: ast.AST, *, nested: bool) -> set[str]:
    """Packages that a module imports, when it is imported or, if `nested`, at any time."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
        elif nested or not (
            isinstance(node, ast.FunctionDef)
            or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ):
            found |= imported(node, nested=nested)
    return found - sys.stdlib_module_names - {"charloom"}


def names(needs: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", need)[0].replace("-", "_") for need in needs}


def test_all_that_is_imported_is_declared():
    needed = names(PROJECT["dependencies"]) | {"tomllib"}  # which is Python's own from 3.11 on
    extras = names([need for needs in PROJECT["optional-dependencies"].values() for need in needs])
    brought = {"h5py", "IPython", "google"}  # by Keras, a notebook, TensorBoard
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        assert imported(tree, nested=True) <= needed | extras | brought, path
        if path.parent.name != "pytorch" and "torch" not in path.name:
            assert imported(tree, nested=False) <= needed, path


def test_every_extra_has_a_line_in_the_architecture():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in ("plot", "parquet", "tensorboard", "torch", "browser", "peers", "dev"):
        assert name in PROJECT["optional-dependencies"]
        assert f"(`{name}`" in page, name


def test_the_package_says_that_it_is_typed():
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (Path(charloom.__file__).parent / "py.typed").exists()
