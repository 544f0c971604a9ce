"""The verbs of the command line: which module has each, and their groups in help."""

from __future__ import annotations

VERB_GROUPS = {
    "Begin": {"demo": "main"},
    "Train": {
        "train": "training",
        "tune": "tuning",
        "prepare": "many",
        "plot": "training",
        "export-log": "training",
    },
    "Generate": {"generate": "model", "complete": "completing", "fill": "completing"},
    "Measure": {
        "evaluate": "model",
        "score": "model",
        "compare": "model",
        "odd": "odd",
        "copied": "copied",
    },
    "Look inside": {
        "serve": "inspection",
        "inspect": "inspection",
        "explain": "inspection",
        "units": "inspection",
        "context": "inspection",
        "recall": "inspection",
        "info": "model",
    },
    "Take elsewhere": {
        "export": "formats",
        "import": "formats",
        "card": "formats",
        "compress": "compression",
        "decompress": "compression",
    },
}
"""The module of each verb, in the groups and the order in which help lists them."""

VERBS = {verb: home for verbs in VERB_GROUPS.values() for verb, home in verbs.items()}
