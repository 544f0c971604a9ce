"""Live comparisons: they share `agreement.py` and `golden/make_golden.py` in tests/."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).parents[1]))
