"""The work on one input: its texts are read, and the rows of a verb written as its part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CharloomError, OutputError
from ...settings import ManySettings, TextSettings
from ...text.records import records
from ...text.unknown import no_warning_of_unknown
from ..model import Model
from .parts import part_of, write_part
from .rows import VERBS, Row, opened


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What came of one input."""

    input: str
    part: str | None = None
    """Its file; None if there is none, because of `error`."""
    rows: int = 0
    error: str | None = None
    settings: tuple[str, ...] = ()
    """Those that the message of `error` names in backquotes."""
    kept: bool = False
    """Whether the part was there already."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker needs to know to work on inputs; it travels to other processes."""

    verb: str
    model: Path
    computing: dict[str, Any]
    reading: dict[str, Any]
    options: dict[str, Any]
    many: ManySettings
    folder: Path

    def part(self, source: str) -> Path:
        """Where the part of an input stands."""
        return part_of(self.folder, Path(source), self.many.parts)

    def __call__(self) -> Callable[[str], FileOutcome]:
        """Load the model, once for each worker; what is returned works on an input."""
        model = Model.load(self.model, **self.computing)
        settings = model.text_settings.replace(**self.reading)
        options = opened(self.options, settings)
        return lambda source: self._outcome(model, settings, options, source)

    def _outcome(
        self, model: Model, settings: TextSettings, options: dict[str, Any], source: str
    ) -> FileOutcome:
        part = self.part(source)
        try:
            with no_warning_of_unknown():  # counted in the rows
                rows = self._rows(model, settings, options, Path(source))
                count = write_part(part, rows, VERBS[self.verb].columns, self.many.parts)
        except OutputError:
            raise  # the disk is full or the folder gone: of no use to go on
        except CharloomError as error:
            return FileOutcome(input=source, error=str(error), settings=error.settings)
        except MemoryError:
            return FileOutcome(input=source, error="not enough memory")
        return FileOutcome(input=source, part=str(part), rows=count)

    def _rows(
        self, model: Model, settings: TextSettings, options: dict[str, Any], source: Path
    ) -> Iterator[Row]:
        rows = VERBS[self.verb].rows
        for number, text in records(source, settings, self.many.column):
            for row in rows(model, text, options):
                yield {"row": number, **row}
