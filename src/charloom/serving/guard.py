"""What a request may ask for, and who may ask: checked before anything is computed.

A page from elsewhere must not reach this server through the browser that shows ours. So a
request has to name this server as its host (a foreign name that was pointed at 127.0.0.1
does not), one that posts has to send JSON, and, where it says which page it comes from,
that page has to be ours.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import CharloomError

CHARACTERS = 100_000
"""In a text that is read."""

WRITTEN = 20_000
"""Characters that are written in one request."""

VALUES = 2**22
"""Numbers in one answer: 16 MB of float32."""

BODY = 2**21
"""Bytes of a request."""

IGNORED = 2**26
"""Bytes of a longer one that are listened to, so that its sender hears why it is refused."""

AT_ONCE = 16
"""Requests that are worked on at a time; browsers open 6 connections."""

PATIENCE = 30.0
"""Seconds without a byte, either way, after which nobody is believed to be there."""

WRITERS = 2
"""Requests among them that write."""

PASSAGES = 32
"""Texts that are remembered, each in at most some megabytes: a class can look at its own."""

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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


class Limits:
    """Middleware that turns requests away, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts, self._working = app, hosts, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app answer, one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {key.lower().encode(): value.encode() for key, value in SECURITY.items()}
                message["headers"] = [*message.get("headers", []), *named.items()]
            await send(message)

        try:
            self._check(scope)
        except RequestError as error:
            await error.response()(scope, receive, guarded)
            return
        self._working += 1
        try:
            await self._app(scope, _counted(receive), guarded)
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
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                raise RequestError(f"the body is {kind[:100]!r}; it must be JSON", 415)
        if self._working >= AT_ONCE:
            raise RequestError(f"{AT_ONCE} requests are being worked on; wait for one of them", 429)


def _counted(receive: Receive) -> Receive:
    """The same, until the body is longer than it may be, whatever its header said."""
    total = 0
    more = True

    async def counting() -> Message:
        nonlocal total, more
        if not more:  # what comes now is that nobody listens any more
            return await receive()
        message = await _soon(receive)
        total += len(message.get("body", b""))
        if total > BODY:
            while message.get("more_body") and total < IGNORED:  # else the answer is not read
                message = await _soon(receive)
                total += len(message.get("body", b""))
            raise RequestError(f"the request is too long; at most {BODY:,} bytes are read", 413)
        more = message.get("more_body", False)
        return message

    return counting


async def _soon(receive: Receive) -> Message:
    try:
        return await asyncio.wait_for(receive(), PATIENCE)
    except asyncio.TimeoutError:
        raise RequestError(f"no more of the request came for {PATIENCE:g} seconds", 408) from None
