"""What the documents show is true: Python blocks, their output, commands, file names.

The Python blocks of a file are one session. A ```text block after the comment
`<!-- output -->` is what the Python block before it prints. Blocks marked otherwise, such as
"python peers", need more than charloom does, and have tests of their own, output and all. Of
every charloom command in a ```sh block, or after a $ in a ```console block, the verb and all flags
are parsed as the command line parses them.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from charloom.cli.lazy import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"^(<!-- output -->\n+)?```(.*)\n((?s:.*?))^```$", re.MULTILINE)


def run(document: str, name: str) -> None:
    """Run the Python blocks of a document in order, and compare what they print."""
    session: dict[str, object] = {"__name__": name}
    printed: str | None = ""
    for block in BLOCK.finditer(document):
        is_output, language, text = block.groups()
        line = document.count("\n", 0, block.start(3))
        if language == "python":
            code = compile("\n" * line + text, name, "exec")  # errors name the document's line
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, session)
            printed = output.getvalue()
        elif language == "python peers":
            printed = None  # it has a test of its own
        elif is_output and printed is not None:
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


def test_the_program_that_looks_for_rhymes_finds_them() -> None:
    page = (ROOT / "docs/howto/make.md").read_text("utf-8")
    (program,) = [block[3] for block in BLOCK.finditer(page) if block[2] == "python program"]
    for text, status in [
        ("The cat sat down,\nand wore a crown.\n", 0),
        ("The cat\nand the dog\n", 1),
        ("again\nagain\n", 1),
        ("", 1),
    ]:
        done = subprocess.run([sys.executable, "-c", program], input=text, text=True, check=False)
        assert done.returncode == status, text


def commands(document: str) -> list[list[str]]:
    """The words of every charloom command in the ```sh and ```console blocks of a document."""
    found = []
    for block in BLOCK.finditer(document):
        _, language, text = block.groups()
        lines = text.replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        elif language != "sh":
            continue
        for line in lines:
            words, command = shlex.split(line, comments=True), []
            for word in [*words, "|"]:
                if word in ("|", ">", "&", "&&"):
                    found += [command[1:]] if command[:1] == ["charloom"] else []
                    command = []
                else:
                    command.append(word)
    return found


@cache
def verbs() -> dict[str, Any]:
    return vars(get_command(app()))["commands"]


def parse(words: list[str]) -> None:
    """Parse a command as the command line does, without running it."""
    verb, *rest = words
    verbs()[verb].make_context(verb, rest)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_command_line_understands_every_command_that_a_document_shows(path: Path) -> None:
    if path.name != "cli.md":  # which has placeholders, and is made from the commands themselves
        for words in commands(path.read_text("utf-8")):
            parse(words)


def test_a_command_that_does_not_exist_is_found() -> None:
    page = "```sh\ncharloom score run -  # words\ncharloom score run --by-word | head\n```\n"
    page += (
        "```console\n$ echo a | charloom score run - && charloom info run &\ncharloom out\n```\n"
    )
    right, wrong, *others = commands(page)
    assert others == [["score", "run", "-"], ["info", "run"]]
    parse(right)
    with pytest.raises(Exception, match="--by-word"):
        parse(wrong)
    with pytest.raises(KeyError, match="skore"):
        parse(["skore", "run"])


@cache
def flags() -> set[str]:
    """Every flag of a command, of the benchmarks and of the program itself."""
    known = {"--help", "--version", "--install-completion", "--show-completion"}
    for verb in verbs().values():
        for parameter in verb.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    for path in (ROOT / "benchmarks").glob("*.py"):
        known |= set(re.findall(r'"(--[a-z0-9-]+)"', path.read_text("utf-8")))
    return known | {"--check"}  # of scripts/make_web.py


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_flag_that_a_sentence_names_exists(path: Path) -> None:
    text = BLOCK.sub("", path.read_text("utf-8"))
    named = [
        re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code) for code in re.findall(r"`([^`]+)`", text)
    ]
    assert {flag for code in named for flag in code} <= flags()


PLACES = (ROOT, ROOT / "src" / "charloom")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_with_its_folder_exists(path: Path) -> None:
    folders = "native|engines|model|training|text|inspection|serving|cli|examples|benchmarks"
    names = rf"`((?:{folders}|tests|docs|src)/[\w./-]*)`"
    for name in re.findall(names, path.read_text("utf-8")):
        assert any((place / name).exists() for place in PLACES), f"{path.name} names {name}"


OUTSIDE = [path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"]
"""Documents that are no pages of the site, whose links `make site` checks."""


def headings(path: Path) -> set[str]:
    """The anchors of a document, as GitHub makes them of its headings."""
    lines = BLOCK.sub("", path.read_text("utf-8")).splitlines()
    titles = [line.lstrip("#").strip().lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_there(path: Path) -> None:
    text = BLOCK.sub("", path.read_text("utf-8"))
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        assert (ROOT / name).exists(), link
        assert not anchor or anchor in headings(ROOT / name if name else path), link
    assert links or path.name != "README.md"


def named_in(document: str) -> set[str]:
    """The files and folders that the tree of a document names."""
    tree = document.partition("## Where things are\n\n```\n")[2].partition("\n```")[0]
    found, folders = [], {-1: ""}
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent > 8:
            continue  # more of what the line before says
        above = folders[max(level for level in folders if level < indent)]
        names = re.split(" {3,}", line.strip())[0].split()
        found += [above + name for name in names]
        folders[indent] = found[-1]
    return set(found)


@pytest.mark.parametrize("path", ["README.md", "docs/architecture.md"])
def test_what_a_tree_names_is_there(path: str) -> None:
    named = named_in((ROOT / path).read_text("utf-8"))
    assert {"src/charloom/engines/", "native/"} <= named
    assert [name for name in sorted(named) if not [*ROOT.glob(name), *ROOT.glob(f"{name}.*")]] == []


def test_the_tree_in_full_names_every_folder_of_python_files() -> None:
    named = named_in((ROOT / "docs/architecture.md").read_text("utf-8"))
    package = ROOT / "src" / "charloom"
    folders = {file.parent for file in package.rglob("*.py")} - {package}
    assert {f"{folder.relative_to(ROOT)}/" for folder in folders} - named == set()


def test_a_name_in_a_tree_is_found_below_its_folder() -> None:
    tree = "## Where things are\n\n```\nA  b/\na/   told\n    x y/     of both\n        z\n```\n"
    assert named_in(tree) == {"A", "b/", "a/", "a/x", "a/y/", "a/y/z"}
