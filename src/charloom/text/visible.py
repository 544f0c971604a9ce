"""A text as it can be shown safely: in one line, with what a terminal would act on spelled out."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""A text in one line, with what a terminal would act on spelled out.

    >>> print(visible("a line\nand \x1b[31m red"))
    a line\nand \x1b[31m red
    """
    spelled = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(spelled)
