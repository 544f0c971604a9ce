r"""A job: one verb on many files, a part for each, and what is missing when it starts again.

    out/job.json                   what is done: verb, model, options
    out/book.txt.dd091155.jsonl    the part of an input, whole or not there
    out/errors.jsonl               {"input": ..., "error": ...} for each input that has none

A part that is older than its input is made anew, as `make` would. Inputs with an error are
tried again by the next start.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ...errors import ModelFileError, OutputError, SettingsError, TextError
from ...files import named, read_whole, replacing
from ...settings import ManySettings, SamplingSettings
from ...text.reading import SUFFIXES, Sources, name_of, single_sources
from ...text.records import JSON_LINES, PARQUET, kind_of_file, need_parquet
from ...text.workers import Lost, work_on
from ..bases import find
from ..model import Model
from ..rules.given import GIVEN
from ..storage.sealed import sealed, unsealed
from .cluster import work_on_cluster
from .parts import is_done, remove_partial
from .rows import VERBS, check_rule
from .work import FileOutcome, Work

JOB_FILE, ERRORS_FILE = "job.json", "errors.jsonl"

OPTIONS: dict[str, dict[str, Any]] = {
    "evaluate": {"exact": False},
    "score": {"by": "line"},
    "generate": {
        "length": 500,
        "count": 1,
        "stop": None,
        **GIVEN,
        **SamplingSettings().model_dump(),
    },
}
"""The options of each verb, and their defaults."""


def process_files(
    verb: Literal["evaluate", "score", "generate"],
    model: str | Path,
    files: Sources,
    output: str | Path,
    *,
    many: ManySettings | None = None,
    computing: dict[str, Any] | None = None,
    reading: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[FileOutcome]:
    """Work on many files, each a text of its own, and yield what came of each, as it is done.

    A text file is one text; JSON lines and Parquet have one in each row, in a column. Each
    file has a part in the folder `output`, with the numbers or texts that the verb of a Model
    would give, to the last bit, whatever the number of workers. Files whose part is there are
    not read again. `options` are those of the verb (OPTIONS), `computing` those of
    `Model.load`, `reading` changes how the model reads texts (`encoding`, `errors`). Rules of
    `generate` are given as text: `pattern`, `json_schema`, `grammar`, and `no_copies` with the name
    of a `training_text`.

    Raises SettingsError for options that do not fit the verb or the job in the folder,
    TextError if no files are named, ModelFileError for a model that cannot be loaded.

    >>> import charloom, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> model = charloom.Model.untrained(
    ...     charloom.ModelSettings(hidden_size=4), charloom.Vocabulary.of("the fox")
    ... )
    >>> model.save(folder / "fox.safetensors")
    >>> for name in ("a.txt", "b.txt"):
    ...     _ = (folder / name).write_text("the fox")
    >>> outcomes = charloom.process_files(
    ...     "evaluate",
    ...     folder / "fox.safetensors",
    ...     folder / "*.txt",
    ...     folder / "out",
    ...     many=charloom.ManySettings(workers=1),
    ... )
    >>> sorted((Path(outcome.input).name, outcome.rows) for outcome in outcomes)
    [('a.txt', 1), ('b.txt', 1)]
    """
    many = ManySettings.of(many, "many")
    if verb not in VERBS:
        raise SettingsError(f"verb: {verb!r} was given; it must be one of {', '.join(VERBS)}")
    unknown = sorted(set(options) - set(OPTIONS[verb]))
    if unknown:
        raise SettingsError(f"{unknown[0]}: {verb} has no such option")
    inputs = _inputs(files)
    if many.parts == "parquet" or any(kind_of_file(Path(i)) == "parquet" for i in inputs):
        need_parquet()
    path = find(model)
    loaded = Model.load(path)  # so that what is wrong is told of before there are workers
    if verb == "generate":
        settings = loaded.text_settings.replace(**(reading or {}))
        check_rule(loaded, {**OPTIONS[verb], **options}, settings)
    folder = _made(named(output))
    computing = {"threads": 1, **(computing or {})}
    how = {name: value for name, value in computing.items() if name != "threads"}
    chosen = {**(reading or {}), **how, **OPTIONS[verb], **options}
    chosen = _begin(folder, verb, path, chosen, many)
    work = Work(
        verb=verb,
        model=path.absolute(),
        computing=computing,
        reading=reading or {},
        options=chosen,
        many=many,
        folder=folder.absolute(),
    )
    return _outcomes(work, inputs)


def _outcomes(work: Work, inputs: list[str]) -> Iterator[FileOutcome]:
    missing, errors = [], []
    for source in inputs:
        part = work.part(source)
        if is_done(part, Path(source)):
            yield FileOutcome(input=source, part=str(part), kept=True)
        else:
            missing.append(source)
    try:
        if missing:
            for outcome in _done(work, missing):
                if outcome.error is not None:
                    errors.append(outcome)
                yield outcome
        remove_partial(work.folder, map(work.part, inputs))
    finally:
        _write_errors(work.folder / ERRORS_FILE, errors)


def _done(work: Work, inputs: list[str]) -> Iterator[FileOutcome]:
    """What came of inputs; one worker is this process itself."""
    workers = min(work.many.processes, len(inputs))
    if work.many.cluster == "ray":
        yield from work_on_cluster(work, inputs)
        return
    if workers == 1:
        yield from map(work(), inputs)
        return
    for source, outcome in work_on(inputs, work, workers):
        if isinstance(outcome, Lost):
            yield FileOutcome(input=source, error=f"{source}: {outcome}")
        else:
            yield outcome


def _inputs(files: Sources) -> list[str]:
    found = single_sources(files, (*SUFFIXES, *JSON_LINES, *PARQUET))
    for source in found:
        if not isinstance(source, Path | str) or source == "-":
            raise TextError(
                f"{name_of(source)}: is no file; of many texts each has to be a file, so that "
                "another process can read it"
            )
    return [str(source) for source in found]


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made ({error.strerror}); choose another one as "
            "`output`",
            "output",
        ) from None
    return folder


def _begin(
    folder: Path,
    verb: str,
    model: Path,
    options: dict[str, Any],
    many: ManySettings,
) -> dict[str, Any]:
    """Write job.json, or see that the one there is the same job; its options, with a seed."""
    path = folder / JOB_FILE
    with model.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    before = _job_in(path)
    chosen = dict(options)
    if options.get("seed", 0) is None:
        chosen["seed"] = (before or {}).get("seed", secrets.randbelow(2**31))
    job = {
        "verb": verb,
        "model_sha256": digest.hexdigest(),
        "parts": many.parts,
        "column": many.column,
        **chosen,
    }
    job = json.loads(json.dumps(job))  # as it comes back from the file
    if before is None:
        if (folder / ERRORS_FILE).exists() and not path.exists():
            raise OutputError(
                f"{folder}: holds {ERRORS_FILE}, and no job; choose another folder as `output`",
                "output",
            )
        try:
            with replacing(path, new=True) as file:
                file.write(sealed(job, indent=1))
        except FileExistsError:  # of a process that was faster
            return _begin(folder, verb, model, options, many)
    elif before != job:
        name = next(n for n in {**before, **job} if before.get(n) != job.get(n))
        raise SettingsError(
            f"output: {folder} holds the parts of another job, whose {name} is "
            f"{before.get(name)!r} and not {job.get(name)!r}; choose another folder"
        )
    return chosen


def _job_in(path: Path) -> dict[str, Any] | None:
    """What job.json says, if there is one; ModelFileError if it is damaged."""
    try:
        return unsealed(read_whole(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: is damaged ({error}); choose another folder") from None


def _write_errors(path: Path, errors: list[FileOutcome]) -> None:
    if not errors:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as file:
        for outcome in errors:
            row = {"input": outcome.input, "error": outcome.error}
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
