"""Who may ask, and that nobody who is slow keeps others out."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import serving_tools
from messages import messages
from starlette.responses import StreamingResponse
from waiting import PATIENCE

from charloom.serving import guard, patience
from charloom.serving.server import serve


@pytest.fixture(scope="module")
def page():
    with serving_tools.served(serving_tools.small_model()) as page:
        yield page


def connected(page) -> socket.socket:
    return socket.create_connection(("127.0.0.1", page.port), PATIENCE)


def head(page, *lines: str) -> bytes:
    return "\r\n".join([f"Host: 127.0.0.1:{page.port}", *lines, "", ""]).encode()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127"])
def test_headers_that_do_not_come_end_the_connection(page, monkeypatch, sent):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.3)
    with connected(page) as connection:
        connection.sendall(sent)
        start = time.monotonic()
        assert connection.recv(100) == b""
        assert time.monotonic() - start < 5


def test_the_pages_own_server_is_as_patient_as_the_tests(monkeypatch):
    made = []

    def config(*arguments, **options):
        made.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Config", config)
    with pytest.raises(KeyboardInterrupt):
        serve(serving_tools.small_model(), port=0)
    assert made[0]["http"] is patience.PatientProtocol


def test_headers_of_a_second_request_that_do_not_come_end_the_connection(page, monkeypatch):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.3)
    with connected(page) as connection:
        connection.sendall(b"GET /icon.svg HTTP/1.1\r\n" + head(page))
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET / HT")
        while connection.recv(2**16):
            pass


def test_a_declared_length_that_is_too_large_is_refused_at_once(page):
    with connected(page) as connection:
        lines = ("Content-Type: application/json", f"Content-Length: {10**12}")
        connection.sendall(b"POST /api/read HTTP/1.1\r\n" + head(page, *lines))
        connection.settimeout(5)
        answer = connection.recv(2**16)
    assert answer.startswith(b"HTTP/1.1 413")


def test_bodies_that_come_slowly_take_no_place_from_others(page):
    lines = ("Content-Type: application/json", "Content-Length: 50")
    slow = [connected(page) for _ in range(3 * guard.AT_ONCE)]
    try:
        for connection in slow:
            connection.sendall(b"POST /api/read HTTP/1.1\r\n" + head(page, *lines) + b"{")
        time.sleep(0.2)
        assert page.ask("/").status == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_takes_nothing_of_its_answer_takes_no_place_from_others(page):
    deaf = []
    try:
        for _ in range(2 * guard.AT_ONCE):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", page.port))
            for _ in range(8):  # more than a socket holds
                connection.sendall(b"GET /newspaper.js HTTP/1.1\r\n" + head(page))
            deaf.append(connection)
        time.sleep(0.3)
        assert page.ask("/").status == 200
    finally:
        for connection in deaf:
            connection.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/start", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ("/api/start", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 403),
        ("/style.css", {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ("/", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 200),
        ("/api/start", {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, 200),
        ("/api/start", {}, 200),
    ],
)
def test_a_site_from_elsewhere_may_link_to_the_page_and_ask_nothing(page, path, headers, status):
    assert page.ask(path, **headers).status == status


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_an_address_that_others_reach_is_warned_of(host, warned, key):
    class Opened(Exception):  # noqa: N818
        pass

    def ready(address: str) -> None:
        raise Opened

    with messages() as found, pytest.raises(Opened):
        serve(serving_tools.small_model(), host=host, port=0, api_key=key, ready=ready)
    told = "unencrypted" if key else "without a password"
    assert [told in one for one in found] == [True] * warned


@pytest.mark.parametrize("streamed", [False, True])
def test_a_send_that_takes_too_long_ends_the_request_and_frees_its_place(monkeypatch, streamed):
    """Whoever sends: the request's own task, or one that a streaming response has begun."""
    monkeypatch.setattr(guard, "SEND_SECONDS", 0.05)
    ended = []

    async def pieces():
        try:
            while True:
                yield b"a"
        finally:
            ended.append(True)

    async def app(scope, receive, send):
        if streamed:
            await StreamingResponse(pieces())(scope, receive, send)
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def receive():
        await asyncio.sleep(0 if not asked else 60)
        asked.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def deaf(message):
        sent.append(message)
        await asyncio.sleep(60 if len(sent) > 3 else 0)

    asked, sent = [], []
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"a")]}
    guarded = guard.Guard(app, guard.Access(hosts=frozenset(["a"])))
    asyncio.run(asyncio.wait_for(guarded(scope, receive, deaf), 20))
    assert len(sent) == 4
    assert ended
    assert guarded._working == 0
