"""A griffe extension: examples in docstrings become code blocks on the page of the library.

Without it, Markdown takes `>>>` for nested quotations.
"""

from typing import Any

import griffe


def fenced(docstring: str) -> str:
    r"""The docstring with a fence around each example, which ends at an empty line.

    >>> print(fenced("A sum.\n\n>>> 1 + 1\n2\n\nNo more.").replace("`", "'"))
    A sum.
    <BLANKLINE>
    '''pycon
    >>> 1 + 1
    2
    '''
    <BLANKLINE>
    No more.
    """
    lines: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if not inside and line.startswith(">>> "):
            lines.append("```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)


class DoctestFences(griffe.Extension):
    """Applies `fenced` to every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
