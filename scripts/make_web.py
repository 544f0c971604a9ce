"""Compile the C++ core to WebAssembly: src/charloom/serving/page/worker/core.wasm.

`make web` runs this with the Zig compiler that pyproject.toml names, so that equal sources give
equal bytes; with --check it only says whether the file in the repository is the one that comes of
the sources. The digest of the sources stands in the file, in a section that no engine reads: the
tests compare it, since compiling takes minutes. SIMD of 128 bits and no relaxed SIMD: results are
those of the baseline kernels.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NATIVE = ROOT / "native"
CORE = ROOT / "src/charloom/serving/page/worker/core.wasm"

TARGET = ["-target", "wasm32-wasi", "-mexec-model=reactor", "-msimd128"]
CODE = ["-std=c++20", "-O3", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti"]
WARNINGS = ["-Wall", "-Wextra", "-Wno-psabi"]
KERNELS = ["-DCHARLOOM_ISA=baseline", "-DCHARLOOM_PRECISION=float32"]
LINKING = ["-Wl,--no-entry", "-Wl,--strip-all"]


SECTION = b"charloom.sources"


def digest() -> bytes:
    """SHA-256 of all that the file is made of: the sources, flags, the compiler's version."""
    folders = ("cells", "kernels", "network", "support")
    sources = [path for name in folders for path in sorted((NATIVE / name).iterdir())]
    compiler = re.search(r"ziglang==[\d.]+", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert compiler is not None
    words = [compiler[0], *TARGET, *CODE, *KERNELS, *LINKING]
    files = [NATIVE / "bindings/web.cpp", *sources]
    parts = [*map(str.encode, words), *(path.read_bytes() for path in files)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def section() -> bytes:
    """A custom section (WebAssembly, 5.5.3) with the digest; a length below 128 is one byte."""
    content = bytes([len(SECTION)]) + SECTION + digest()
    return bytes([0, len(content)]) + content


def compiled(folder: Path) -> bytes:
    """The core, made in an empty folder."""
    cells = sorted((NATIVE / "cells").glob("*.cpp"))
    lines = [f"NETWORK(baseline, float32, {cell.stem})\n" for cell in cells]
    (folder / "networks.inc").write_text("".join(lines), encoding="utf-8")
    names = ("network/network.cpp", "network/sampler.cpp", "bindings/web.cpp")
    sources = [*cells, *(NATIVE / name for name in names)]
    compiler = [sys.executable, "-m", "ziglang", "c++", *TARGET, *CODE, *WARNINGS, *KERNELS]
    files = [f"-I{NATIVE}", f"-I{folder}", *map(str, sources), "-o", str(folder / "core.wasm")]
    subprocess.run([*compiler, *files, *LINKING], check=True)
    return (folder / "core.wasm").read_bytes() + section()


def main() -> int:
    """Write the file, or compare it; 1 where it is another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        core = compiled(Path(folder))
    if check:
        same = CORE.exists() and CORE.read_bytes() == core
        told = "is what the sources make" if same else "is not what the sources make; run: make web"
        print(f"{CORE.name} {told}")
        return not same
    CORE.write_bytes(core)
    print(f"{CORE.relative_to(ROOT)}: {len(core):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
