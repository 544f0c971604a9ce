"""Where a run comes from: a text that is new, or the folder of a run that was stopped."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import ModelFileError, TrainingError
from ..model.provenance import CorpusFacts, PartFacts, SplitFacts
from ..settings import ModelSettings, TextSettings, TrainingSettings
from ..text.corpus import Corpus, build_corpus
from ..text.reading import Sources
from ..text.splitting import Part, split
from ..text.vocabulary import Vocabulary
from .checkpoint import read_checkpoint
from .folder import RunFolder, digest_of
from .plan import IdsFile, Plan
from .run import Run
from .saving import Saving
from .trainer import Trainer


def train(
    sources: Sources,
    *,
    output: str | Path | None = None,
    validation: Sources | None = None,
    text: TextSettings | None = None,
    model: ModelSettings | None = None,
    training: TrainingSettings | None = None,
) -> Run:
    """A new run over a text, ready to be iterated.

    `sources` is one or more files, folders, globs, "-" (standard input) or `InMemory`
    texts; `validation`, given likewise, is held out instead of the end of the text. The run
    is kept in the folder `output`; without one, in memory, where it cannot be resumed.

    Raises TextError for a text that cannot be used, SettingsError for settings that do not
    go together, OutputError if `output` holds a run already or cannot be written, and
    TrainingError if another process is training there.

    >>> from charloom import InMemory, ModelSettings, TrainingSettings, train
    >>> run = train(
    ...     InMemory("the cat sat on the mat. " * 20),
    ...     model=ModelSettings(hidden_size=16, num_layers=1),
    ...     training=TrainingSettings(steps=60, learning_rate=0.03),
    ... )
    >>> losses = [progress.bits_per_character for progress in run]
    >>> losses[0] > 3 > 2 > losses[-1]
    True
    >>> "the" in "".join(run.best_model().generate(length=100))
    True
    """
    text, training = text or TextSettings(), training or TrainingSettings()
    folder = None if output is None else RunFolder(output)
    with _enough_memory(), ExitStack() as undo:
        saving = None
        if folder is not None:
            lock = folder.create()
            undo.callback(lock.release)
            undo.callback(folder.discard)
            saving = Saving(folder, lock)
        corpus, ids = _read(sources, text, folder, "text")
        held_out, held_out_ids = None, None
        if validation is not None:
            held_out, held_out_ids = _read(
                validation, text, folder, "validation", corpus.vocabulary
            )
        parts = split(corpus, text, held_out, lines=training.batches == "lines")
        plan = Plan(
            text=text,
            model=model or ModelSettings(),
            training=training,
            vocabulary=corpus.vocabulary,
            corpus=CorpusFacts(**corpus.facts()),
            validation=held_out and CorpusFacts(**held_out.facts()),
            split=SplitFacts(training=_facts(parts.training), validation=_facts(parts.validation)),
            ids=ids,
            validation_ids=held_out_ids,
        )
        run = Run(plan, Trainer(plan, parts), saving)
        if saving is not None:
            saving.begin(plan)
        undo.pop_all()
    return run


def resume(folder: str | Path) -> Run:
    """The run in a folder, ready to go on from its last checkpoint.

    What follows equals, to the last bit, what would have followed without the stop. Raises
    ModelFileError if the folder holds no run or one of its files is damaged, and
    TrainingError if another process is training there.
    """
    place = RunFolder(folder)
    with _enough_memory(), ExitStack() as undo:
        place.read_plan()  # so that nothing is written where there is no run
        lock = place.lock()
        undo.callback(lock.release)
        plan = place.read_plan()
        corpus = _open(place, plan.ids, plan.corpus, plan.vocabulary)
        held_out = None
        if plan.validation is not None:
            held_out = _open(place, plan.validation_ids, plan.validation, plan.vocabulary)
        parts = split(corpus, plan.text, held_out, lines=plan.training.batches == "lines")
        # without a checkpoint it was killed before the first one, and starts where it started
        exists = place.checkpoint.exists()
        checkpoint = read_checkpoint(place.checkpoint, plan) if exists else None
        saving = Saving(place, lock)
        trainer = Trainer(plan, parts, checkpoint)
        run = Run(plan, trainer, saving)
        saving.go_on(run.step)
        if checkpoint is not None:
            _warn_of_other_kernels(checkpoint.kernels, trainer.engine.kernels)
            if checkpoint.position.is_best:  # perhaps it was killed before this was done
                saving.save_model(run.best_model())
        undo.pop_all()
    return run


def _read(
    sources: Sources,
    text: TextSettings,
    folder: RunFolder | None,
    name: str,
    vocabulary: Vocabulary | None = None,
) -> tuple[Corpus, IdsFile | None]:
    """A text as ids, in memory or in a file of the folder."""
    if folder is None:
        return build_corpus(sources, text, vocabulary=vocabulary), None
    path = folder.reserve(name)
    corpus = build_corpus(sources, text, ids_path=path, vocabulary=vocabulary)
    return corpus, IdsFile(name=path.name, sha256=digest_of(path))


def _open(
    folder: RunFolder, ids: IdsFile | None, facts: CorpusFacts, vocabulary: Vocabulary
) -> Corpus:
    """A text whose ids are those that were written, and fit its vocabulary."""
    path = folder.ids(ids)
    corpus = Corpus.open(path, vocabulary, facts.model_dump())
    if len(corpus.ids) and int(corpus.ids.max()) >= vocabulary.size:
        raise ModelFileError(
            f"{path}: holds the id {corpus.ids.max()}, and its vocabulary has "
            f"{vocabulary.size}; start again from the text itself"
        )
    return corpus


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise TrainingError(
            "not enough memory for this run; free some, or use a smaller hidden_size, num_layers "
            "or batch_size"
        ) from None


def _facts(part: Part) -> PartFacts:
    return PartFacts(start=part.start, stop=part.stop, sha256=part.sha256)


def _warn_of_other_kernels(before: str, now: str) -> None:
    if before != now:
        warnings.warn(
            f"the run was computed by {before} and goes on with {now}: its last digits "
            "will not be those of a run that was not stopped",
            stacklevel=3,
        )
