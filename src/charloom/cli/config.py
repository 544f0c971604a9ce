"""run.toml: every flag of a run, read by `train --config` and written into the run's folder.

text = ["/home/me/book.txt"]
hidden_size = 256
seed = 0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

import charloom

from ..errors import SettingsError, TextError
from .streams import tell

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "run.toml"
"""In the folder of a run."""

_LARGEST = 1 << 20  # bytes

NOT_KEPT = ("config", "resume", "output", "tensorboard", "help")
"""Flags of train that a file does not give: they say what to do with it."""


def configure(context: typer.Context, file: Path | None) -> Path | None:
    """Take what a file says as defaults of the command's flags."""
    if file is not None:
        known = {str(parameter.name) for parameter in context.command.params} - {*NOT_KEPT}
        values = read(file)
        for name in values:
            if name not in known:
                raise SettingsError(
                    f"config: {file}: {name!r} is no setting of a run; known are "
                    f"{', '.join(sorted(known))}"
                )
        several = {
            flag.name
            for flag in context.command.params
            if flag.nargs != 1 or getattr(flag, "multiple", False)
        }
        values = {n: [v] if n in several and isinstance(v, str) else v for n, v in values.items()}
        context.default_map = {**(context.default_map or {}), **values}
    return file


def read(file: Path) -> dict[str, Any]:
    """The values of a file, by the names of settings; dashes are as good as underscores."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        values = tomllib.loads(data.decode())
    except OSError as error:
        raise TextError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # both of TOML and of UTF-8
        raise TextError(f"{file}: is no TOML: {error}") from None
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise SettingsError(f"config: {file}: {name!r} is {value!r}; give a string or a number")
    return {name.replace("-", "_"): value for name, value in values.items()}


def keep(
    run: charloom.Run,
    folder: Path,
    text: list[Any],
    validation: list[Any] | None,
    start_from: Path | None,
) -> None:
    """Write the file of a run into its folder. A failure costs the file, not the run."""
    plan, base = run.plan, run.plan.base
    settings = {
        **plan.text.model_dump(),
        **plan.model.model_dump(),
        **plan.training.model_dump(),
    }
    measured = [
        "# Minutes are turned into steps by the speed of the machine. To repeat it exactly, put",
        f"# steps = {run.steps} in the place of minutes.",
    ]
    lines = [
        "# Every setting of this run. Repeat it with: charloom train --config run.toml -o FOLDER",
        *(measured if plan.training.minutes else []),
        f"text = {_names(text)}",
        *([f"validation = {_names(validation)}"] if validation else []),
        f"start_from = {_value(_place(start_from or (base.name if base else 'none')))}",
        *(f"{name} = {_value(value)}" for name, value in settings.items() if value is not None),
    ]
    try:
        (folder / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except (OSError, UnicodeError) as error:
        tell(f"charloom: warning: {folder / NAME}: cannot be written ({error})")


def _names(sources: Iterable[Any]) -> str:
    return _value([source if source == "-" else _place(source) for source in sources])


def _place(source: Any) -> str:
    """A path from everywhere; the name of a base, which is none, as it is."""
    path = Path(source)
    return str(path.absolute()) if path.exists() else str(path)


def _value(value: Any) -> str:
    """A value in TOML, which for these is JSON but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
