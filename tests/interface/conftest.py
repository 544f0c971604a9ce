"""The library for C, and a program that is compiled against it with the machine's compiler.

`make embedding` builds it with sanitizers and requires it; `make lib` builds the one for users.
The folder is CHARLOOM_LIBRARY, by default build/lib.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from c_library import FOLDER, ROOT, Compile


@pytest.fixture(scope="session")
def library() -> Path:
    """The static library."""
    found = FOLDER / "libcharloom.a"
    if not found.exists():
        if "CHARLOOM_LIBRARY" in os.environ:
            pytest.fail(f"{found} is not there")
        pytest.skip("the library for C is not built here: make lib")
    return found


@pytest.fixture(scope="session")
def compiled(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a C file, without a warning, and links it with the library."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here")

    def compile_file(source: Path) -> Path:
        program = tmp_path_factory.mktemp("c") / source.stem
        flags = [
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-D_POSIX_C_SOURCE=200809L",
        ]
        flags += os.environ.get("CFLAGS", "").split()
        command = [compiler, *flags, "-I", str(ROOT / "include"), str(source), str(library)]
        subprocess.run([*command, "-lstdc++", "-lm", "-lpthread", "-o", str(program)], check=True)
        return program

    return compile_file


@pytest.fixture(scope="session")
def driver(compiled: Compile) -> Path:
    return compiled(Path(__file__).with_name("driver.c"))


@pytest.fixture(autouse=True)
def the_same_kernels(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python computes with the kernels that the library has."""
    chosen = re.search(r"CHARLOOM_KERNELS:STRING=(\S+)", (FOLDER / "CMakeCache.txt").read_text())
    if chosen:
        monkeypatch.setenv("CHARLOOM_KERNELS", chosen[1].split(";")[-1])
    yield
