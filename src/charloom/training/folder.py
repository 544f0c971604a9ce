"""The folder of a run: what is in it, and in which order it is written.

    .lock                    locked by the process that writes here
    text.ids                 the text as ids; validation.ids, too, if that is another text
    base.safetensors         the weights that a run starts with that starts from another model
    run.json                 the plan: settings, vocabulary, facts about the text
    log.jsonl                one line per step of the optimizer
    checkpoint.safetensors   the run after some step: what going on needs
    model.safetensors        the best model

The folder is locked before anything is written in it, and everything but the log appears
all at once, in this order. So a run that is killed between any two writes can go on: with
run.json there, the run exists; without a checkpoint, it goes on from its start; the log is
cut back to the checkpoint; and a best model that is newer than its file is in the
checkpoint itself. Every file has a digest: that of the ids is in run.json, and the others
have their own.

No file is overwritten that the run has not made. Where text.ids is taken, by a file of the
user's or by what a killed start has left, the ids get a longer name, which run.json tells.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..engines.weights import Weights
from ..errors import CharloomError, ModelFileError, OutputError, shown
from ..files import named, read_whole, replacing, sync_folder
from ..model.storage.container import MODEL_FILE
from ..model.storage.file import ModelFile, read_model, write_model
from ..model.storage.sealed import sealed, unsealed
from ..settings import ModelSettings
from ..text.vocabulary import Vocabulary
from .checkpoint import CHECKPOINT_FILE
from .lock import Lock
from .plan import FORMAT, BaseFile, IdsFile, Plan


class RunFolder:
    """The paths of a run's files, its lock and its plan."""

    def __init__(self, path: str | Path) -> None:
        self.path = named(path)
        self.plan = self.path / "run.json"
        self.log = self.path / "log.jsonl"
        self.checkpoint = self.path / CHECKPOINT_FILE
        self.model = self.path / MODEL_FILE
        self._made: list[Path] = []

    def create(self) -> Lock:
        """Make the folder, or take what is there, and lock it.

        Raises OutputError if it holds a run or cannot be made, TrainingError if another
        process writes there.
        """
        lock = self._make_and_lock()
        if lock.is_new:
            self._made.append(lock.path)
        for file in (self.plan, self.checkpoint, self.model, self.log):
            if os.path.lexists(file):
                self.discard()
                lock.release()
                raise OutputError(
                    f"{self.path}: holds a run already ({file.name}); go on with "
                    "`resume`, or choose another folder as `output`",
                    "resume",
                    "output",
                )
        return lock

    def _make_and_lock(self) -> Lock:
        for _ in range(10):
            try:
                self._make(self.path)
            except OSError as error:
                self.discard()
                raise OutputError(
                    f"{self.path}: the folder cannot be made ({error.strerror}); "
                    "choose another one as `output`",
                    "output",
                ) from None
            try:
                return self.lock()
            except BaseException:
                gone = not self.path.exists()  # taken back by a start that failed just now
                self.discard()
                if not gone:
                    raise
        raise OutputError(f"{self.path}: is made and removed all the time; choose another folder")

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, each seen on the disk."""
        if folder.is_dir():
            return
        if folder.parent != folder:
            self._make(folder.parent)
        try:
            folder.mkdir()
        except FileExistsError:
            if folder.is_dir():
                return  # made by another process just now
            raise
        self._made.append(folder)
        sync_folder(folder.parent)

    def lock(self) -> Lock:
        """The lock of the folder, taken; TrainingError if another process has it."""
        return Lock(self.path)

    def reserve(self, name: str, ending: str = "ids") -> Path:
        """A new empty file, `name`.ids for ids, or a longer name if that is taken."""
        for number in range(100):
            path = self.path / f"{name}{'.' + secrets.token_hex(4) if number else ''}.{ending}"
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            except OSError as error:
                raise OutputError(
                    f"{path}: cannot be written ({error.strerror}); choose another folder"
                ) from None
            self._made.append(path)
            return path
        raise OutputError(
            f"{self.path}: has no name left for {name}.{ending}; choose another folder"
        )

    def keep_base(self, model: ModelSettings, vocabulary: Vocabulary, weights: Weights) -> BaseFile:
        """Keep the weights that a run starts with, for one that is killed before its first save."""
        path = self.reserve("base", "safetensors")
        write_model(path, ModelFile(settings=model, vocabulary=vocabulary, weights=weights))
        return BaseFile(name=path.name, sha256=digest_of(path))

    def base_weights(self, plan: Plan) -> Weights | None:
        """The weights that a run starts with, if that is not with first values."""
        if plan.base_file is None:
            return None
        path = self.whole(plan.base_file)
        file = read_model(path)
        if (file.settings, file.vocabulary) != (plan.model, plan.vocabulary):
            raise ModelFileError(f"{path}: is not what this run starts from; start again")
        return file.weights

    def discard(self) -> None:
        """Take back what this start has made, the last first, for a run that cannot begin."""
        for path in reversed(self._made):
            with suppress(OSError):  # such as a folder that others have put something in
                path.rmdir() if path.is_dir() else path.unlink()
        self._made.clear()

    def write_plan(self, plan: Plan) -> None:
        """Write run.json: from now on the run exists."""
        self._made += [self.plan, self.log]  # the log comes next, and `create` saw neither
        with replacing(self.plan) as file:
            newer = None if plan.format == FORMAT else {"base", "base_file"}
            file.write(sealed(plan.model_dump(exclude=newer), indent=1))

    def read_plan(self) -> Plan:
        """Read run.json; ModelFileError if it is missing, damaged or newer."""
        try:
            content = unsealed(read_whole(self.plan))
            found = content.get("format")
            if not isinstance(found, int) or found <= FORMAT:
                return Plan(**content)
        except (FileNotFoundError, NotADirectoryError):
            raise ModelFileError(
                f"{self.path}: is not the folder of a run (it has no {self.plan.name}); "
                "give one that train has made, or start a new run without `resume`",
                "resume",
            ) from None
        except OSError as error:
            raise ModelFileError(f"{self.plan}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, CharloomError) as error:
            raise ModelFileError(
                f"{self.plan}: is damaged ({shown(error)}); put another copy back, or start again"
            ) from None
        raise ModelFileError(
            f"{self.plan}: is of format {shown(found, 30)}, and this charloom reads format "
            f"{FORMAT}; upgrade with: pip install --upgrade charloom"
        )

    def ids(self, file: IdsFile | None) -> Path:
        """The path of ids, whole; ModelFileError if they are not those that were written."""
        if file is None:
            raise ModelFileError(f"{self.plan}: does not name the ids of its text; start again")
        return self.whole(file)

    def whole(self, file: IdsFile | BaseFile) -> Path:
        """The path of a file of the plan; ModelFileError if it is not what was written."""
        path = self.path / file.name
        if digest_of(path) != file.sha256:
            raise ModelFileError(
                f"{path}: its bytes are not those that were written; put another copy back, or "
                "start again from the text itself"
            )
        return path


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; ModelFileError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()
