"""A real browser: Debian's chromium, driven by Playwright, or a reason why there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving_tools import TEXT, served, small_model
from worker_code import Run, run_in_node

from charloom import Model
from charloom.serving.offline.page import export

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)

WAIT = 120_000
"""Milliseconds for what has to come, however busy the machine is; nothing waits so long."""

Opener = Callable[..., Any]


def program() -> str | None:
    """The browser: CHARLOOM_BROWSER, or chromium, without a window if that is there.

    The one without a window needs half the time to open a page.
    """
    given = os.environ.get("CHARLOOM_BROWSER")
    return given or shutil.which("chromium-headless-shell") or shutil.which("chromium")


def missing() -> str:
    """What a browser test would need and has not got; empty if all is there."""
    if not program():
        return "no chromium is installed (apt-get install chromium-headless-shell)"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (pip install 'charloom[browser]')"
    return ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if reason := missing():
        if os.environ.get("CHARLOOM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program(),
            headless=True,
            args=FLAGS.split(),
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node() -> Run:
    """Runs code with the worker's classes in node."""
    if not shutil.which("node"):
        reason = "no node is installed (apt-get install nodejs)"
        if os.environ.get("CHARLOOM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return run_in_node


@pytest.fixture(scope="session", autouse=True)
def baseline() -> Iterator[None]:
    """The kernels that a page computes with, so that all numbers can be compared to the bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLOOM_KERNELS", "baseline")
        yield


@pytest.fixture(scope="session")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="session")
def address(model: Model) -> Iterator[str]:
    with served(model) as page:
        yield page.address


@pytest.fixture(scope="session")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("file") / "page.html"
    path.write_text(export(model, TEXT).html, encoding="utf-8")
    return path.as_uri()


AXE = "axe-core@4.10.3"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe, which looks for barriers: from CHARLOOM_AXE, a file, or from npm."""
    if given := os.environ.get("CHARLOOM_AXE"):
        return Path(given).read_text(encoding="utf-8")
    if not (npm := shutil.which("npm")):
        pytest.skip(f"npm is not installed, which fetches {AXE}; CHARLOOM_AXE names its axe.min.js")
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), AXE],
            check=True,
            capture_output=True,
            timeout=120,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm could not fetch {AXE} ({error}); CHARLOOM_AXE names its axe.min.js")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


def is_own(message: str) -> bool:
    """Whether a message is about what the tests do, which is to read pixels back."""
    return "willReadFrequently" in message


def function(what: str) -> str:
    """What is waited for; the page's policy forbids the eval that looks again at an expression."""
    assert "=>" in what, f"a function is needed: () => {what}"
    return what


@contextmanager
def opened(
    browser: Any, address: str, width: int = 1600, theme: str = "light", script: str = ""
) -> Iterator[Any]:
    """A page that has read its text; on the way out, it must not have complained."""
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=theme)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    page.add_init_script(script)
    wait = page.wait_for_function
    page.wait_for_function = lambda what, **how: wait(function(what), **how)
    wrong: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: is_own(message.text) or wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    if address.startswith("file:"):
        context.set_offline(True)
    page.wrong = wrong
    page.goto(address)
    page.wait_for_selector("body[data-ready][data-opened]")
    yield page
    assert wrong == []
    own = (address.split("#")[0], "blob:")  # a file's worker comes out of the page
    assert [url for url in asked if not url.startswith(own)] == []
    context.close()


@pytest.fixture(scope="session", params=["served", "file"])
def shared(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """The page of one text, from the server and from the file, for tests that only look."""
    address = request.getfixturevalue("address" if request.param == "served" else "file")
    with opened(browser, address) as page:
        yield page


@pytest.fixture
def open_page(browser: Any) -> Iterator[Opener]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(
            opened(browser, *arguments, **options)
        )


@pytest.fixture
def pictures() -> Path | None:
    """Where screenshots are put for people to look at: the folder CHARLOOM_PICTURES."""
    folder = os.environ.get("CHARLOOM_PICTURES")
    return Path(folder) if folder else None
