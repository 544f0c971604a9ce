"""The page's server: what a browser can ask for, one short function each.

    GET  /                 the page, and the files it is made of
    POST /api/read         {"text"}; lines of JSON: its heading, its blocks, {"done"}
    GET  /api/values       numbers of a range of the text, as float32
    GET  /api/levels       the same on a scale of 0 to 255, to be drawn
    GET  /api/totals       sums over the text, and of squares, of every unit, as float64
    GET  /api/units        units that seem to follow something with a name: opening.py
    POST /api/write        {"prompt", ...}; a line of JSON for every character

An error is {"error": one line}, with a status of 4xx.
"""

from __future__ import annotations

import json
import secrets
import sys
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from importlib.resources import files
from threading import BoundedSemaphore, Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..errors import CharloomError, counted
from ..model.model import Model
from ..settings import SamplingSettings
from . import guard
from .activations import BlockCache, TracedText
from .first_view import FirstView
from .guard import RequestError
from .live_text import write
from .opening import OpeningUnits

KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
}


def page_files() -> dict[str, bytes]:
    """The files of the page, by name; those of its worker as "worker/core.js".

    >>> "page.html" in page_files()
    True
    """
    folder = files("charloom.serving") / "page"
    places = {file.name: file for file in folder.iterdir()}
    places |= {f"worker/{file.name}": file for file in (folder / "worker").iterdir()}
    names = sorted(name for name in places if name.split(".")[-1] in KINDS)
    return {name: places[name].read_bytes() for name in names}


def page_routes(model: Model, view: FirstView, lock: Lock) -> list[Route]:
    """What the page of a model asks for; it opens with `view`.

    `lock` is held while the engine computes.
    """
    server = _Server(model, view, lock)
    return [
        Route("/", server.page),
        Route("/api/start", server.start),
        Route("/api/read", server.read, methods=["POST"]),
        Route("/api/values", server.values),
        Route("/api/levels", server.levels),
        Route("/api/totals", server.totals),
        Route("/api/units", server.units),
        Route("/api/write", server.write, methods=["POST"]),
        Route("/{name}", server.page),
        Route("/worker/{file}", server.page),
    ]


class _Server:
    def __init__(self, model: Model, view: FirstView, lock: Lock) -> None:
        self._model, self._view = model, view
        self._files = page_files()
        self._blocks = BlockCache(lock)
        self._units = OpeningUnits(model, view.text)
        self._writers = BoundedSemaphore(guard.GENERATIONS)
        self._texts: OrderedDict[str, TracedText] = OrderedDict()

    async def page(self, request: Request) -> Response:
        given = request.path_params
        name = f"worker/{given['file']}" if "file" in given else given.get("name", "page.html")
        if name not in self._files:
            raise RequestError(f"there is no {name[:100]!r} here", 404)
        kind = KINDS[name.split(".")[-1]]
        return Response(self._files[name], media_type=kind, headers={"Cache-Control": "no-cache"})

    async def start(self, request: Request) -> Response:
        """What the page shows first."""
        return JSONResponse(self._view.to_json())

    async def read(self, request: Request) -> Response:
        text = _field(await json_of(request), "text", str, "")
        if len(text) > guard.CHARACTERS:
            raise RequestError(
                f"the text has {counted(len(text), 'character')}; at most {guard.CHARACTERS:,} are "
                "read here (charloom score takes any length)",
                413,
            )
        traced = await run_in_threadpool(TracedText, self._model, text, self._blocks)
        name = secrets.token_urlsafe(9)
        self._texts[name] = traced
        while len(self._texts) > guard.TEXTS:
            self._texts.popitem(last=False)

        def lines() -> Iterator[dict[str, Any]]:
            yield {"text": name, **traced.heading()}
            yield from traced.blocks()
            yield {"done": True}

        return _Stream(lines())

    async def values(self, request: Request) -> Response:
        traced = self._traced_text(request)
        quantities = request.query_params.get("quantities", "").split(",")
        layer, start, stop = (_number(request, name) for name in ("layer", "start", "stop"))
        unit = _number(request, "unit") if "unit" in request.query_params else None
        units = self._model.settings.hidden_size if unit is None else 1
        _check_size(len(quantities) * (stop - start) * units)

        def computed() -> bytes:
            values = traced.values(layer, quantities, start, stop, unit)
            return values.astype("<f4").tobytes()

        return _octets(await run_in_threadpool(computed))

    async def levels(self, request: Request) -> Response:
        traced = self._traced_text(request)
        quantity = request.query_params.get("quantity", "")
        layer, start, stop = (_number(request, name) for name in ("layer", "start", "stop"))
        _check_size((stop - start) * self._model.settings.hidden_size)
        levels = await run_in_threadpool(traced.levels, layer, quantity, start, stop)
        return _octets(levels.tobytes())

    async def totals(self, request: Request) -> Response:
        quantity = request.query_params.get("quantity", "")
        totals = self._traced_text(request).totals(_number(request, "layer"), quantity)
        return _octets(totals.astype("<f8").tobytes())

    async def units(self, request: Request) -> Response:
        return JSONResponse({"units": await run_in_threadpool(self._units.get)})

    async def write(self, request: Request) -> Response:
        body = await json_of(request)
        prompt = _field(body, "prompt", str, "")
        length = _field(body, "length", int, 500)
        layer = _field(body, "layer", int, 0)
        stream = _field(body, "stream", int, 0)
        names = SamplingSettings.model_fields
        sampling = SamplingSettings(**{n: body[n] for n in names if n in body})
        if len(prompt) > guard.CHARACTERS:
            told = f"the prompt has {counted(len(prompt), 'character')}"
            raise RequestError(f"{told}; at most {guard.CHARACTERS:,} are read", 413)
        if not 0 <= length <= guard.GENERATED:
            raise RequestError(f"length: it must be at least 0 and at most {guard.GENERATED:,}")
        if not 0 <= layer < self._model.settings.num_layers:
            raise RequestError(f"layer: there is no layer {layer}")
        if not 0 <= stream < guard.STREAMS:
            raise RequestError(f"stream: it must be at least 0 and less than {guard.STREAMS}")
        prompt = self._model.normalized(prompt, "prompt")
        await run_in_threadpool(self._model.vocabulary.encode, prompt)  # complain before 200
        if not self._writers.acquire(blocking=False):
            raise RequestError(
                f"{guard.GENERATIONS} texts are being written; stop one of them", 429
            )
        lock = self._blocks.lock
        written = write(
            self._model,
            prompt,
            length=length,
            sampling=sampling,
            layer=layer,
            lock=lock,
            stream=stream,
        )

        def lines() -> Iterator[dict[str, Any]]:
            yield {}  # a browser waits for the first byte
            yield from written

        return _Stream(lines(), self._writers)

    def _traced_text(self, request: Request) -> TracedText:
        name = request.query_params.get("text", "")
        if name not in self._texts:
            raise RequestError("that text is no longer remembered; read it again", 404)
        self._texts.move_to_end(name)
        return self._texts[name]


class _Stream(StreamingResponse):
    """Lines of JSON, as they are made; an error on the way is the last of them.

    A semaphore is released when all are sent, or when the client is gone.
    """

    def __init__(self, lines: Iterator[dict[str, Any]], held: Any = None) -> None:
        self._held = held
        super().__init__(_lines(lines), media_type="application/x-ndjson")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._held is not None:
                self._held.release()


def _lines(values: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    try:
        for value in values:
            yield json.dumps(value, separators=(",", ":")).encode() + b"\n"
    except CharloomError as error:
        yield json.dumps({"error": str(error)}).encode() + b"\n"


def _octets(content: bytes) -> Response:
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, max-age=3600"},
    )


def _check_size(count: int) -> None:
    if count > guard.VALUES:
        raise RequestError(
            f"{counted(count, 'number')} asked for; at most {guard.VALUES:,} are sent at a time: "
            "ask for fewer characters",
            413,
        )


async def json_of(request: Request) -> dict[str, Any]:
    """The object that a request has as its body."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RequestError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise RequestError("the body is JSON, but no object")
    return body


def _field(body: dict[str, Any], name: str, kind: type[Any], default: Any) -> Any:
    value = body.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RequestError(f"{name}: {str(value)[:100]!r} was given; it must be {kind.__name__}")
    return value


def _number(request: Request, name: str, kind: type[Any] = int) -> Any:
    value = request.query_params.get(name, "")
    try:
        number = kind(value[:40])
    except ValueError:
        raise RequestError(f"{name}: {value[:40]!r} was given; it must be a number") from None
    if not abs(number) < 2**53:
        raise RequestError(f"{name}: {value[:40]!r} was given; it must be a smaller number")
    return number


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        named = error.settings[0] if isinstance(error, CharloomError) and error.settings else None
        error = RequestError(str(error), param=named)
    return error.response(request.url.path)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path[:100]}"
    refused = RequestError(f"{where}: {error.detail}", error.status_code)
    return refused.response(request.url.path)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads


async def _broken(request: Request, error: Exception) -> Response:
    print(f"charloom: {request.url.path}:", file=sys.stderr)
    traceback.print_exception(error)
    failed = RequestError("something went wrong here; the terminal says what", 500)
    return failed.response(request.url.path)


HANDLERS: dict[Any, Any] = {
    CharloomError: _refuse,
    ClientDisconnect: _gone,
    HTTPException: _not_found,
    Exception: _broken,
}
"""What is answered where something is refused, or goes wrong."""
