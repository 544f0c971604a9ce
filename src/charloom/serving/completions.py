"""The API that OpenAI's clients speak, for models that complete a text.

    GET  /v1/models           the models that are served
    POST /v1/completions      texts that go on from a prompt, and with `echo` its score
    GET  /health, /metrics    whether it is up; what it has done, for Prometheus
    POST /tokenize, /detokenize, GET /tokenizer_info
                              characters as ids, as evaluation programs want them

A token is a character. An error is {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..errors import shown
from ..model.model import Model
from . import guard, metrics
from .batching import Batcher, Job, Piece, Token
from .completion_request import CompletionSettings, check_size, prompts_of, settings_of
from .guard import RequestError
from .page_api import json_of

SHORT = 2**14
"""Bytes of a request that is looked at without a thread of its own."""

FAILED = "something went wrong while the text was made; the server's terminal says what"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model that is served, and what makes its texts."""

    name: str
    model: Model
    batcher: Batcher


class Completions:
    """The endpoints for some models, by the names under which clients ask for them.

    `locks` are held while an engine computes, one for each model.
    """

    def __init__(self, models: Mapping[str, Model], locks: Mapping[str, Lock]) -> None:
        self.requests = metrics.Requests()
        self._created = int(time.time())
        self._paths = frozenset(route.path for route in self.routes())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served = {
            name: Served(
                name=name,
                model=model,
                batcher=Batcher(
                    model,
                    slots=guard.SLOTS,
                    queue=guard.QUEUE,
                    lock=locks[name],
                    hand_out=self._hand_out,
                ),
            )
            for name, model in models.items()
        }

    def routes(self) -> list[Route]:
        """What can be asked for."""
        return [
            Route("/v1/models", self._models),
            Route("/v1/models/{name:path}", self._model),
            Route("/v1/completions", self._complete, methods=["POST"]),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/responses", self._chat, methods=["POST"]),
            Route("/health", self._health),
            Route("/metrics", self._metrics),
            Route("/tokenize", self._tokenize, methods=["POST"]),
            Route("/detokenize", self._detokenize, methods=["POST"]),
            Route("/tokenizer_info", self._tokenizer_info),
        ]

    def close(self) -> None:
        """End the threads that make texts."""
        for served in self._served.values():
            served.batcher.close()

    def count(self, path: str, status: int) -> None:
        """Count an answer to a request."""
        other = "/v1/models/{name}" if path.startswith("/v1/models/") else "the page"
        self.requests.count(path if path in self._paths else other, status)

    def _hand_out(self, tell: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who listen
            if self._loop is not None:
                self._loop.call_soon_threadsafe(tell)

    async def _models(self, request: Request) -> Response:
        models = [self._described(name) for name in self._served]
        return JSONResponse({"object": "list", "data": models})

    async def _model(self, request: Request) -> Response:
        name = self._find(request.path_params["name"]).name
        return JSONResponse(self._described(name))

    def _described(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "charloom"}

    def _find(self, name: object) -> Served:
        """The model of this name; without a name, the only one."""
        if name is None and len(self._served) == 1:
            return next(iter(self._served.values()))
        if name is None:
            raise RequestError(f"model: give one of {', '.join(self._served)}", param="model")
        if not isinstance(name, str) or name not in self._served:
            raise RequestError(
                f"there is no model {shown(name)!r} here; there is {', '.join(self._served)}",
                404,
                param="model",
                code="model_not_found",
            )
        return self._served[name]

    async def _chat(self, request: Request) -> Response:
        raise RequestError(
            "a character-level model completes a text and knows no chat; use POST /v1/completions "
            "(client.completions.create)",
            code="unsupported_endpoint",
        )

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _tokenize(self, request: Request) -> Response:
        body = await json_of(request)
        served = self._find(body.get("model"))
        (prompt,) = await run_in_threadpool(prompts_of, body, served.model)
        if not isinstance(prompt, str):
            raise RequestError("prompt: it must be a text", param="prompt")
        ids = served.model.vocabulary.encode(prompt).tolist()
        return JSONResponse(
            {"tokens": ids, "count": len(ids), "max_model_len": guard.CHARACTERS + guard.GENERATED}
        )

    async def _detokenize(self, request: Request) -> Response:
        body = await json_of(request)
        served = self._find(body.get("model"))
        (prompt,) = prompts_of({"prompt": body.get("tokens")}, served.model)
        if isinstance(prompt, str):
            raise RequestError("tokens: it must be a list of ids", param="tokens")
        return JSONResponse({"prompt": served.model.vocabulary.decode(prompt)})

    async def _tokenizer_info(self, request: Request) -> Response:
        vocabulary = self._find(request.query_params.get("model")).model.vocabulary
        return JSONResponse(
            {
                "tokenizer_class": "charloom",
                "vocab_size": vocabulary.size,
                "bos_token": None,
                "eos_token": None if vocabulary.newline_id is None else "\n",
            }
        )

    async def _complete(self, request: Request) -> Response:
        self._loop = asyncio.get_running_loop()
        body = await json_of(request)
        served = self._find(body.get("model"))
        settings = settings_of(body)
        if len(await request.body()) < SHORT and settings.rule is None:
            answer = _Answer(served, settings, body)
        else:
            answer = await run_in_threadpool(_Answer, served, settings, body)
        served.batcher.submit(answer.jobs)
        if settings.stream:
            return _Stream(answer)
        watching = asyncio.ensure_future(answer.watch(request.receive))
        try:
            async for _ in answer.pieces():
                pass
        finally:
            watching.cancel()
            answer.cancel()
        if answer.gone:
            raise ClientDisconnect
        if answer.failed:
            raise RequestError(FAILED, 500)
        return JSONResponse(answer.whole())

    async def _metrics(self, request: Request) -> Response:
        batchers = [({"model": s.name}, s.batcher) for s in self._served.values()]

        def samples(name: str, value: Callable[[Batcher], float]) -> Iterable[metrics.Sample]:
            return [(name, labels, value(batcher)) for labels, batcher in batchers]

        first = "charloom_first_character_seconds"
        waits = (metrics.histogram(first, labels, b.measured) for labels, b in batchers)
        families = [
            ("charloom_requests_total", "counter", "Requests that were answered.",
             self.requests.samples("charloom_requests_total")),
            ("charloom_prompt_characters_total", "counter", "Characters of prompts that were read.",
             samples("charloom_prompt_characters_total", lambda b: b.measured.read)),
            ("charloom_generated_characters_total", "counter", "Characters that were generated.",
             samples("charloom_generated_characters_total", lambda b: b.measured.generated)),
            ("charloom_busy_seconds_total", "counter", "Seconds in which texts were made.",
             samples("charloom_busy_seconds_total", lambda b: b.measured.busy_seconds)),
            ("charloom_texts_running", "gauge", "Texts that are being made.",
             samples("charloom_texts_running", lambda b: b.busy)),
            ("charloom_texts_waiting", "gauge", "Texts that wait for a slot.",
             samples("charloom_texts_waiting", lambda b: b.waiting)),
            ("charloom_slots", "gauge", "Texts that can be made at a time.",
             samples("charloom_slots", lambda b: b.slots)),
            (first, "histogram", "From a request to the first character of a text.",
             [sample for wait in waits for sample in wait]),
        ]  # fmt: skip
        return Response(metrics.text(families), media_type=metrics.MEDIA_TYPE)


class _Answer:
    """What comes of one request: its jobs, and the pieces of their streams as they come.

    Attributes:
        jobs: one for each prompt.
        gone: whether the client has left.
        failed: whether a text could not be made.

    """

    def __init__(self, served: Served, settings: CompletionSettings, body: dict[str, Any]) -> None:
        model, prompts = served.model, prompts_of(body, served.model)
        check_size(settings, prompts)
        self.settings, self.gone, self.failed = settings, False, False
        self._batcher = served.batcher
        self._open = settings.n * len(prompts)
        self._choices = [_Choice(number) for number in range(self._open)]
        self._new: list[tuple[_Choice, Piece]] = []
        self._changed = asyncio.Event()
        stops = [model.normalized(stop, "stop") for stop in settings.stops]
        self.jobs = [
            Job(
                model,
                prompt,
                settings.sampling,
                [self._receiver(choice) for choice in self._choices[first : first + settings.n]],
                length=settings.max_tokens,
                stop=stops,
                echo=settings.echo,
                likeliest=settings.logprobs,
                rule=settings.rule,
            )
            for first, prompt in zip(range(0, self._open, settings.n), prompts, strict=True)
        ]
        self._heading = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
        }
        self._begun = json.dumps(self._heading)[:-1]  # of every event, and most of its length

    def _receiver(self, choice: _Choice) -> Callable[[Piece], None]:
        def receive(piece: Piece) -> None:
            self._new.append((choice, piece))
            self._changed.set()

        return receive

    @property
    def ended(self) -> bool:
        """Whether no more pieces come."""
        return not self._open or self.failed

    async def pieces(self) -> AsyncIterator[list[tuple[_Choice, Piece]]]:
        """Yield the pieces that came since the last time, until all streams have ended."""
        while not self.ended and not self.gone:
            await self._changed.wait()
            self._changed.clear()
            new, self._new = self._new, []
            for choice, piece in new:
                self._open -= piece.finish is not None
                self.failed |= piece.finish == "error"
                choice.add(piece)
            if new:
                yield new

    async def watch(self, receive: Receive) -> None:
        """Wait until the client is gone, and stop."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._changed.set()

    def cancel(self) -> None:
        """Make no more of it."""
        if self._open:
            self._batcher.cancel(self.jobs)

    def whole(self) -> dict[str, Any]:
        """All of it."""
        choices = [choice.to_json(self.settings.logprobs) for choice in self._choices]
        return {**self._heading, "choices": choices, "usage": self._usage()}

    def events(self, new: Sequence[tuple[_Choice, Piece]]) -> Iterator[bytes]:
        """Some pieces as events of a stream."""
        counted = self.settings.stream_options.get("include_usage")
        for choice, piece in new:
            part = json.dumps(choice.part(piece, self.settings.logprobs))
            usage = ', "usage": null' if counted else ""
            yield f'data: {self._begun}, "choices": [{part}]{usage}}}\n\n'.encode()

    def end(self) -> Iterator[bytes]:
        """The events after the last piece."""
        if self.failed:
            yield _event(RequestError(FAILED, 500).to_json())
        elif self.settings.stream_options.get("include_usage"):
            yield _event({**self._heading, "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    def _usage(self) -> dict[str, int]:
        read = sum(job.prompt_characters for job in self.jobs)
        generated = sum(choice.characters for choice in self._choices)
        if self.settings.echo:
            generated -= sum(len(job.text) * len(job.streams) for job in self.jobs)
        return {
            "prompt_tokens": read,
            "completion_tokens": generated,
            "total_tokens": read + generated,
        }


class _Choice:
    """One text of an answer."""

    def __init__(self, index: int) -> None:
        self.index, self.characters = index, 0
        self._texts: list[str] = []
        self._tokens: list[Token] = []
        self._finish: str | None = None
        self._offset = 0  # of the next token

    def add(self, piece: Piece) -> None:
        """Take what is new."""
        self._texts.append(piece.text)
        self._tokens += piece.tokens
        self._finish = piece.finish
        self.characters += len(piece.text)

    def to_json(self, logprobs: int | None) -> dict[str, Any]:
        """The text as a whole."""
        return self.part(Piece("".join(self._texts), self._tokens, self._finish), logprobs)

    def part(self, piece: Piece, logprobs: int | None) -> dict[str, Any]:
        """A piece as a client reads it."""
        return {
            "index": self.index,
            "text": piece.text,
            "logprobs": None if logprobs is None else self._logprobs(piece.tokens, logprobs),
            "finish_reason": piece.finish,
        }

    def _logprobs(self, tokens: Sequence[Token], likeliest: int) -> dict[str, Any]:
        offsets = []
        for token in tokens:
            goes_on = len(token.text) > 1 and int(token.text[-2:], 16) < 0xC0  # bytes:\x80 ...
            offsets.append(max(self._offset - goes_on, 0))
            self._offset += not goes_on
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [None if t.nats is None else -t.nats for t in tokens],
            "top_logprobs": [_top(token) for token in tokens] if likeliest else None,
            "text_offset": offsets,
        }


def _top(token: Token) -> dict[str, float] | None:
    """The likeliest characters, and the one that stands there."""
    if token.nats is None:
        return None
    every = {token.text: -token.nats}
    return every | {text: -nats for text, nats in token.likeliest.items()}


class _Stream(Response):
    """The pieces of an answer as server-sent events; when the client is gone, no more are made."""

    def __init__(self, answer: _Answer) -> None:
        super().__init__(media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        answer = self._answer
        watching = asyncio.ensure_future(answer.watch(receive))

        async def sent(content: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": content, "more_body": more})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for new in answer.pieces():
                if answer.ended:
                    await sent(b"".join([*answer.events(new), *answer.end()]), more=False)
                else:
                    await sent(b"".join(answer.events(new)))
        finally:
            watching.cancel()
            answer.cancel()


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()
