"""How fast a text becomes ids, and how much memory that takes.

    python benchmarks/corpus_speed.py --megabytes 300

Writes a text in ASCII and one in mixed UTF-8 to a temporary folder and builds a corpus of
each, in a process of its own, whose peak resident memory is reported.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from charloom.settings import TextSettings
from charloom.text.corpus import build_corpus

MEGABYTE = 1_000_000
LATIN = "etaoinshrdlucmfwypvbgkjqxz"
ALPHABETS = {
    "ASCII": [LATIN, LATIN.upper()],
    "mixed UTF-8": [
        LATIN,
        "eéaàiînsrtçùœ",
        "оеаинтсрвлкмдпу",
        "的一是不了人我在有他这",
        "😀🙂🚀",
    ],
}


def write_text(path: Path, alphabets: list[str], size: int) -> None:
    """Write a file of about `size` bytes, each of its words drawn from one alphabet."""
    random = Random(0)
    words = ("".join(random.choices(random.choice(alphabets), k=6)) for _ in range(100_000))
    block = "".join(word + random.choice("     \n") for word in words).encode()
    with path.open("wb") as file:
        for _ in range(0, size, len(block)):
            file.write(block)


def measure(path: Path, settings: TextSettings) -> tuple[float, float, float]:
    """Build a corpus: elapsed seconds, seconds of processor time, peak memory in megabytes."""
    start, worked = time.perf_counter(), time.process_time()
    build_corpus(path, settings, ids_path=path.with_suffix(".ids"))
    return time.perf_counter() - start, time.process_time() - worked, resident_megabytes()


def resident_megabytes() -> float:
    """Peak resident memory of this process, including Python and NumPy."""
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes * (1 if sys.platform == "darwin" else 1024) / MEGABYTE


def main() -> None:
    """Print one line per text and kind of vocabulary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=300, help="size of each text")
    megabytes = parser.parse_args().megabytes
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        for name, alphabet in ALPHABETS.items():
            write_text(path, alphabet, megabytes * MEGABYTE)
            size = path.stat().st_size / MEGABYTE
            for vocabulary in ("characters", "bytes"):
                with spawn.Pool(1) as pool:
                    settings = TextSettings(vocabulary=vocabulary)
                    seconds, worked, peak = pool.apply(measure, (path, settings))
                print(
                    f"{name:12} {vocabulary:10} {size:6.0f} MB in {seconds:5.1f} s: "
                    f"{size / seconds:4.0f} MB/s ({size / worked:.0f} by processor time), "
                    f"{peak:.0f} MB of memory"
                )


if __name__ == "__main__":
    main()
