"""What a request may ask for, and who may ask: checked before anything is computed.

A page from elsewhere must not reach this server through the browser that shows ours. So a
request has to name this server as its host (a foreign name that was pointed at 127.0.0.1
does not), one that posts has to send JSON, and, where it says which page or site it comes
from, that has to be ours, or for the API one that is allowed; a link from elsewhere may open
the page itself. Where there is an API key, it has to come with every request but /health.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
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
"""Texts at a time that are generated on the page."""

STREAMS = 100
"""Texts of one seed that are generated on the page, one after the other."""

SLOTS = 64
"""Texts at a time that are generated for completions, side by side."""

QUEUE = 1024
"""Texts that may wait for one of these slots."""

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


API_SECURITY = {
    name: SECURITY[name] for name in ("Cross-Origin-Resource-Policy", "X-Content-Type-Options")
}
"""What is left for answers that no browser shows as a page: each header takes time."""

API = ("/v1/", "/health", "/metrics", "/tokenize", "/detokenize", "/tokenizer_info")
"""How the paths begin that are for programs; the others are the page's."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask."""

    hosts: frozenset[str]
    """The server's own names, as "127.0.0.1:8000"."""
    allowed_hosts: frozenset[str] = frozenset()
    """Names that others have given it, with or without a port."""
    allowed_origins: frozenset[str] = frozenset()
    """Sites whose pages may use the API, as "https://example.org"."""
    api_key: str | None = None


class RequestError(CharloomError):
    """A request that is refused; `status` is HTTP's number for why.

    `param` and `code` say more to programs: the parameter that is wrong, a word for the kind.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        challenge: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self._headers = {"Connection": "close"}
        if retry_after is not None:
            self._headers["Retry-After"] = str(retry_after)
        if challenge is not None:
            self._headers["WWW-Authenticate"] = challenge

    def response(self, path: str) -> JSONResponse:
        """What who asked for a path gets: the page one line, a program what OpenAI's gives."""
        content: Any = self.to_json() if path.startswith(API) else {"error": str(self)}
        return JSONResponse(content, self.status, headers=self._headers)

    def to_json(self) -> dict[str, Any]:
        """The error as OpenAI's clients read it."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {
            "error": {
                "message": str(self),
                "type": kinds.get(self.status, kind),
                "param": self.param,
                "code": self.code,
            }
        }


class Guard:
    """Middleware that turns requests away, and puts the security headers on every answer.

    A request takes one of the AT_ONCE places only once its body is here, and gives it up
    while it waits for the client to take some of the answer: who is slow keeps nobody out.
    Completions have a queue of their own instead. `count` is told every path and status.
    """

    def __init__(
        self, app: ASGIApp, access: Access, count: Callable[[str, int], None] = lambda *_: None
    ) -> None:
        self._app, self._access, self._count, self._working = app, access, count, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app answer, one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        gone, watch = False, _Watch()
        queued = scope["path"] == "/v1/completions"

        async def guarded(message: Message) -> None:
            nonlocal gone
            if message["type"] == "http.response.start":
                api = scope["path"].startswith(API)
                named = {**(API_SECURITY if api else SECURITY), **self._permissions(scope)}
                added = [(key.lower().encode(), value.encode()) for key, value in named.items()]
                message["headers"] = [*message.get("headers", []), *added]
                self._count(scope["path"], message["status"])
            self._working -= 1
            watch.begin()
            try:
                await send(message)
            except asyncio.CancelledError:
                gone = watch.rang
                if gone:
                    watch.forgive()
                    raise ClientDisconnect from None
                raise
            finally:
                watch.end()
                self._working += 1

        self._working += 1
        try:
            if self._check(scope):
                await Response(status_code=204)(scope, receive, guarded)
                return
            self._working -= 1
            try:
                body = await _whole_body(receive)
            finally:
                self._working += 1
            if self._working > AT_ONCE and not queued:
                raise RequestError(
                    f"{AT_ONCE} requests are being computed; wait for one of them", 429
                )
            if queued:
                self._working -= 1
            try:
                await self._app(scope, _replayed(body, receive), guarded)
            finally:
                if queued:
                    self._working += 1
        except RequestError as error:
            await _refuse(error, scope, receive, guarded)
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception:
            if not gone:  # else it is what came of giving up in the middle of an answer
                raise
        finally:
            watch.close()
            self._working -= 1

    def _check(self, scope: Scope) -> bool:
        """Whether it is a browser's question for what a page that is allowed may do."""
        headers, path, access = Headers(scope=scope), scope["path"], self._access
        host = headers.get("host", "")
        if host not in access.hosts and not access.allowed_hosts & {host, host.rpartition(":")[0]}:
            raise RequestError(
                f"this server is {' or '.join(sorted(access.hosts))}, not {host[:100]!r}", 421
            )
        origin, allowed = headers.get("origin"), bool(self._permissions(scope))
        own = {f"http://{name}" for name in access.hosts}
        own |= {f"{scheme}://{host}" for scheme in ("http", "https")}
        if origin is not None and origin not in own and not allowed:
            raise RequestError(f"a page of {origin[:100]!r} may not use this server", 403)
        opened = headers.get("sec-fetch-mode") == "navigate" and not path.startswith(
            ("/api/", *API)
        )
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not opened and not allowed:
            raise RequestError("a page from elsewhere may not use this server", 403)
        if scope["method"] == "OPTIONS" and allowed:
            return True
        if access.api_key is not None and path != "/health":
            _check_key(headers.get("authorization", ""), access.api_key, path)
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                raise RequestError(f"the body is {kind[:100]!r}; it must be JSON", 415)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > BODY:
            raise _too_long()
        return False

    def _permissions(self, scope: Scope) -> dict[str, str]:
        """The headers that let a page of an allowed site use the API."""
        origin = Headers(scope=scope).get("origin")
        if origin not in self._access.allowed_origins or not scope["path"].startswith(API):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Headers": Headers(scope=scope).get(
                "access-control-request-headers", "authorization, content-type"
            ),
            "Access-Control-Expose-Headers": "retry-after",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }


class _Watch:
    """Cancels the task that sends if one of its sends takes longer than SEND_SECONDS.

    A timer and a task for each piece, as asyncio.wait_for has, would take longer than the send.
    """

    def __init__(self) -> None:
        self.rang = False
        self._begun: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        """A send begins."""
        loop = asyncio.get_running_loop()
        self._begun, self._task = loop.time(), asyncio.current_task()
        if self._timer is None:
            self._timer = loop.call_later(SEND_SECONDS, self._look)

    def end(self) -> None:
        """It has ended."""
        self._begun = None

    def forgive(self) -> None:
        """The task goes on: it was the send that was canceled."""
        if self._task is not None and hasattr(self._task, "uncancel"):  # since Python 3.11
            self._task.uncancel()

    def close(self) -> None:
        """No more is sent."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        if self._begun is None:
            return  # the next send sets the timer anew
        left = self._begun + SEND_SECONDS - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
        elif self._task is not None:
            self.rang = True
            self._task.cancel()


def _check_key(authorization: str, key: str, path: str) -> None:
    """The key has to come as a bearer token or, from a browser, as a password."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if scheme.lower() in ("basic", "bearer") and hmac.compare_digest(
        given.strip().encode(), key.encode()
    ):
        return
    raise RequestError(
        "this server wants its API key, as a bearer token: Authorization: Bearer KEY",
        401,
        code="invalid_api_key",
        challenge="Bearer" if path.startswith(API) else 'Basic realm="charloom"',
    )


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
        await error.response(scope["path"])(scope, receive, send)
        return

    async def unfinished(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["more_body"] = True
        await send(message)

    await error.response(scope["path"])(scope, receive, unfinished)
    deadline, drained, more = asyncio.get_running_loop().time() + BODY_SECONDS, 0, True
    with contextlib.suppress(RequestError):
        while more and drained < DRAINED:
            message = await _before(deadline, receive)
            drained += len(message.get("body", b""))
            more = message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
