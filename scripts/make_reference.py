"""The page of the Python library, for mkdocs: a section for each public name of charloom.

mkdocs runs this while it builds (gen-files in mkdocs.yml); mkdocstrings fills the sections with
signatures and docstrings. So a name that becomes public is on the page without further work.
"""

from importlib import import_module

import mkdocs_gen_files

import charloom

OPENING = """\
# The Python library

All of these are attributes of the package: `import charloom`, then `charloom.train` and so on.
Other modules may change without notice.
"""
FIRST = ("train", "resume", "Run", "Progress", "Model", "Score", "Part")


def sections() -> str:
    """A heading and a mkdocstrings block for each public name, the verbs first."""
    names = sorted(set(dir(charloom)) - {"__version__"}, key=str.lower)
    names = [*(n for n in FIRST if n in names), *(n for n in names if n not in FIRST)]
    blocks = [OPENING]
    for name in names:
        home = import_module(getattr(charloom, name).__module__)
        blocks.append(f"::: {home.__name__}.{name}\n")
    blocks.append("::: charloom.errors\n")
    return "\n".join(blocks)


with mkdocs_gen_files.open("reference.md", "w") as page:
    page.write(sections())
