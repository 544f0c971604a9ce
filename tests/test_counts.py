"""Every count that is told goes through `counted`: no message has a number and a plural of its own.

The source is searched: a value in an f-string, in a message of the log or in a template of the page
that a plural follows, perhaps after adjectives, is refused, and so is a verb after `counted`, which
could not agree with both "1 text" and "2 texts".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import charloom
from charloom.errors import counted

SOURCE = Path(charloom.__file__).parent
PYTHON = sorted(SOURCE.rglob("*.py"))
SCRIPTS = sorted((SOURCE / "serving" / "page").rglob("*.js"))

# What may stand between a value and a plural that it does not count, or ends in an s itself.
NO_NOUNS = {
    *("a", "also", "an", "and", "are", "as", "at", "be", "before", "but", "by", "can", "cannot"),
    *("computes", "did", "do", "does", "done", "finds", "follows", "for", "from", "gives", "goes"),
    *("had", "has", "have", "holds", "in", "into", "is", "it", "its", "knows", "less", "may"),
    *("must", "no", "not", "of", "on", "or", "reads", "says", "speaks", "than", "that", "the"),
    *("this", "to", "trains", "was", "were", "what", "where", "which", "will", "with"),
}
VERBS = {"are", "do", "does", "has", "have", "is", "stand", "stands", "was", "were"}
NO_COUNT = {"bits", "nats", "gates"}  # the first two have fractions; a cell has several gates


def plural_after(text: str) -> str | None:
    """The plural that what stands before this text seems to count."""
    following = re.match(r" ([\w-]+(?: [\w-]+){0,2})(?!/)\b", text)  # characters/s is a rate
    for word in following[1].split() if following else ():
        if word in NO_NOUNS or not word.isascii():
            return None
        if re.fullmatch(r"[A-Za-z-]{2,}[^s\d]s", word):
            return None if word in NO_COUNT else word
    return None


def is_rounded(value: ast.FormattedValue) -> bool:
    """Whether a value is shown with decimals, as a percentage or as the repr of something."""
    spec = ast.unparse(value.format_spec) if value.format_spec else ""
    return value.conversion == ord("r") or re.search(r"[fge%]['\"]$", spec) is not None


def is_constant(value: ast.expr) -> bool:
    name = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
    return name.isupper()


def is_counted(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") == "counted"


def wrong_in_python(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for rest in re.findall(r"%[ds](.*)", node.value):
                if plural_after(rest):
                    yield f"%d{rest}"
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue):
                continue
            told = ast.unparse(value.value)
            if isinstance(after, ast.FormattedValue):
                continue
            text = str(after.value) if isinstance(after, ast.Constant) else ""
            verb = re.match(r" ([a-z]+)\b", text)
            if is_counted(value.value) and verb and verb[1] in VERBS:
                yield f"{{{told}}}{verb[0]}"
            if not is_rounded(value) and not is_constant(value.value) and plural_after(text):
                yield f"{{{told}}}{text}"
        for value, space, noun in zip(node.values, node.values[1:], node.values[2:], strict=False):
            if isinstance(space, ast.Constant) and space.value == " ":
                named = isinstance(noun, ast.FormattedValue) and ast.unparse(noun.value)
                if isinstance(value, ast.FormattedValue) and re.search(r"\.kind$", named or ""):
                    yield ast.unparse(node)


def wrong_in_a_script(code: str) -> Iterator[str]:
    for value, text in re.findall(r"\$\{([^{}]*)\}([^`$]*)", code):
        verb = re.match(r" ([a-z]+)\b", text)
        if value.startswith("counted(") and verb and verb[1] in VERBS:
            yield f"${{{value}}}{verb[0]}"
        rounded = re.search(r"toFixed|number\(", value) or re.search(r"\b[A-Z]{3,}", value)
        if not rounded and plural_after(text):
            yield f"${{{value}}}{text}"


def test_no_message_has_a_number_and_a_plural_of_its_own():
    found = {f: list(wrong_in_python(f.read_text(encoding="utf-8"))) for f in PYTHON}
    assert {file: wrong for file, wrong in found.items() if wrong} == {}


def test_the_page_counts_likewise():
    assert [w for f in SCRIPTS for w in wrong_in_a_script(f.read_text(encoding="utf-8"))] == []


def test_a_number_with_a_plural_is_seen():
    for code in (
        'f"{n:,} layers"', 'f"it has {len(x)} rarer characters;"', 'f"{n} {self.kind}"',
        'f"{counted(n, noun)} were read"', 'log.info("%d files", n)', 'f"a{n} log-probabilities "',
    ):  # fmt: skip
        assert list(wrong_in_python(code)), code
    for code in ('f"{x:.2f} bits"', 'f"{n} of the texts"', 'f"{MOST} texts"', 'f"{n} was given"'):
        assert not list(wrong_in_python(code)), code
    assert list(wrong_in_a_script("`the ${size} distinct characters, …`"))
    assert list(wrong_in_a_script('`${counted(n, "text")} are here`'))


def test_one_is_singular_and_all_else_is_plural():
    assert [counted(n, "row") for n in (0, 1, 2, 1000)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,000 rows",
    ]
