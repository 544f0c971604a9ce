"""A text as it can be shown safely: with what a terminal would act on spelled out."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    r"""A text with line feeds, control characters and other unprintables spelled out.

    Those in `keep` stay as they are.

    >>> print(visible("a line\nand \x1b[31m red"))
    a line\nand \x1b[31m red
    >>> print(visible("a\nb\x07", keep="\n"))
    a
    b\x07
    """
    if text.isprintable():
        return text
    spelled = (
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )
    return "".join(spelled)
