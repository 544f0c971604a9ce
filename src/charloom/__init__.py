"""Character-level LSTM language models: train, generate, score, evaluate.

    import charloom

    run = charloom.train("book.txt", output="book.run")     # a folder; resume("book.run")
    for progress in run:                                    # one step of the optimizer
        print(progress.step, progress.bits_per_character)

    model = charloom.Model.load("book.run")                 # the best model of a run
    for piece in model.generate("The Fox", length=300):     # text, as it is made
        print(piece, end="")
    for part in model.score("A text.", by="word"):          # how surprising each part is
        print(part.bits, part.text)
    model.evaluate("A text.").bits_per_character            # and the whole

The verbs are `train`, `resume`, `Model.load`, `Model.save`, `Model.generate`,
`Model.generate_many`, `Model.score`, `Model.evaluate`, `Model.trace`, `Model.trace_pieces`
and `Model.describe`; `read` gives the text of files, and `InMemory` stands for a text where
files are expected. What can be chosen is in TextSettings, ModelSettings, TrainingSettings and
SamplingSettings. Every error raised on purpose is a CharloomError (see charloom.errors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import CharloomError as CharloomError
    from .model.model import Model as Model
    from .model.scoring import Part as Part
    from .model.scoring import Score as Score
    from .settings import ModelSettings as ModelSettings
    from .settings import SamplingSettings as SamplingSettings
    from .settings import TextSettings as TextSettings
    from .settings import TrainingSettings as TrainingSettings
    from .text.reading import InMemory as InMemory
    from .text.reading import read as read
    from .text.vocabulary import Vocabulary as Vocabulary
    from .training.progress import Progress as Progress
    from .training.run import Run as Run
    from .training.start import resume as resume
    from .training.start import train as train

_HOME = {
    "CharloomError": "errors",
    "InMemory": "text.reading",
    "Model": "model.model",
    "ModelSettings": "settings",
    "Part": "model.scoring",
    "Progress": "training.progress",
    "Run": "training.run",
    "SamplingSettings": "settings",
    "Score": "model.scoring",
    "TextSettings": "settings",
    "TrainingSettings": "settings",
    "Vocabulary": "text.vocabulary",
    "read": "text.reading",
    "resume": "training.start",
    "train": "training.start",
}
"""Where each public name lives; it is loaded when first used, so that importing is fast."""

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif name == "__version__":
        from importlib import metadata  # takes longer than all of us

        try:
            value = metadata.version(__name__)
        except metadata.PackageNotFoundError:
            value = "unknown (run from a source tree)"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
