"""Print the lowest version of each dependency as a constraint: `python scripts/lowest.py`.

They are those of pyproject.toml, of the package itself and of the extras that its tests need.
`make lowest` installs them together, and runs the tests with them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS = ("plot", "parquet", "tune")


def lowest(pyproject: str) -> list[str]:
    r"""One line for each package that has a lowest version.

    >>> lowest('[project]\ndependencies = ["numpy>=1.26", "tomli>=2; python_version < \'3.11\'"]')
    ['numpy==1.26', "tomli==2 ; python_version < '3.11'"]
    """
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {})
    needs = [*project["dependencies"], *(need for name in EXTRAS for need in extras.get(name, ()))]
    found = [re.fullmatch(r"([\w.-]+)>=([\w.]+)(?:,[^;]*)?(?:; *(.*))?", need) for need in needs]
    return [f"{m[1]}=={m[2]}" + (f" ; {m[3]}" if m[3] else "") for m in found if m]


if __name__ == "__main__":
    path = Path(__file__).parents[1] / "pyproject.toml"
    print("\n".join(lowest(path.read_text(encoding="utf-8"))))
