"""The live pages of the documentation: a page in one file for each model in docs/live.

mkdocs runs this while it builds (gen-files in mkdocs.yml), so a model file that is added there, or
is a base that comes with charloom, has its page without further work; docs/live.md links to it.
"""

from pathlib import Path

import mkdocs_gen_files

from charloom import Model
from charloom.serving.offline.page import export

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT / "docs" / "live", ROOT / "src" / "charloom" / "model" / "shipped")

FIRST = {
    "verse": (
        "Shall I compare thee to a summer's day?\n"
        "Thou art more lovely and more temperate:\n"
        "Rough winds do shake the darling buds of May,\n"
        "And summer's lease hath all too short a date:\n"
    ),
}
"""What a page shows first; without it, what its model writes."""

for file in sorted(file for folder in FOLDERS for file in folder.glob("*.safetensors")):
    model = Model.load(file, precision="float32", threads=1)
    page = export(model, FIRST.get(file.stem), bits=8)
    with mkdocs_gen_files.open(f"live/{file.stem}.html", "w") as made:
        made.write(page.html)
