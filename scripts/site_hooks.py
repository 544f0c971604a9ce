r"""What mkdocs does to a page that Markdown alone does not.

In a table GitHub reads `a\|b` as code with a bar in it; Python-Markdown keeps the backslash.
"""

from typing import Any


def on_page_content(html: str, **kwargs: Any) -> str:
    """Called by mkdocs with the HTML of each page."""
    return html.replace("\\|", "|")
