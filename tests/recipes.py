"""The recipes of examples/recipes/, run on a small cut and compared with their pages."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]


def recipe(name: str) -> SimpleNamespace:
    """The functions of a recipe, without running it."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "examples" / "recipes" / f"{name}.py")))


def statements(output: str) -> list[str]:
    """What a recipe says of a model, once, each number as #; samples are indented: left out."""
    lines = [line for line in output.splitlines() if line and not line.startswith(" ")]
    return list(dict.fromkeys(re.sub(r" *\d[\d.,]*%?", " #", line) for line in lines))


def shown(name: str) -> list[str]:
    """The statements in the output that the page of a recipe shows."""
    page = (ROOT / "docs" / "recipes" / f"{name}.md").read_text("utf-8")
    (output,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return statements(output)
