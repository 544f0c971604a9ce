"""Print what charloom needs, one requirement a line: `python scripts/needs.py`.

`make` installs it while the C++ core compiles; pip alone would do one after the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if __name__ == "__main__":
    path = Path(__file__).parents[1] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    print("\n".join(project["dependencies"]))
