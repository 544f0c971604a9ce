"""Character-level LSTM language models: train, generate, score, evaluate, explain.

    import charloom

    run = charloom.train("book.txt", output="book.run")     # a folder; resume("book.run")
    for progress in run:                                    # one optimizer step
        print(progress.step, progress.bits_per_character)

    model = charloom.Model.load("book.run")                 # the best model of a run
    for piece in model.generate("The Fox", length=300):     # text, as it is made
        print(piece, end="")
    for part in model.score("A text.", by="word"):          # how surprising each part is
        print(part.bits, part.text)
    model.evaluate("A text.").bits_per_character            # and the whole

Train with `train` and `resume`, search for better settings with `tune`, `prepare` a text too
large for one machine; look at a run with `plot`, `export_log` and `tensorboard`. A `Model` has
load, save, generate, generate_many, state_after, next, score, evaluate, odd, calibrated, trace,
trace_pieces, fit and describe; `process_files` does such a verb for many files, and `compare`
measures two models on one text. `copied` measures what of a model's texts stands in its training
text, and a `CopyIndex` is such a text, made searchable. `compress` and `decompress` press a file
to its bits. To look into a model:
`explain`, `save_trace`, `save_page`, `serve`, `units`, `context`; and `recall` compares an LSTM
with plain RNNs. `export_model` and `import_model` are for ONNX, Keras and others,
`Model.to_torch` and `Model.from_torch` for PyTorch; `card` is a model's README.md. `read` gives
the text of files, `InMemory` stands for a text where files are expected, and `visible` makes a
text safe to print.

Messages are logged under the name charloom, and a notebook shows a run, a model and a trace.

What can be chosen is in the classes whose names end in Settings:

    of a run                   TextSettings, ModelSettings, TrainingSettings, TuningSettings
    of what a model does       SamplingSettings, AdaptationSettings, OddSettings
    of files                   CompressionSettings, ManySettings

What is given back, or given:

    a run and a step of it     Run, Progress
    texts                      InMemory, Vocabulary, CopyIndex
    what a model says          Score, Part, Trace, TextState, OddPart, Calibration, Comparison
    reports                    Report (of `units`), ContextReport, Recall, CopyReport, Compressed
    rules of a text            Pattern, Grammar, JsonSchema, NoCopies, Both; `rule_given` makes them
    a page                     Page

`help(charloom.train)` and `help(charloom.Model)` say more of each. Every error raised on purpose
is a CharloomError (see charloom.errors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from .errors import CharloomError as CharloomError
    from .export.card import card as card
    from .export.formats import export_model as export_model
    from .export.formats import import_model as import_model
    from .inspection.files import save_trace as save_trace
    from .inspection.logs import export_log as export_log
    from .inspection.memory.context import ContextReport as ContextReport
    from .inspection.memory.context import context as context
    from .inspection.memory.recall import Recall as Recall
    from .inspection.memory.recall import recall as recall
    from .inspection.pictures import plot as plot
    from .inspection.story import explain as explain
    from .inspection.tensorboard import tensorboard as tensorboard
    from .inspection.units.report import Report as Report
    from .inspection.units.search import units as units
    from .model.comparison import Comparison as Comparison
    from .model.comparison import compare as compare
    from .model.compression.compress import Compressed as Compressed
    from .model.compression.compress import compress as compress
    from .model.compression.compress import decompress as decompress
    from .model.copying import CopyReport as CopyReport
    from .model.copying import copied as copied
    from .model.many.job import process_files as process_files
    from .model.model import Model as Model
    from .model.oddity.calibration import Calibration as Calibration
    from .model.oddity.parts import OddPart as OddPart
    from .model.rules.both import Both as Both
    from .model.rules.copies import NoCopies as NoCopies
    from .model.rules.given import rule_given as rule_given
    from .model.rules.grammar import Grammar as Grammar
    from .model.rules.grammar import JsonSchema as JsonSchema
    from .model.rules.pattern import Pattern as Pattern
    from .model.scoring import Part as Part
    from .model.scoring import Score as Score
    from .model.storage.text_state import TextState as TextState
    from .model.tracing import Trace as Trace
    from .serving.offline.page import Page as Page
    from .serving.offline.page import save_page as save_page
    from .serving.server import serve as serve
    from .settings import AdaptationSettings as AdaptationSettings
    from .settings import CompressionSettings as CompressionSettings
    from .settings import ManySettings as ManySettings
    from .settings import ModelSettings as ModelSettings
    from .settings import OddSettings as OddSettings
    from .settings import SamplingSettings as SamplingSettings
    from .settings import TextSettings as TextSettings
    from .settings import TrainingSettings as TrainingSettings
    from .settings import TuningSettings as TuningSettings
    from .text.copies import CopyIndex as CopyIndex
    from .text.preparing import prepare as prepare
    from .text.reading import InMemory as InMemory
    from .text.reading import read as read
    from .text.visible import visible as visible
    from .text.vocabulary import Vocabulary as Vocabulary
    from .training.progress import Progress as Progress
    from .training.run import Run as Run
    from .training.start import resume as resume
    from .training.start import train as train
    from .training.tuning.search import tune as tune

_HOME = {
    "AdaptationSettings": "settings",
    "Both": "model.rules.both",
    "Calibration": "model.oddity.calibration",
    "CharloomError": "errors",
    "Comparison": "model.comparison",
    "Compressed": "model.compression.compress",
    "CompressionSettings": "settings",
    "ContextReport": "inspection.memory.context",
    "CopyIndex": "text.copies",
    "CopyReport": "model.copying",
    "Grammar": "model.rules.grammar",
    "InMemory": "text.reading",
    "JsonSchema": "model.rules.grammar",
    "ManySettings": "settings",
    "Model": "model.model",
    "ModelSettings": "settings",
    "NoCopies": "model.rules.copies",
    "OddPart": "model.oddity.parts",
    "OddSettings": "settings",
    "Page": "serving.offline.page",
    "Part": "model.scoring",
    "Pattern": "model.rules.pattern",
    "Progress": "training.progress",
    "Recall": "inspection.memory.recall",
    "Report": "inspection.units.report",
    "Run": "training.run",
    "SamplingSettings": "settings",
    "Score": "model.scoring",
    "TextSettings": "settings",
    "TextState": "model.storage.text_state",
    "Trace": "model.tracing",
    "TrainingSettings": "settings",
    "TuningSettings": "settings",
    "Vocabulary": "text.vocabulary",
    "card": "export.card",
    "compare": "model.comparison",
    "compress": "model.compression.compress",
    "context": "inspection.memory.context",
    "copied": "model.copying",
    "decompress": "model.compression.compress",
    "explain": "inspection.story",
    "export_log": "inspection.logs",
    "export_model": "export.formats",
    "import_model": "export.formats",
    "plot": "inspection.pictures",
    "prepare": "text.preparing",
    "process_files": "model.many.job",
    "read": "text.reading",
    "recall": "inspection.memory.recall",
    "resume": "training.start",
    "rule_given": "model.rules.given",
    "save_page": "serving.offline.page",
    "save_trace": "inspection.files",
    "serve": "serving.server",
    "tensorboard": "inspection.tensorboard",
    "train": "training.start",
    "tune": "training.tuning.search",
    "units": "inspection.units.search",
    "visible": "text.visible",
}
"""Where each public name lives; it is loaded when first used, so that importing is fast."""


if not TYPE_CHECKING:  # which would take every name for a public one

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
    # There is no `__all__`, of which `help(charloom)` would show every class in full: 7,000 lines.
    return sorted([*_HOME, "__version__"])
