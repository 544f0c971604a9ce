"""What tests of the library for C share: where it is, and a way to talk to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / os.environ.get("CHARLOOM_LIBRARY", "build/lib")
Compile = Callable[[Path], Path]


class Session:
    """A driver that has read some lines: what it answered to each."""

    def __init__(self, driver: Path, model: Path, *lines: str, precision: str = "float32") -> None:
        ran = subprocess.run(
            [driver, model, precision],
            input="".join(line + "\n" for line in lines),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        assert not ran.stderr, ran.stderr[-3000:]
        first, *self.answers = ran.stdout.splitlines()
        assert first == " 0", first
        assert len(self.answers) == len(lines)

    def __getitem__(self, at: int) -> str:
        """What was answered to a line that went well."""
        found, _, code = self.answers[at].rpartition(" ")
        assert code == "0", self.answers[at]
        return found


def hexadecimal(text: str) -> str:
    return text.encode().hex() or "-"


def text_of(answer: str) -> str:
    return bytes.fromhex(answer).decode()


def floats_of(answer: str) -> list[float]:
    return [float.fromhex(number) for number in answer.split()]
