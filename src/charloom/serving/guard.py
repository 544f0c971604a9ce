"""What a request may ask for, and who may ask: checked before anything is computed.

A page from elsewhere must not reach this server through the browser that shows ours. So a
request has to name this server as its host (a foreign name that was pointed at 127.0.0.1
does not), one that posts has to send JSON, and, where it says which page or site it comes
from, that has to be ours; a link from elsewhere may open the page itself.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import CharloomError

CHARACTERS = 100_000
"""In a text that is read."""

GENERATED = 20_000
"""Characters that are generated in one request."""

VALUES = 2**22
"""Numbers in one answer: 16 MB of float32."""

BODY = 2**21
"""Bytes of a request."""

DRAINED = 2**26
"""Drain at most this much of an oversized body, so that the client sees the 413."""

AT_ONCE = 16
"""Requests that are computed at a time; browsers open 6 connections."""

HEADER_SECONDS = 10.0
"""Time for the headers of a request, from its first byte or the connection's start."""

BODY_SECONDS = 30.0
"""Time for a whole body; 2 MB in it is 70 kB/s."""

SEND_SECONDS = 30.0
"""Time in which a client has to take some of an answer, or it is given up."""

GENERATIONS = 2
"""Requests at a time that generate."""

TEXTS = 32
"""Texts that are remembered, each in at most some megabytes: a class can look at its own."""

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "connect-src 'self'; img-src 'self'; worker-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class RequestError(CharloomError):
    """A request that is refused; `status` is HTTP's number for why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> JSONResponse:
        """What the browser gets."""
        return JSONResponse({"error": str(self)}, self.status, headers={"Connection": "close"})


class Guard:
    """Middleware that turns requests away, and puts the security headers on every answer.

    A request takes one of the AT_ONCE places only once its body is here, and gives it up
    while it waits for the client to take some of the answer: who is slow keeps nobody out.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts, self._working = app, hosts, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app answer, one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        gone = False

        async def guarded(message: Message) -> None:
            nonlocal gone
            if message["type"] == "http.response.start":
                named = {key.lower().encode(): value.encode() for key, value in SECURITY.items()}
                message["headers"] = [*message.get("headers", []), *named.items()]
            self._working -= 1
            try:
                await asyncio.wait_for(send(message), SEND_SECONDS)
            except asyncio.TimeoutError:
                gone = True
                raise ClientDisconnect from None
            finally:
                self._working += 1

        self._working += 1
        try:
            self._check(scope)
            self._working -= 1
            try:
                body = await _whole_body(receive)
            finally:
                self._working += 1
            if self._working > AT_ONCE:
                raise RequestError(
                    f"{AT_ONCE} requests are being computed; wait for one of them", 429
                )
            await self._app(scope, _replayed(body, receive), guarded)
        except RequestError as error:
            await _refuse(error, scope, receive, guarded)
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception:
            if not gone:  # else it is what came of giving up in the middle of an answer
                raise
        finally:
            self._working -= 1

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            raise RequestError(
                f"this server is {' or '.join(sorted(self._hosts))}, not {host[:100]!r}", 421
            )
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{name}" for name in self._hosts}:
            raise RequestError(f"a page of {origin[:100]!r} may not use this server", 403)
        opened = headers.get("sec-fetch-mode") == "navigate" and "/api/" not in scope["path"]
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not opened:
            raise RequestError("a page from elsewhere may not use this server", 403)
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                raise RequestError(f"the body is {kind[:100]!r}; it must be JSON", 415)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > BODY:
            raise _too_long()


async def _whole_body(receive: Receive) -> bytes:
    """The body, if it is here in time and not too long, whatever its header said."""
    parts, size, more = [], 0, True
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    while more:
        message = await _before(deadline, receive)
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY:
            raise _too_long()
        more = message.get("more_body", False)
    return b"".join(parts)


async def _before(deadline: float, receive: Receive) -> Message:
    left = deadline - asyncio.get_running_loop().time()
    try:
        return await asyncio.wait_for(receive(), max(left, 0))
    except asyncio.TimeoutError:
        raise RequestError(f"the body was not here in {BODY_SECONDS:g} seconds", 408) from None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body at once, and then what the client does next."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_long() -> RequestError:
    return RequestError(f"the request is too long; at most {BODY:,} bytes are read", 413)


async def _refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Say why at once; the answer ends when the rest of an oversized body is drained."""
    if error.status != 413:
        await error.response()(scope, receive, send)
        return

    async def unfinished(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["more_body"] = True
        await send(message)

    await error.response()(scope, receive, unfinished)
    deadline, drained, more = asyncio.get_running_loop().time() + BODY_SECONDS, 0, True
    with contextlib.suppress(RequestError):
        while more and drained < DRAINED:
            message = await _before(deadline, receive)
            drained += len(message.get("body", b""))
            more = message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
