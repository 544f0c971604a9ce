"""The blog's listing, finished in Keras, and the same in charloom, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "blog_in_keras.py"


def test_keras_and_charloom_have_equal_losses_and_generate_the_sentence():
    pytest.importorskip("jax")
    pytest.importorskip("keras")
    # A process of its own: the example sets Keras to float64.
    environment = {**os.environ, "KERAS_BACKEND": "jax", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "60"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    listing, _, losses = done.stdout.partition("epoch     Keras  charloom\n")
    assert listing.startswith("134\n[[ 5 17 10") and listing.endswith("\n14\n")

    losses, _, step = losses.partition("\nA step of the model that Keras trained")
    *rows, theirs, ours = losses.splitlines()
    assert len(rows) == 6
    for row in rows:
        _, keras, charloom = row.split()
        assert keras == charloom
    assert float(rows[0].split()[1]) > 3 > 0.1 > float(rows[-1].split()[1])
    sentence = "One bright morning as the Fox was following his sharp nose"
    assert theirs.startswith(f"Keras:    {sentence}")
    assert ours.removeprefix("charloom: ") == theirs.removeprefix("Keras:    ")
    # charloom has opened Keras's model: "One bright morn" makes it expect an "i".
    for told in ("C_t", "forget", "'i'"):
        assert told in step
