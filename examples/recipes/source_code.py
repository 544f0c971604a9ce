"""Source code: Python functions that a model generates, and how many of them compile.

    pip install charloom
    python examples/recipes/source_code.py

The text is every function of up to 300 characters in Python's standard library, written anew by
`ast.unparse`, so that all have one style and no comments. The model is kept in code.run.
"""

from __future__ import annotations

import ast
import random
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import charloom

LONGEST = 300


def functions(folder: Path) -> Iterator[str]:
    """The short functions and methods in the Python files of a folder and those below it."""
    for file in sorted(folder.rglob("*.py")):
        if {"test", "tests", "idle_test", "site-packages"} & set(file.parts):
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):  # lib2to3 has files of Python 2
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                if ast.get_docstring(node) is not None and len(node.body) > 1:
                    del node.body[0]
                text = ast.unparse(node)
                if len(text) <= LONGEST and text.isascii():
                    yield text


def compiles(text: str) -> bool:
    """Whether a text is a function that Python compiles, with names or without sense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(text, "generated", "exec")
        except (SyntaxError, ValueError):
            return False
    return "def " in text


def undefined(text: str) -> set[str]:
    """Names that a function reads, and that are neither its own nor Python's nor a module's."""
    import builtins

    nodes = list(ast.walk(ast.parse(text)))
    known = {*dir(builtins), *sys.stdlib_module_names}
    known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known |= {name.id for name in names if not isinstance(name.ctx, ast.Load)}
    return {name.id for name in names} - known


def trained(text: str, small: bool) -> charloom.Model:
    """The model in code.run, trained first if it is not there; a toy if small."""
    if not small and Path("code.run").exists():
        return charloom.Model.load("code.run")
    size = 64 if small else 256
    length = {"steps": 100} if small else {}
    run = charloom.train(
        charloom.InMemory(text),
        output=None if small else "code.run",
        model=charloom.ModelSettings(hidden_size=size, num_layers=1),
        training=charloom.TrainingSettings(batches="streams", **length),
    )
    print(f"    {run.plan.choice}")
    return run.finish()


def main(small: bool = False) -> None:
    """Train, generate, compile."""
    every = functions(Path(sysconfig.get_path("stdlib")))
    found = sorted(set(islice(every, 300 if small else None)))
    random.Random(1).shuffle(found)
    # An empty line parts two functions, and stands nowhere in one.
    model = trained("\n\n".join(one for one in found if "\n\n" not in one) + "\n\n", small)
    options = {"length": 2 * LONGEST, "stop": "\n\n", "seed": 1}
    for temperature in (0.5, 0.8):
        count = 20 if small else 1000
        made = model.generate_many("\n\ndef ", count=count, temperature=temperature, **options)
        made = ["def " + text for text in made]
        good = [text for text in made if compiles(text)]
        new = [text for text in good if text not in found]
        whole = [text for text in good if not undefined(text)]
        print(f"temperature {temperature}: {len(good) / count:.1%} of {count} compile, ", end="")
        print(f"{len(new) / max(len(good), 1):.1%} of these are new, ", end="")
        print(f"{len(whole) / max(len(good), 1):.1%} know all their names")
        for text in new[:3]:
            print("    " + text.replace("\n", "\n    ") + "\n")


if __name__ == "__main__":
    main(small="--small" in sys.argv[1:])
