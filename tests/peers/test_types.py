"""mypy and pyright see the types of the public names, and a user's mistakes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import charloom

TYPED = Path(__file__).parents[1] / "typed.py"
SOURCE = Path(charloom.__file__).parents[1]  # an editable install hides it from type checkers
MISTAKES = [
    'charloom.train(InMemory("a"), outptu="b")',
    'charloom.trian(InMemory("a"))',
    'model.generate("the", length="9")',
    'model.evaluate("the").bits_per_charcter',
    'charloom.ModelSettings(hidden_size="wide")',
    'model.score("the", by="verse")',
]
NOT_FOLLOWED = "[mypy-torch.*,jax.*]\nfollow_imports = skip\n"  # they are large, and not asked for


def mypy(file: Path) -> dict[int, str]:
    """The errors of mypy, by line."""
    settings = f"[mypy]\nstrict = True\nmypy_path = {SOURCE}\n"
    (file.parent / "mypy.ini").write_text(settings + NOT_FOLLOWED)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", file.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent)
    found = re.findall(rf"^{file.name}:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    assert found or done.returncode == 0, done.stdout + done.stderr
    return {int(line): message for line, message in found}


def pyright(file: Path) -> dict[int, str]:
    """The errors of pyright, by line."""
    (file.parent / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(SOURCE)]}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = [one for one in found if one["severity"] == "error"]
    return {one["range"]["start"]["line"] + 1: one["message"] for one in errors}


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_a_type_checker_sees_through_the_lazy_names(checker, tmp_path):
    pytest.importorskip(checker.__name__)
    right = TYPED.read_text(encoding="utf-8")
    file = tmp_path / "user.py"
    file.write_text(right + "".join(f"{line}\n" for line in MISTAKES), encoding="utf-8")
    first = 1 + right.count("\n")
    wrong = checker(file)
    assert sorted(wrong) == list(range(first, first + len(MISTAKES))), wrong
