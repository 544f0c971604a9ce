"""What every test needs: quick products in NumPy, and no warnings that it does not expect.

The reference is read for its answer, not for its speed: small products on many BLAS threads
mostly wait for each other, so NumPy gets one. This has to be said before NumPy is imported.
"""

import logging
import os
import signal

# What a shell without job control starts in the background ignores interrupts, and so would what
# the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from messages import Unexpected
from recipes import recipe, shown, statements

from charloom.text.unknown import no_warning_of_unknown

collect_ignore = ["typed.py"]  # which is read by type checkers, and never run


@pytest.fixture(autouse=True)
def _no_unexpected_warnings():
    handler = Unexpected(logging.WARNING)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def unknown_characters_are_expected():
    """The test counts them itself."""
    with no_warning_of_unknown():
        yield


@pytest.fixture
def run_recipe(capsys, tmp_path, monkeypatch):
    """Run a recipe on a small cut; its page shows the same statements with other numbers."""

    def small(name: str, **given: object) -> str:
        monkeypatch.chdir(tmp_path)
        recipe(name).main(small=True, **given)
        output = capsys.readouterr().out
        assert statements(output) == shown(name)
        return output

    return small
