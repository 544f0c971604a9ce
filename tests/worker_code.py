"""The page's worker run as plain code, in node or in chromium: for tests of it.

`run(code, given)` is the value that the body of an async function returns; it has the worker's
classes, `given`, and `core`, the compiled core.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from charloom import Model
from charloom.serving.offline.page import worker_source
from charloom.serving.page_api import page_files

Run = Callable[..., Any]

SHIM = """
globalThis.addEventListener = () => {};
globalThis.bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
globalThis.base64Of = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};
"""

BODY = """(async (given) => {
  const core = await Core.load(bytesOf(given.core));
  const model = given.model && readModel(bytesOf(given.model));
  %s
})"""

IN_NODE = """
const { readFileSync } = require("node:fs");
const { runInThisContext } = require("node:vm");
const [shim, source, body, given] = JSON.parse(readFileSync(0, "utf8"));
runInThisContext(shim);
runInThisContext(source);
runInThisContext(body)(given).then((value) => process.stdout.write(JSON.stringify(value ?? null)));
"""


def encoded(data: bytes | np.ndarray) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else data.tobytes()).decode()


def decoded(text: str, kind: str = "<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def file_of(model: Model, folder: Path) -> str:
    model.save(folder / "model.safetensors")
    return encoded((folder / "model.safetensors").read_bytes())


def _parts(code: str, given: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]]:
    files = page_files()
    given = {"core": encoded(files["worker/core.wasm"]), **given}
    return SHIM, worker_source(files), BODY % code, given


def run_in_node(code: str, **given: Any) -> Any:
    done = subprocess.run(
        ["node", "-e", IN_NODE],
        input=json.dumps(_parts(code, given)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def run_in_browser(browser: Any) -> Run:
    def run(code: str, **given: Any) -> Any:
        shim, source, body, given = _parts(code, given)
        page = browser.new_page()
        try:
            page.add_script_tag(content=shim)
            page.add_script_tag(content=source)
            return page.evaluate(body, given)
        finally:
            page.close()

    return run
