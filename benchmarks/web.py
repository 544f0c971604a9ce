"""How fast the core is as WebAssembly, in node, against the native kernels and PyTorch.

One thread each, in turns within one run, the best of several; characters a second, and each as a
share of the native baseline kernels, which compute the same bits. `python benchmarks/web.py`.

`python benchmarks/web.py --blog` is another measurement: the blog's program, trained in the page in
chromium and beside it in node, with all that the page shows on the way.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from charloom import Model, ModelSettings, SamplingSettings, Vocabulary
from charloom.engines.base import StepSettings
from charloom.engines.native import NativeEngine, available_kernels
from charloom.serving.offline.page import export

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from worker_code import encoded, run_in_node

ALPHABET = "".join(map(chr, range(32, 97)))
SHAPES = [(75, 1, 32, 15), (128, 2, 16, 64), (256, 2, 16, 64), (512, 2, 16, 64)]
"""H, L, and B and T of training."""
ROUNDS = 3

NODE = """
  const { H, B, T, characters, steps } = given;
  const predictor = new Predictor(core, model);
  const { network } = predictor;
  const sampling = { temperature: 1, top_k: 0, top_p: 1 };
  let began = performance.now();
  network.generate(0, network.zeroState(), characters, sampling, 1n, 0, -1);
  const generated = characters / (performance.now() - began) * 1000;
  const ids = Int32Array.from({ length: T * B }, (_, n) => n % 65);
  const moments = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
  const adam = { learning_rate: 0.001, ...moments, clip_norm: 1, dropout: 0 };
  let state = network.zeroState(B);
  began = performance.now();
  for (let step = 1; step <= steps; step++) {
    state = network.trainStep(ids, ids, B, state, adam, step).state;
  }
  return { generated, trained: steps * T * B / (performance.now() - began) * 1000 };
"""


def native(model: Model, kernels: str, B: int, T: int, characters: int, steps: int) -> dict:
    """The same in Python."""
    engine = NativeEngine(
        model.settings, 65, dict(model.weights), precision="float32", threads=1, kernels=kernels
    )
    began = time.perf_counter()
    zeros, seeds = np.zeros(1, np.int32), np.ones(1, np.uint64)
    engine.generate(zeros, engine.zero_state(1), characters, SamplingSettings(), seeds, 0)
    generated = characters / (time.perf_counter() - began)
    ids = (np.arange(T * B, dtype=np.int32) % 65).reshape(T, B)
    state, settings = engine.zero_state(B), StepSettings(learning_rate=1e-3, clip_norm=1)
    began = time.perf_counter()
    for _ in range(steps):
        state = engine.train_step(ids, ids, state, settings).state
    return {"generated": generated, "trained": steps * T * B / (time.perf_counter() - began)}


def torch_loop(H: int, L: int, characters: int) -> dict:
    """PyTorch's step loop: nn.LSTM and nn.Linear, a character at a time."""
    import torch

    torch.set_num_threads(1)
    lstm, head = torch.nn.LSTM(65, H, L), torch.nn.Linear(H, 65)
    x, state = torch.zeros(1, 1, 65), None
    with torch.inference_mode():
        began = time.perf_counter()
        for _ in range(characters):
            out, state = lstm(x, state)
            drawn = torch.multinomial(torch.softmax(head(out[0, 0]), 0), 1)
            x.zero_()[0, 0, drawn] = 1
        return {"generated": characters / (time.perf_counter() - began)}


BLOG = """
  const trainer = new Trainer(core, given.settings);
  const before = process.cpuUsage();
  const began = performance.now();
  const { AT_ONCE, LOOKS, WRITTEN } = given;
  const part = (step, times) => Math.floor((step * times) / 500);
  const due = (before, step, times) => part(step, times) > part(before, times);
  trainer.look();
  trainer.writeBack();
  for (let step = 0; step < 500; step += AT_ONCE) {
    trainer.train(AT_ONCE);
    if (due(step, step + AT_ONCE, LOOKS)) trainer.look();
    if (due(step, step + AT_ONCE, WRITTEN)) trainer.writeBack();
  }
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(before);
  return { told: seconds, worker: (used.user + used.system) / 1e6 };
"""


def blogs_program() -> None:
    """Train the blog's model in the page and in node, in turns; print a line of JSON for each.

    told: what the page says it computed, in elapsed seconds of its worker; worker, page: the
    processor time of the worker's thread and of the page's own; elapsed: from the click to the end.
    """
    from playwright.sync_api import sync_playwright

    alphabet = Vocabulary.of(ALPHABET)
    model = Model.untrained(ModelSettings(hidden_size=16), alphabet)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(export(model, "THE FOX").html, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHARLOOM_BROWSER") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        for _ in range(ROUNDS):
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(path.as_uri())
            page.wait_for_selector("body[data-ready][data-opened]")
            before, began = processor_seconds(), time.perf_counter()
            page.click("#train")
            page.wait_for_selector("#training[data-state=done]", timeout=300_000)
            elapsed = time.perf_counter() - began
            used = {who: after - before[who] for who, after in processor_seconds().items()}
            told = float(page.get_attribute("#training", "data-seconds") or "nan")
            numbers = {"told": told, **used, "elapsed": elapsed}
            tell("chromium", numbers)
            names = "({ settings: training.settings, AT_ONCE, LOOKS, WRITTEN })"
            tell("node", run_in_node(BLOG, **page.evaluate(names)))
            page.close()
        browser.close()


def processor_seconds() -> dict[str, float]:
    """What this process's browser has used: the threads of its workers, and of its pages."""
    parents, threads = {}, []
    for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            process = int(stat.parts[2])
            parents[process] = int(fields[1])
            threads.append((process, name, int(fields[11]) + int(fields[12])))
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    pages = {process for process, name, _ in threads if name.startswith("DedicatedWorker")} & ours
    spent = {"worker": 0.0, "page": 0.0}
    for process, name, ticks in threads:
        if process in pages:
            who = "worker" if name.startswith("DedicatedWorker") else "page"
            spent[who] += ticks / os.sysconf("SC_CLK_TCK")
    return spent


def tell(where: str, numbers: dict[str, float]) -> None:
    print(
        json.dumps({"blog in": where, **{k: round(v, 2) for k, v in numbers.items()}}), flush=True
    )


def main() -> None:
    """Measure every shape and print a line of JSON for each."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not installed; without it")
    for H, L, B, T in SHAPES:
        model = Model.untrained(ModelSettings(hidden_size=H, num_layers=L), Vocabulary.of(ALPHABET))
        weights = H * H * L
        amount = max(1000, 100_000_000 // weights), max(4, 2_000_000_000 // (weights * B * T))
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "m.safetensors")
            file = encoded((Path(folder) / "m.safetensors").read_bytes())
        ways: dict[str, Callable[[], dict]] = {
            "node": lambda f=file, a=amount, s=(H, B, T): run_in_node(
                NODE, model=f, H=s[0], B=s[1], T=s[2], characters=a[0], steps=a[1]
            ),
            **{
                f"native {name}": lambda m=model, k=name, a=amount, s=(B, T): native(m, k, *s, *a)
                for name in available_kernels()
            },
        }
        if "torch" in sys.modules:
            ways["PyTorch"] = lambda a=amount, s=(H, L): torch_loop(*s, max(a[0] // 10, 100))
        best: dict[str, dict[str, float]] = {name: {} for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                for what, rate in way().items():
                    best[name][what] = max(rate, best[name].get(what, 0))
        base = best["native baseline"]
        for name, rates in best.items():
            told = {w: f"{r:,.0f} ({r / base[w]:.2f})" for w, r in rates.items()}
            print(json.dumps({"H": H, "L": L, "B": B, "T": T, "with": name, **told}), flush=True)


if __name__ == "__main__":
    assert subprocess.run(["node", "--version"], capture_output=True, check=True)
    blogs_program() if "--blog" in sys.argv[1:] else main()
