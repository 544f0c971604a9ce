"""How fast `charloom serve` is, beside its own engine in the same run, and that nothing is lost.

    python benchmarks/serving.py                  # H512, 1,000 streams at once; three minutes
    python benchmarks/serving.py --quick          # H128, a few streams
    python benchmarks/serving.py --document docs/measurements.md

A server in a process of its own answers clients of this one, over loopback and on the same cores,
so its rate pays for both; the clients' processor time is told beside the server's. The engine's own
rate is that of 64 streams in this process, measured before and after every load; the ratio of each
load is to the mean of the two beside it. On a busy machine the rates say little, and the ratio of
processor times more. Every text is compared with the one that the engine makes alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from charloom import Model, ModelSettings, SamplingSettings, Vocabulary
from charloom.engines.random import stream_seeds

BEGIN, END = "<!-- serving: begin -->", "<!-- serving: end -->"
CHARACTERS = "\n !,.?'-;:" + "".join(map(chr, range(65, 91))) + "".join(map(chr, range(97, 123)))
STREAMS = 64
OPENING = 32  # connections at a time: a server does not wait long for the request of each


def main() -> None:
    given = arguments()
    model = Model.untrained(
        ModelSettings(hidden_size=given.hidden_size, num_layers=2),
        Vocabulary.of(CHARACTERS, unknown=True),
    )
    lines = [f"Conditions: {conditions(model)}", "", "| | |", "| --- | --- |"]
    with tempfile.TemporaryDirectory() as folder, server(model, Path(folder)) as running:
        load(running, model, [Request(seed=1, length=50)])  # both are warm
        ratios, costs, alone = [], [], [engine_rate(model, given.seconds / 3)]
        for turn in range(given.rounds):
            requests = [Request(seed=n, length=given.length + n % 32) for n in range(given.streams)]
            before = cpu_seconds(running.process)
            seconds = load(running, model, requests)
            characters = sum(one.length for one in requests)
            costs.append((cpu_seconds(running.process) - before) / characters)
            alone.append(engine_rate(model, given.seconds / 3))
            ratios.append(characters / seconds / statistics.mean(rate for rate, _ in alone[-2:]))
            told = ", ".join(f"{one * 1e6:.1f}" for one in costs[-1])
            tell(
                f"turn {turn + 1}: {characters / seconds:,.0f} characters/s, {ratios[-1]:.0%}; us "
                f"for each: {told} (server, its connections, clients); engine alone "
                f"{alone[-1][1] * 1e6:.1f}"
            )
            wrong = compare(model, requests if turn == 0 else requests[:STREAMS])
            assert wrong == 0, f"{wrong} texts are not those made alone"
        rate, own = (statistics.median(one[n] for one in alone) for n in (0, 1))
        cost, connections, clients = np.median(costs, axis=0)
        lines += [
            f"| engine alone, {STREAMS} streams | {rate:,.0f} characters/s, {own * 1e6:.1f} us of "
            "processor time for each |",
            f"| {given.streams:,} streams at once, of {given.length} characters and up "
            f"| {statistics.median(ratios):.0%} of that rate ({min(ratios):.0%} to "
            f"{max(ratios):.0%} in {len(ratios)} turns); none lost, each text the one made alone |",
            f"| the server's processor time | {cost * 1e6:.1f} us for each character, of which "
            f"{connections * 1e6:.1f} us for connections; the engine's own is {own / cost:.0%} "
            "of it |",
            f"| the clients' processor time | {clients * 1e6:.1f} us for each character |",
            f"| memory of the server, at most | {peak_megabytes(running.process):,.0f} MB |",
        ]
        for label, idle in (("", 0), (f", beside {given.idle} idle connections", given.idle)):
            with half_open(running, idle):
                waits = first_characters(running, 32, given.seconds)
            percentiles = [1000 * float(np.percentile(waits, p)) for p in (50, 95, 99)]
            lines.append(
                f"| first character, 32 streams at a time{label} | "
                f"{percentiles[0]:.0f} ms (95 %: {percentiles[1]:.0f} ms, 99 %: "
                f"{percentiles[2]:.0f} ms; {len(waits)} requests) |"
            )
            tell(lines[-1])
    print("\n".join(lines))
    if given.document:
        page = given.document.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        assert rest, f"{given.document} has no {BEGIN}"
        after = rest.partition(END)[2]
        new = "\n".join([BEGIN, *lines, END])
        given.document.write_text(before + new + after, encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each measure of waiting")
    parser.add_argument("--idle", type=int, default=300, help="connections that say nothing")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--document", type=Path, help="write the table between its marks here")
    given = parser.parse_args()
    if given.quick:
        given.streams, given.hidden_size, given.rounds, given.seconds = 50, 128, 1, 1
    return given


@dataclass
class Request:
    """A stream that is asked for, and what came of it."""

    seed: int
    length: int
    prompt: str = "The Fox"
    sent: float = 0.0
    first: float = 0.0
    content: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What was streamed; AssertionError if it is not whole."""
        content = b"".join(self.content)
        assert content.startswith(b"HTTP/1.1 200"), content[:300]
        assert b"data: [DONE]" in content, content[-300:]
        events = [json.loads(one) for one in re.findall(rb"data: (\{.*\})\n", content)]
        return "".join(event["choices"][0]["text"] for event in events)

    def encoded(self, port: int) -> bytes:
        """The request on its way."""
        body = json.dumps(
            {"prompt": self.prompt, "max_tokens": self.length, "seed": self.seed, "stream": True}
        ).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"Connection: close\r\n\r\n" + body


class Client(asyncio.Protocol):
    """Send a request and keep the answer, with as little work as possible."""

    def __init__(self, request: Request, port: int, done: asyncio.Future[None]) -> None:
        self.request, self.port, self.done = request, port, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self.request.sent = time.perf_counter()
        transport.write(self.request.encoded(self.port))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Keep some of the answer."""
        if not self.request.first and b"data: " in data:
            self.request.first = time.perf_counter()
        self.request.content.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be done."""
        if not self.done.done():
            self.done.set_result(None)


async def ask(request: Request, port: int, opening: asyncio.Semaphore) -> None:
    """Send a request, and wait until its answer is complete."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    async with opening:
        await loop.create_connection(lambda: Client(request, port, done), "127.0.0.1", port)
    await done


@dataclass
class Running:
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int


@contextmanager
def server(model: Model, folder: Path) -> Iterator[Running]:
    """The server of a model, in a process of its own."""
    model.save(folder / "model.safetensors")
    command = [sys.executable, "-m", "charloom", "serve", str(folder / "model.safetensors")]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            yield Running(process, int(address.rstrip("/").rpartition(":")[2]))
        finally:
            process.terminate()


def load(running: Running, model: Model, requests: list[Request]) -> float:
    """Send all of them at once; the seconds until the last has its answer."""

    async def every() -> None:
        opening = asyncio.Semaphore(OPENING)
        await asyncio.gather(*(ask(request, running.port, opening) for request in requests))

    start = time.perf_counter()
    asyncio.run(every())
    seconds = time.perf_counter() - start
    for request in requests:
        assert len(request.text) == request.length
    return seconds


def first_characters(running: Running, at_once: int, seconds: float) -> list[float]:
    """Seconds from a request to its first character, so many streams following one another."""
    requests: list[Request] = []
    end = time.perf_counter() + seconds

    opening = asyncio.Semaphore(OPENING)

    async def one(client: int) -> None:
        while time.perf_counter() < end:
            requests.append(Request(seed=len(requests), length=150 + 13 * client % 100))
            await ask(requests[-1], running.port, opening)

    async def every() -> None:
        await asyncio.gather(*map(one, range(at_once)))

    asyncio.run(every())
    return [request.first - request.sent for request in requests]


@contextmanager
def half_open(running: Running, count: int) -> Iterator[None]:
    """Connections that send half a request, or take nothing of their answer."""
    import socket

    connections = []
    for n in range(count):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", running.port))
        whole = Request(seed=n, length=150).encoded(running.port)
        connection.sendall(whole[: len(whole) - (n % 20 != 0)])  # one of twenty is whole
        connections.append(connection)
    time.sleep(1)  # until the server has accepted them and answered what is whole
    yield
    for connection in connections:
        connection.close()


def engine_rate(model: Model, seconds: float = 3.0) -> tuple[float, float]:
    """Characters a second of 64 streams, drawn 16 at a time; processor seconds for each."""
    engine, sampling = model.engine, SamplingSettings()
    seeds, state = stream_seeds(0, STREAMS), model.engine.zero_state(STREAMS)
    last, drawn = np.zeros(STREAMS, np.int32), 0
    start, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        ids, state = engine.generate(last, state, 16, sampling, seeds, drawn)
        last, drawn = ids[-1], drawn + 16
    characters = STREAMS * drawn
    elapsed = time.perf_counter() - start
    return characters / elapsed, (time.process_time() - used) / characters


def compare(model: Model, requests: list[Request]) -> int:
    """How many texts differ from those that the model makes without a server.

    Some are made by `Model.generate`, one after the other, and all by the engine, from their
    own seeds.
    """
    wrong = 0
    for request in requests[:8]:
        text = "".join(model.generate(request.prompt, length=request.length, seed=request.seed))
        wrong += text != request.text
    context = model.predictor.context(requests[0].prompt)
    begun = model.predictor.read(context[:-1])
    for start in range(0, len(requests), STREAMS):
        some = requests[start : start + STREAMS]
        seeds = np.concatenate([stream_seeds(request.seed, 1) for request in some])
        last, state = np.repeat(context[-1:], len(some)), begun.repeat(len(some))
        length = max(request.length for request in some)
        unknown = model.predictor.forbidden
        ids, _ = model.engine.generate(last, state, length, SamplingSettings(), seeds, 0, unknown)
        for column, request in zip(ids.T, some, strict=True):
            wrong += model.vocabulary.decode(column[: request.length]) != request.text
    return wrong


def cpu_seconds(process: subprocess.Popen[str]) -> np.ndarray:
    """What a server, its main thread (its connections), and this process used of the processor."""
    own = time.process_time()
    used = []
    for path in (f"/proc/{process.pid}/stat", f"/proc/{process.pid}/task/{process.pid}/stat"):
        fields = Path(path).read_text().rpartition(")")[2].split()
        used.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return np.array([*used, own])


def peak_megabytes(process: subprocess.Popen[str]) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


def conditions(model: Model) -> str:
    cores = len(os.sched_getaffinity(0))
    name = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    shape = f"H{model.settings.hidden_size} L{model.settings.num_layers} V{model.vocabulary.size}"
    busy = os.getloadavg()[0]
    return (
        f"{shape}, {model.engine.kernels}, {model.engine.precision}, {cores} cores of {name}, "
        f"load {busy:.1f} at the start."
    )


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
