"""What the page's server answers, refuses and sends."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import numpy as np
import pytest
from serving_tools import TEXT, Page, served, small_model
from waiting import PATIENCE, wait_until

from charloom import Model
from charloom.errors import OutputError, SettingsError
from charloom.serving import guard
from charloom.serving.activations import BLOCK, BlockCache, TracedText
from charloom.serving.page_api import page_files
from charloom.serving.server import serve
from charloom.text.vocabulary import Vocabulary

HOSTILE = "<script>alert(1)</script> </title>\u202e\u0301\x01 &amp; \U0001f600 \u05d0\u05d1"


def decode(text: str, kind: str = "<f4") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


@pytest.fixture(scope="module")
def page(model: Model) -> Iterator[Page]:
    with served(model) as page:
        yield page


def read(page: Page, text: str) -> tuple[dict, list[dict]]:
    answer = page.ask("/api/read", {"text": text})
    assert answer.status == 200, answer.body
    heading, *blocks, last = answer.lines
    assert last == {"done": True}
    return heading, blocks


def values(page: Page, **query: object) -> np.ndarray:
    answer = page.ask(f"/api/values?{urlencode(query)}")
    assert answer.status == 200, answer.body
    return np.frombuffer(answer.body, "<f4")


# What is shown is the trace.


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("lines", [False, True])
def test_a_passage_has_the_numbers_of_the_trace_to_the_last_bit(cell: str, lines: bool):
    model = small_model(lines=lines, cell=cell)
    trace, passage = model.trace(TEXT), TracedText(model, TEXT, BlockCache())
    blocks = list(passage.blocks())
    assert len(blocks) > 1
    assert list(passage.cells) == list(trace.symbols)
    for layer in range(2):
        every = passage.values(layer, passage.quantities, 0, len(TEXT))
        for name, shown in zip(passage.quantities, every, strict=True):
            np.testing.assert_array_equal(shown, trace.quantities[name][:, layer])
    nats = np.concatenate([decode(block["nats"]) for block in blocks])
    np.testing.assert_allclose(nats, -trace.log_probability, rtol=1e-6, atol=1e-6)
    ranks = np.concatenate([decode(block["ranks"], "<i4") for block in blocks])
    np.testing.assert_array_equal(ranks, trace.rank)
    after = np.concatenate([decode(block["after"], "<i4") for block in blocks])
    np.testing.assert_array_equal(after.reshape(len(TEXT), -1), trace.expected[1:])


def test_a_passage_that_forgets_its_blocks_computes_them_again(model, monkeypatch):
    monkeypatch.setattr("charloom.serving.activations._MEMORY", 1)
    passage = TracedText(model, TEXT, BlockCache())
    list(passage.blocks())
    trace = model.trace(TEXT)
    for start in (0, BLOCK + 3, 5):
        shown = passage.values(1, ["C_t"], start, start + 9, unit=4)
        np.testing.assert_array_equal(shown[0, :, 0], trace.C_t[start : start + 9, 1, 4])


def test_a_range_of_units_or_one_unit_arrives_as_float32(model, page):
    heading, _ = read(page, TEXT)
    trace = model.trace(TEXT)
    query = {"text": heading["text"], "layer": 1, "quantities": "f_t,gi_t"}
    some = values(page, **query, start=250, stop=260).reshape(2, 10, 24)
    np.testing.assert_array_equal(some[0], trace.f_t[250:260, 1])
    np.testing.assert_array_equal(some[1], trace.gi_t[250:260, 1])
    one = values(page, **query, start=250, stop=260, unit=7).reshape(2, 10)
    np.testing.assert_array_equal(one, some[:, :, 7])


def test_levels_are_the_values_on_their_stated_scale(model, page):
    heading, _ = read(page, TEXT)
    trace = model.trace(TEXT)
    for name in heading["quantities"]:
        query = {"text": heading["text"], "layer": 0, "quantity": name, "start": 0, "stop": 99}
        levels = np.frombuffer(page.ask(f"/api/levels?{urlencode(query)}").body, np.uint8)
        exact = trace.quantities[name][:99, 0].astype(float)
        if name in ("C_t", "fC_t"):
            exact = exact / (1 + abs(exact))
        low = 0 if name in ("f_t", "i_t", "o_t") else -1
        shown = low + levels.reshape(99, 24) / 255 * (1 - low)
        assert abs(shown - exact).max() <= (1 - low) / 510 + 1e-6


def test_totals_are_sums_over_the_text(model, page):
    heading, _ = read(page, TEXT)
    trace = model.trace(TEXT)
    for name in heading["quantities"]:
        answer = page.ask(f"/api/totals?text={heading['text']}&layer=1&quantity={name}")
        sums, squares = np.frombuffer(answer.body, "<f8").reshape(2, 24)
        exact = trace.quantities[name][:, 1].astype(float)
        np.testing.assert_allclose(sums, exact.sum(axis=0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(squares, (exact**2).sum(axis=0), rtol=1e-9)


def test_a_vocabulary_of_bytes_is_shown_byte_by_byte():
    model = small_model()
    vocabulary = Vocabulary.bytes()
    from charloom.engines.weights import initial_weights

    weights = initial_weights(model.settings, 256, seed=0)
    passage = TracedText(Model(model.settings, vocabulary, weights), "é!", BlockCache())
    assert list(passage.cells) == ["C3", "A9", "!"]


# It writes.


def test_what_it_writes_is_what_generate_writes(model, page):
    request = {"prompt": "the Fox", "length": 60, "temperature": 0.7, "top_k": 9, "seed": 5}
    answer = page.ask("/api/write", {**request, "layer": 1})
    _, *lines = answer.lines
    text = "".join(line["character"] for line in lines)
    prompt = request.pop("prompt")
    assert text == "".join(model.generate(prompt, **request))
    trace = model.trace(prompt + text)
    expected = -trace.log_probability[len(prompt) :]
    np.testing.assert_allclose([line["nats"] for line in lines], expected, rtol=1e-6)
    gates = decode(lines[-1]["gates"], "u1").reshape(3, 24)
    for shown, exact in zip(gates, (trace.f_t, trace.i_t, trace.o_t), strict=True):
        assert abs(shown / 255 - exact[-1, 1]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("lines", [False, True])
def test_an_empty_prompt_is_a_beginning_too(lines):
    model = small_model(lines=lines)
    with served(model) as page:
        _, *lines_ = page.ask("/api/write", {"length": 12, "seed": 1}).lines
    text = "".join(line["character"] for line in lines_)
    assert text == "".join(model.generate(length=12, seed=1))


def test_a_plain_rnn_has_no_gates_to_show():
    with served(small_model(cell="rnn")) as page:
        _, first, *_ = page.ask("/api/write", {"prompt": "a", "length": 2}).lines
    assert first["gates"] == ""


# Who may ask, and for what.


def test_every_answer_has_a_strict_policy(page):
    for path in ("/", "/main.js", "/nothing", "/api/values"):
        headers = page.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy.replace("'wasm-unsafe-eval'", "")  # of the worker's core
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_foreign_host_is_refused(page, host):
    answer = page.ask("/", Host=host)
    assert answer.status == 421
    assert "this server is" in answer.json["error"]


def test_a_page_from_elsewhere_may_not_post(page):
    assert page.ask("/api/read", {"text": TEXT}, Origin="http://evil.example").status == 403
    assert page.ask("/api/read", b"text=a", Content_Type="text/plain").status == 415
    own = f"http://127.0.0.1:{page.port}"
    assert page.ask("/api/read", {"text": TEXT}, Origin=own).status == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/read", b"{", 400, "no JSON"),
        ("/api/read", b"[" * 100_000, 400, "no JSON"),
        ("/api/read", b"[]", 400, "no object"),
        ("/api/read", {"text": 3}, 400, "must be str"),
        ("/api/read", {"text": ""}, 400, "empty"),
        ("/api/read", {"text": "a" * (guard.CHARACTERS + 1)}, 413, "at most 100,000"),
        ("/api/read", b" " * (guard.BODY + 1), 413, "too long"),
        ("/api/write", {"temperature": -1}, 400, "at least 0"),
        ("/api/write", {"temperature": "warm"}, 400, "temperature"),
        ("/api/write", {"length": True}, 400, "must be int"),
        ("/api/write", {"length": 10**9}, 400, "at most 20,000"),
        ("/api/write", {"length": -1}, 400, "at least 0"),
        ("/api/write", {"prompt": "a" * (guard.CHARACTERS + 1)}, 413, "at most 100,000"),
        ("/api/write", {"layer": 2}, 400, "no layer 2"),
        ("/api/write", {"stream": 100}, 400, "less than 100"),
        ("/api/values", None, 404, "read it again"),
        ("/api/read", None, 405, "GET /api/read"),
        ("/../../etc/passwd", None, 404, ""),
        ("/page/..%2f..%2fapp.py", None, 404, ""),
    ],
)
def test_a_wrong_request_gets_one_clear_line(page, path, body, status, error):
    answer = page.ask(path, body)
    assert answer.status == status
    assert error in answer.json["error"]
    assert page.ask("/").status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"layer": 2}, "layer: 2"),
        ({"layer": "x"}, "must be a number"),
        ({"layer": "1e400"}, "must be a number"),
        ({"unit": 24}, "unit: 24"),
        ({"stop": 10**6, "unit": 0}, "the text has"),
        ({"start": 9, "stop": 3}, "characters 9 to 3"),
        ({"start": -1}, "characters -1"),
        ({"quantities": "w_t"}, "one of f_t, fC_t"),
    ],
)
def test_a_range_that_is_none_is_named(page, changes, error):
    heading, _ = read(page, TEXT)
    query = {"text": heading["text"], "layer": 0, "quantities": "C_t", "start": 0, "stop": 9}
    answer = page.ask(f"/api/values?{urlencode({**query, **changes})}")
    assert answer.status == 400
    assert error in answer.json["error"]


def test_too_many_numbers_at_once_are_refused(page, monkeypatch):
    monkeypatch.setattr(guard, "VALUES", 100)
    heading, _ = read(page, TEXT)
    query = f"text={heading['text']}&layer=0&start=0&stop=9"
    assert page.ask(f"/api/values?{query}&quantities=C_t").status == 413
    assert page.ask(f"/api/levels?{query}&quantity=C_t").status == 413


def test_a_body_that_hides_its_length_is_stopped(page):
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE)
    pieces = (b" " * 2**18 for _ in range(12))
    headers = {"Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/read", pieces, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was stopped even sooner
    finally:
        connection.close()
    assert page.ask("/").status == 200


def test_a_request_that_never_ends_does_not_keep_its_place(page, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    head = f"POST /api/read HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    slow = [
        socket.create_connection(("127.0.0.1", page.port), PATIENCE) for _ in range(guard.AT_ONCE)
    ]
    try:
        for connection in slow:
            connection.sendall(head.encode())
        answers = [connection.recv(2**16) for connection in slow]
    finally:
        for connection in slow:
            connection.close()
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)
    assert page.ask("/").status == 200


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch):
    monkeypatch.setattr(guard, "SEND_SECONDS", 0.3)
    with served(small_model(hidden_size=256)) as page:  # more gates than the network can hold
        request = json.dumps({"length": 20_000}).encode()
        head = f"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n"
        deaf = []
        for _ in range(guard.GENERATIONS):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", page.port))
            connection.sendall(head.encode() + request)
            deaf.append(connection)
        try:
            one = {"prompt": "a", "length": 1}
            wait_until(lambda: page.ask("/api/write", one).status == 200, every=0.05)
        finally:
            for connection in deaf:
                connection.close()


def test_who_goes_away_in_the_middle_is_no_news(page, capfd):
    head = f"POST /api/read HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", page.port), PATIENCE) as connection:
        connection.sendall(head.encode())
    assert page.ask("/").status == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_too_many_requests_are_told_to_wait(page, monkeypatch):
    monkeypatch.setattr(guard, "AT_ONCE", 0)
    answer = page.ask("/")
    assert answer.status == 429
    assert "wait" in answer.json["error"]


def test_only_some_texts_are_written_at_a_time(model):
    with served(model) as page:
        request = json.dumps({"prompt": "a", "length": 20_000}).encode()
        headers = {"Content-Type": "application/json"}
        writers = []
        for _ in range(guard.GENERATIONS):
            connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE)
            connection.request("POST", "/api/write", request, headers)
            answer = connection.getresponse()
            answer.readline()
            writers.append((connection, answer))
        assert page.ask("/api/write", {"prompt": "a"}).status == 429
        for connection, answer in writers:  # nobody listens any more
            answer.close()
            connection.close()
        for _ in range(200):
            if page.ask("/api/write", {"prompt": "a", "length": 1}).status == 200:
                return
            threading.Event().wait(0.05)
        pytest.fail("the writers were never given back")


def test_old_texts_are_forgotten(page):
    first, _ = read(page, TEXT)
    for _ in range(guard.TEXTS):
        read(page, "the Fox")
    answer = page.ask(f"/api/totals?text={first['text']}&layer=0&quantity=C_t")
    assert answer.status == 404


def test_hostile_text_comes_back_as_it_was(page):
    heading, blocks = read(page, HOSTILE)
    assert "".join(heading["cells"]) == HOSTILE
    assert heading["unknown"]
    assert len(blocks) == 1


def test_a_hundred_thousand_characters_on_one_line_are_read(page):
    heading, blocks = read(page, "the " * 25_000)
    assert len(heading["cells"]) == 100_000
    assert blocks[-1]["start"] == 100_000 // BLOCK * BLOCK


def test_a_part_that_is_not_read_yet_is_said_to_be_so(model):
    passage = TracedText(model, TEXT, BlockCache())
    next(passage.blocks())
    with pytest.raises(SettingsError, match="not read yet"):
        passage.values(0, ["C_t"], 2 * BLOCK, 2 * BLOCK + 1)


def test_all_texts_together_keep_no_more_blocks_than_there_is_room_for(model, monkeypatch):
    kept = BlockCache()
    block = TracedText(model, TEXT, kept)._block(0)
    size = sum(array.nbytes for array in block.values())
    monkeypatch.setattr("charloom.serving.activations._MEMORY", 3 * size)
    passages = [TracedText(model, TEXT, kept) for _ in range(4)]
    for passage in passages:
        list(passage.blocks())
    assert 2 * size < kept._bytes <= 3 * size
    assert kept._bytes == sum(
        array.nbytes for block in kept._kept.values() for array in block.values()
    )
    trace = model.trace(TEXT)
    for passage in passages:
        np.testing.assert_array_equal(passage.values(1, ["h_t"], 3, 400)[0], trace.h_t[3:400, 1])


# The server on the command line.


def test_ctrl_c_ends_the_server_cleanly(model, tmp_path):
    path = str(tmp_path / "small.safetensors")
    model.save(path)
    command = [sys.executable, "-m", "charloom", "serve", path, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            port = int(address.rstrip("/").rpartition(":")[2])
            assert b"charloom" in Page(port).ask("/").body
            assert Page(port).ask("/", Host=f"localhost:{port}").status == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # or a failure would wait for it for ever
    assert process.returncode == 0
    assert errors == ""


def test_the_page_is_opened_in_a_browser_when_asked(model, tmp_path):
    path, opened = str(tmp_path / "small.safetensors"), tmp_path / "opened"
    model.save(path)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "charloom", "serve", path, "--port", "0", "--browser"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": f"{browser} %s"},
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            wait_until(lambda: opened.exists() and opened.read_text())
            assert opened.read_text().strip() == address
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def test_an_address_that_cannot_be_used_is_named(model):
    with served(model) as page, pytest.raises(OutputError, match="Address already in use"):
        serve(model, port=page.port)
    with pytest.raises(SettingsError, match="port: 70000"):
        serve(model, port=70000)
    with pytest.raises(OutputError, match=r"no\.such\.host\.invalid"):
        serve(model, host="no.such.host.invalid", port=0)


def test_the_page_asks_for_nothing_from_elsewhere():
    link = '<a href="https://educatorpanda.github.io"'  # that is followed when it is clicked
    for name, file in page_files().items():
        content = file.decode("latin-1").replace(link, "")
        found = re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", content)
        assert [link for link in found if link != "http://www.w3.org"] == [], name
        for call in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert call not in content, name
