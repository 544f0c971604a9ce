"""The folder of a run: what is in it, and in which order it is written.

    text.ids                 the text as ids; validation.ids, too, if that is another text
    run.json                 what the run is: settings, vocabulary, facts about the text
    log.jsonl                one line per step of the optimizer
    checkpoint.safetensors   the run after some step: what going on needs
    model.safetensors        the best model

Everything but the log appears all at once, in this order, so a run that is killed between
any two writes can go on: with the ids and run.json there, the run exists; without a
checkpoint, it goes on from its start; the log is cut back to the checkpoint; and a best
model that is newer than its file is in the checkpoint itself.
"""

from __future__ import annotations

import json
import os
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CharloomError, ModelFileError, OutputError, TrainingError
from ..files import replacing
from ..model.container import MODEL_FILE
from ..settings import ModelSettings, TextSettings, TrainingSettings
from ..text.vocabulary import Vocabulary
from .checkpoint import CHECKPOINT_FILE

try:
    import fcntl
except ImportError:  # Windows has no flock, and opens no file twice for writing anyway
    fcntl = None

FORMAT = 1
"""Of run.json; raised when an older charloom would misread it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is: decided before its first step and never changed."""

    text: TextSettings
    model: ModelSettings
    training: TrainingSettings
    vocabulary: Vocabulary
    corpus: dict[str, Any]
    """The facts of the text, as `Corpus.facts` tells them."""
    validation: dict[str, Any] | None
    """Those of the validation text, if it is a text of its own."""
    split: dict[str, dict[str, Any]]
    """Start, stop and hash of the part that is trained on, and of the part held out."""

    def to_json(self) -> dict[str, Any]:
        """What run.json holds."""
        return {
            "format": FORMAT,
            "text": self.text.model_dump(),
            "model": self.model.model_dump(),
            "training": self.training.model_dump(),
            "vocabulary": self.vocabulary.to_json(),
            "corpus": self.corpus,
            "validation": self.validation,
            "split": self.split,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Plan:
        """The plan that run.json holds; ModelFileError if it is of a newer format."""
        if stored["format"] > FORMAT:
            raise ModelFileError(
                f"is of format {stored['format']}, and this charloom reads format "
                f"{FORMAT}; upgrade with: pip install --upgrade charloom"
            )
        return cls(
            text=TextSettings(**stored["text"]),
            model=ModelSettings(**stored["model"]),
            training=TrainingSettings(**stored["training"]),
            vocabulary=Vocabulary.from_json(stored["vocabulary"]),
            corpus=dict(stored["corpus"]),
            validation=stored["validation"],
            split=stored["split"],
        )


class RunFolder:
    """The paths of a run's files, its plan and its log."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.ids = self.path / "text.ids"
        self.validation_ids = self.path / "validation.ids"
        self.plan = self.path / "run.json"
        self.log = self.path / "log.jsonl"
        self.checkpoint = self.path / CHECKPOINT_FILE
        self.model = self.path / MODEL_FILE

    def create(self) -> None:
        """Make the folder, or take what is there; OutputError if that holds a run."""
        for file in (self.plan, self.checkpoint, self.model, self.log):
            if os.path.lexists(file):
                raise OutputError(
                    f"{self.path}: holds a run already ({file.name}); go on with --resume, "
                    "or choose another folder with -o"
                )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.path}: the folder cannot be made ({error.strerror}); "
                "choose another one with -o"
            ) from None

    def discard(self) -> None:
        """Take back what `create` did, for a run that could not begin."""
        with suppress(OSError):  # the folder was there before, and something else is in it
            for file in (self.plan, self.ids, self.validation_ids):
                file.unlink(missing_ok=True)
            self.path.rmdir()

    def write_plan(self, plan: Plan) -> None:
        """Write run.json: from now on the run exists."""
        with replacing(self.plan) as file:
            file.write(json.dumps(plan.to_json(), indent=1).encode())

    def read_plan(self) -> Plan:
        """Read run.json; ModelFileError if it is missing or makes no sense."""
        try:
            return Plan.from_json(json.loads(self.plan.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise ModelFileError(
                f"{self.path}: is not the folder of a run (it has no {self.plan.name}); "
                "give one that `charloom train` has made, or start without --resume"
            ) from None
        except OSError as error:
            reason = error.strerror
            raise ModelFileError(f"{self.plan}: cannot be read ({reason})") from None
        except CharloomError as error:
            raise ModelFileError(f"{self.plan}: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelFileError(f"{self.plan}: is damaged; start the run again") from None


class Log:
    """log.jsonl: a line per step, on disk as far as the checkpoint goes.

    It is also the lock of the folder: as long as one process has it, no other opens it.
    """

    def __init__(self, path: Path) -> None:
        """Open the log; TrainingError if another process has it."""
        self.path = path
        self._waiting: list[bytes] = []
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise self._failed(error) from None
        self.close = weakref.finalize(self, os.close, self._file)
        try:
            if fcntl:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise TrainingError(
                f"{path.parent}: another process is training this run; stop it, or wait"
            ) from None
        except OSError as error:
            self.close()
            raise self._failed(error) from None

    def cut(self, steps: int) -> None:
        """Cut off what comes after so many steps."""
        try:
            os.truncate(self._file, self._end_of(steps))
        except OSError as error:
            raise self._failed(error) from None

    def _end_of(self, steps: int) -> int:
        """Bytes up to the end of the line of the last of so many steps."""
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    kept = line.endswith(b"\n") and json.loads(line)["step"] <= steps
                except (ValueError, KeyError, TypeError):
                    break  # torn by a full disk or a power cut; what follows is torn too
                if not kept:
                    break
                end += len(line)
        return end

    def add(self, entry: dict[str, Any]) -> None:
        """Add a line; it waits in memory until `flush`."""
        self._waiting.append(json.dumps(entry).encode() + b"\n")

    def flush(self, *, sync: bool = False) -> None:
        """Write the lines that wait, and see them on the disk if `sync`."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
            if sync:
                os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: cannot be written ({error.strerror}); once it can be, go on "
            "with --resume"
        )
