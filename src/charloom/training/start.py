"""Where a run comes from: a text that is new, or the folder of a run that was stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from ..engines.base import StepSettings
from ..engines.joining import group_of, was_restarted
from ..engines.selection import open_engine
from ..engines.weights import initial_weights
from ..errors import ModelFileError, SettingsError, TrainingError, shown
from ..model.model import Model
from ..model.storage.provenance import CorpusFacts, PartFacts, SplitFacts
from ..settings import ModelSettings, TextSettings, TrainingSettings
from ..text.batches import make_batches
from ..text.corpus import Corpus, InMemory, build_corpus, text_sha256
from ..text.lists import SAMPLE, is_list, is_sorted, mean_line_length
from ..text.reading import Sources
from ..text.sharded import is_prepared
from ..text.splitting import Part, Split, split
from ..text.vocabulary import Vocabulary
from .base import Base, suggested
from .checkpoint import read_checkpoint
from .defaults import TextShape, choose, multiplied_weights
from .folder import RunFolder, digest_of
from .plan import IdsFile, Plan, PreparedFile
from .run import Run
from .saving import Following, Saving
from .trainer import Trainer

logger = logging.getLogger(__name__)


def train(
    sources: Sources,
    *,
    output: str | Path | None = None,
    validation: Sources | None = None,
    text: TextSettings | None = None,
    model: ModelSettings | None = None,
    training: TrainingSettings | None = None,
    start_from: str | Path | Model | None = "auto",
) -> Run:
    """A new run over a text, ready to be iterated.

    `sources` is one or more files, folders, globs, "-" (standard input) or `InMemory`
    texts; `validation`, given likewise, is held out instead of the end of the text. The run
    is kept in the folder `output`; without one, in memory, where it cannot be resumed.

    Whatever the settings do not give (size, steps, batches, learning rate, dropout, patience)
    is chosen to fit the text and the time (defaults.py), and told by `run.plan.choice`. A list,
    one item a line, is trained on by line, and items are held out wherever they stand.

    With `start_from`, a model, its file, the folder of its run or "english", the run starts from
    that model's weights: its shape, and its characters with those that the text adds (base.py).
    The record of the run names it, and the SHA-256 of its file. By default a short text that
    "english" predicts well starts from it, where no network is described by `model`; with None
    every run starts from first values.

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
    text, model = TextSettings.of(text, "text"), ModelSettings.of(model, "model")
    training = TrainingSettings.of(training, "training")
    group = group_of(training.engine, training.device)
    if output is None and group.size > 1:
        raise SettingsError("output: several processes need a folder that all of them see")

    def begin() -> Run:
        if output is not None and was_restarted() and RunFolder(output).plan.exists():
            run = _go_on(RunFolder(output), sources, validation)
            _refuse_other_settings(run.plan, text, model, training)
            return run
        return _begin(sources, output, validation, text, model, training, start_from)

    return group.lead(begin) or _follow(RunFolder(cast("Path", output)))


def _begin(
    sources: Sources,
    output: str | Path | None,
    validation: Sources | None,
    text: TextSettings,
    model: ModelSettings,
    training: TrainingSettings,
    start_from: str | Path | Model | None,
) -> Run:
    """A new run, in the process that writes."""
    base = None
    if start_from not in (None, "auto"):
        base = Base.open(start_from)
        text, model = base.text_settings(text), base.model_settings(model)
        base.check(training)
    folder = None if output is None else RunFolder(output)
    with _enough_memory(), ExitStack() as undo:
        saving = None
        if folder is not None:
            lock = folder.create()
            undo.callback(lock.release)
            undo.callback(folder.discard)
            saving = Saving(folder, lock)
        known = base.model.vocabulary if base else None
        prepared = None
        if path := is_prepared(sources):
            corpus, index = Corpus.prepared(path)
            text, training = _as_prepared(index["settings"], text, training, known)
            prepared = PreparedFile(path=str(path.absolute()), sha256=corpus.sha256)
            ids = None
        else:
            corpus, ids = _read(sources, text, folder, "text", known=known)
        training = _with_batches(training, corpus)
        by_itself = start_from == "auto" and prepared is None
        if by_itself and (base := suggested(corpus, text, model, training)):
            model = base.model_settings(model)
            corpus, ids = _read_again(corpus, text, base.model.vocabulary)
        held_out, held_out_ids = None, None
        if validation is not None:
            held_out, held_out_ids = _read(
                validation, text, folder, "validation", corpus.vocabulary
            )
        parts = split(corpus, text, held_out, lines=training.batches == "lines")
        chosen = choose(
            model, training, _shape(training, parts), _speed_on(parts), tuned=base is not None
        )
        weights, kept = None, None
        if base is not None:
            weights = base.weights(corpus.vocabulary)
            kept = folder and folder.keep_base(chosen.model, corpus.vocabulary, weights)
        plan = Plan(
            format=1 if base is None and prepared is None else 2,
            text=text,
            model=chosen.model,
            training=chosen.training,
            choice=f"from {base.facts.name}, {chosen.summary}" if base else chosen.summary,
            steps=chosen.steps,
            most_steps=chosen.most_steps,
            vocabulary=corpus.vocabulary,
            corpus=CorpusFacts(**corpus.facts()),
            validation=held_out and CorpusFacts(**held_out.facts()),
            split=SplitFacts(training=_facts(parts.training), validation=_facts(parts.validation)),
            ids=ids,
            prepared=prepared,
            validation_ids=held_out_ids,
            base=base and base.facts,
            base_file=kept,
        )
        run = Run(plan, Trainer(plan, parts, weights=weights), saving)
        if saving is not None:
            saving.begin(plan)
        undo.pop_all()
    logger.info("%s, %s", run, plan.choice)
    return run


def resume(
    folder: str | Path,
    *,
    sources: Sources | None = None,
    validation: Sources | None = None,
    steps: int | None = None,
    threads: int | None = None,
) -> Run:
    """The run in a folder, ready to go on from its last checkpoint.

    What follows equals, to the last bit, what would have followed without the stop, with as
    many `threads` as you like. The text is in the folder; `sources` and `validation`, if they
    are given, have to be the same texts. With `steps` a run goes on to another number of steps
    in total, also one that was finished: the learning rate follows the new plan.

    Raises ModelFileError if the folder holds no run or one of its files is damaged,
    SettingsError for another text or for steps that are already done, and TrainingError if
    another process is training there.

    >>> import charloom, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> run = charloom.train(
    ...     charloom.InMemory("the cat sat on the mat. " * 20),
    ...     output=folder,
    ...     model=charloom.ModelSettings(hidden_size=4, num_layers=1),
    ...     training=charloom.TrainingSettings(steps=5),
    ... )
    >>> next(run).step
    1
    >>> run.stop()
    >>> [progress.step for progress in charloom.resume(folder)]
    [2, 3, 4, 5]
    """
    place = RunFolder(folder)
    settings = place.read_plan().training
    group = group_of(settings.engine, settings.device)
    run = group.lead(lambda: _go_on(place, sources, validation, steps, threads))
    return run or _follow(place, steps, threads)


def _go_on(
    place: RunFolder,
    sources: Sources | None,
    validation: Sources | None,
    steps: int | None = None,
    threads: int | None = None,
) -> Run:
    """The run in a folder, in the process that writes."""
    with _enough_memory(), ExitStack() as undo:
        place.read_plan()  # so that nothing is written where there is no run
        lock = place.lock()
        undo.callback(lock.release)
        plan = place.read_plan()
        _refuse_another_text(plan, sources, validation)
        run = _opened(place, plan, Saving(place, lock), steps, threads)
        undo.pop_all()
    logger.info("%s goes on", run)
    return run


def _follow(place: RunFolder, steps: int | None = None, threads: int | None = None) -> Run:
    """The run in a folder, in a process that does not write."""
    return _opened(place, place.read_plan(), Following(place), steps, threads)


def _opened(
    place: RunFolder, plan: Plan, saving: Saving, steps: int | None, threads: int | None
) -> Run:
    """The run of a plan, at its last checkpoint."""
    if threads is not None:
        plan = plan.replace(training=plan.training.replace(threads=threads))
    corpus = _open_prepared(plan) or _open(place, plan.ids, plan.corpus, plan.vocabulary)
    held_out = None
    if plan.validation is not None:
        held_out = _open(place, plan.validation_ids, plan.validation, plan.vocabulary)
    parts = split(corpus, plan.text, held_out, lines=plan.training.batches == "lines")
    # without a checkpoint it was killed before the first one, and starts where it started
    exists = place.checkpoint.exists()
    checkpoint = read_checkpoint(place.checkpoint, plan) if exists else None
    weights = None if exists else place.base_weights(plan)
    trainer = Trainer(plan, parts, checkpoint, weights)
    if steps is not None:
        trainer.start = trainer.start.longer(steps)
    run = Run(plan, trainer, saving)
    saving.go_on(run.step)
    if checkpoint is not None:
        if run.leads:
            _warn_of_other_kernels(checkpoint.kernels, trainer.engine.kernels)
        if checkpoint.position.is_best:  # perhaps it was killed before this was done
            saving.save_model(run.best_model())
    return run


def _refuse_other_settings(
    plan: Plan, text: TextSettings, model: ModelSettings, training: TrainingSettings
) -> None:
    """SettingsError if a run that goes on by itself was given other settings than it has."""
    for given, kept in ((text, plan.text), (model, plan.model), (training, plan.training)):
        for name in given.model_fields_set:
            wanted, has = getattr(given, name), getattr(kept, name)
            if wanted not in (has, "auto") and name != "threads":
                raise SettingsError(
                    f"{name}: {wanted!r} was given, and the run in the folder has {has!r}; "
                    "choose another folder"
                )


def _with_batches(training: TrainingSettings, corpus: Corpus) -> TrainingSettings:
    """Lines for a list, else streams; a warning where the tail of a sorted text is held out."""
    if training.batches not in ("auto", "streams"):
        return training
    sample = corpus.vocabulary.decode(corpus.ids[: SAMPLE + 1])
    known = corpus.vocabulary.newline_id is not None
    if training.batches == "auto":
        by_line = known and is_list(sample)
        training = training.replace(batches="lines" if by_line else "streams")
    if training.batches == "streams" and known and is_sorted(sample):
        logger.warning(
            "the lines of the text are sorted, so its end is no measure for all of it; "
            'batches="lines" holds out lines from everywhere'
        )
    return training


def _shape(training: TrainingSettings, parts: Split) -> TextShape:
    """What the choice of settings asks of a text."""
    ids, vocabulary = parts.training.ids, parts.training.vocabulary
    newline = vocabulary.newline_id
    line_length = None
    if training.batches == "lines" and newline is not None and len(ids):
        line_length = mean_line_length(ids, newline)
    return TextShape(
        characters=len(ids),
        held_out=len(parts.validation.ids),
        vocabulary_size=vocabulary.size,
        line_length=line_length,
    )


def _speed_on(parts: Split) -> Callable[[ModelSettings, TrainingSettings], float]:
    """Measures operations a second of a network that learns from the text's first batch."""

    def measure(model: ModelSettings, training: TrainingSettings) -> float:
        vocabulary = parts.training.vocabulary
        batch = make_batches(training, parts.training.ids, vocabulary).batch(0, 0)
        engine = open_engine(
            model,
            vocabulary.size,
            initial_weights(model, vocabulary.size, seed=0),
            precision=training.precision,
            threads=training.threads,
            engine=training.engine,
            device=training.device,
        )
        state, seconds = engine.zero_state(batch.inputs.shape[1]), []
        for _ in range(3):  # the first one brings memory and caches up
            start = time.perf_counter()
            engine.train_step(batch.inputs, batch.targets, state, StepSettings(learning_rate=0.0))
            seconds.append(time.perf_counter() - start)
        work = 6 * multiplied_weights(model, vocabulary.size) * batch.inputs.size
        return group_of(training.engine, training.device).size * work / min(seconds)

    return measure


def _read(
    sources: Sources,
    text: TextSettings,
    folder: RunFolder | None,
    name: str,
    vocabulary: Vocabulary | None = None,
    known: Vocabulary | None = None,
) -> tuple[Corpus, IdsFile | None]:
    """A text as ids, in memory or in a file of the folder."""
    if folder is None:
        return build_corpus(sources, text, vocabulary=vocabulary, known=known), None
    path = folder.reserve(name)
    corpus = build_corpus(sources, text, ids_path=path, vocabulary=vocabulary, known=known)
    return corpus, IdsFile(name=path.name, sha256=digest_of(path))


def _read_again(
    corpus: Corpus, text: TextSettings, known: Vocabulary
) -> tuple[Corpus, IdsFile | None]:
    """A short text that was read, as ids of another vocabulary that grows by its characters."""
    sources = InMemory(corpus.vocabulary.decode(corpus.ids))
    corpus = build_corpus(sources, text, ids_path=corpus.path, known=known)
    path = corpus.path
    return corpus, path and IdsFile(name=path.name, sha256=digest_of(path))


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


def _open_prepared(plan: Plan) -> Corpus | None:
    """The corpus that the text of a run was prepared as, if it was; ModelFileError for another."""
    if plan.prepared is None:
        return None
    corpus, _ = Corpus.prepared(Path(plan.prepared.path))
    if corpus.sha256 != plan.prepared.sha256:
        raise ModelFileError(
            f"{plan.prepared.path}: is not the corpus that this run was started with; put that "
            "one back, or start again"
        )
    return corpus


def _as_prepared(
    settings: dict[str, Any],
    text: TextSettings,
    training: TrainingSettings,
    known: Vocabulary | None,
) -> tuple[TextSettings, TrainingSettings]:
    """The settings of a run whose text was prepared with these; SettingsError if that cannot be."""
    if known is not None:
        raise SettingsError(
            "start_from: a prepared corpus has a vocabulary already; give the text itself"
        )
    if training.batches not in ("auto", "streams"):
        raise SettingsError(
            f"batches: {training.batches} was given, and a prepared corpus is read as streams; "
            "give the text itself, or `batches='streams'`",
            "batches",
        )
    for name, value in settings.items():
        given = getattr(text, name)
        if given not in (value, TextSettings.model_fields[name].default):
            raise SettingsError(
                f"{name}: {given!r} was given, and the corpus is prepared with {value!r}; leave it "
                "out"
            )
    return text.replace(**settings), training.replace(batches="streams")


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise TrainingError(
            "not enough memory for this run; free some, or use a smaller hidden_size, num_layers "
            "or batch_size"
        ) from None


def _refuse_another_text(plan: Plan, sources: Sources | None, validation: Sources | None) -> None:
    """SettingsError if a text is given that is not the run's."""
    for name, given, facts in (
        ("sources", sources, plan.corpus),
        ("validation", validation, plan.validation),
    ):
        if given is None:
            continue
        if facts is None or text_sha256(given, plan.text) != facts.sha256:
            held = "holds out the end of its text" if facts is None else "was made of another text"
            raise SettingsError(
                f"{name}: this run {held}, and a resumed run keeps its texts; leave it out, or "
                "start another run",
                name,
            )


def _facts(part: Part) -> PartFacts:
    return PartFacts(start=part.start, stop=part.stop, sha256=part.sha256)


def _warn_of_other_kernels(before: str, now: str) -> None:
    if before != now:
        logger.warning(
            "the run was computed by %s and goes on with %s: its last digits will not be those "
            "of a run that was not stopped",
            shown(before),
            now,
        )
