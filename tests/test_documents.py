"""Every Python block of the documents runs, and prints what the document shows.

The blocks of a file are one session. A ```text block after the comment `<!-- output -->`
is what the Python block before it prints. Blocks marked otherwise, such as "python peers",
need more than charloom does, and have tests of their own.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^(<!-- output -->\n+)?```(.*)\n((?s:.*?))^```$", re.MULTILINE)


def run(document: str, name: str) -> None:
    """Run the Python blocks of a document in order, and compare what they print."""
    session: dict[str, object] = {"__name__": name}
    printed = None
    for block in BLOCK.finditer(document):
        is_output, language, text = block.groups()
        line = document.count("\n", 0, block.start(3))
        if language == "python":
            code = compile("\n" * line + text, name, "exec")  # errors name the document's line
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, session)
            printed = output.getvalue()
        elif is_output:
            assert text == printed, f"{name}, line {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_is_what_happens(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(path.read_text("utf-8"), path.name)


def test_a_document_that_shows_something_else_is_found() -> None:
    first, second = "```python\nx = 2\n```\nso\n", "```python\nprint(x + 2)\n```\n"
    page = first + second + "<!-- output -->\n```text\n4\n```\n"
    run(page, "right.md")
    with pytest.raises(AssertionError, match=r"wrong\.md, line 9"):
        run(page.replace("\n4\n", "\n5\n"), "wrong.md")
    with pytest.raises(ZeroDivisionError) as error:
        run(page.replace("x + 2", "x / 0"), "broken.md")
    assert error.traceback[-1].lineno + 1 == 6
