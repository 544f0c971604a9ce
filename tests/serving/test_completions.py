"""The API over plain HTTP: what it answers, streams, measures and refuses."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import socket
import time
import warnings

import pytest
from serving_tools import TEXT, served, small_model
from waiting import PATIENCE, wait_until

import charloom
from charloom.cli.main import main
from charloom.errors import SettingsError
from charloom.serving import guard
from charloom.serving.app import make_app
from charloom.serving.completions import Completions
from charloom.serving.first_view import FirstView
from charloom.serving.guard import Access
from charloom.serving.server import serve

PATH = "/v1/completions"


@pytest.fixture(scope="module")
def models():
    return {"fox": small_model(), "lines": small_model(lines=True)}


@pytest.fixture(scope="module")
def page(models):
    with served(models, allowed_origins=frozenset(["https://a.site"])) as page:
        yield page


@pytest.fixture(scope="module")
def locked():
    with served(small_model(), api_key="a-key") as page:
        yield page


def asked(page, status: int = 200, path: str = PATH, headers=None, **body):
    answer = page.ask(path, {"model": "fox", **body}, **(headers or {}))
    assert answer.status == status, answer.body
    return answer.json


def events(answer) -> list:
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    parts = answer.body.decode().split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]


def test_a_rule_is_for_what_is_generated(page, models):
    rule = {"pattern": "[a-z]{3,9}!?"}
    found = asked(page, prompt="the ", max_tokens=20, n=3, seed=5, **rule)
    alone = models["fox"].generate_many(
        "the ", count=3, length=20, seed=5, rule=charloom.Pattern(rule["pattern"])
    )
    assert [choice["text"] for choice in found["choices"]] == alone
    assert {choice["finish_reason"] for choice in found["choices"]} <= {"stop", "length"}
    assert re.fullmatch("f+", asked(page, grammar="start: /f+/")["choices"][0]["text"])
    answer = asked(page, 400, pattern="(?=a)b")
    assert answer["error"]["param"] == "pattern" and "not possible" in answer["error"]["message"]
    assert "no text" in asked(page, 400, json_schema={"type": "integer"})["error"]["message"]
    assert "give one of" in asked(page, 400, pattern="a", grammar="b")["error"]["message"]
    assert "shortest" in asked(page, 400, pattern="a{99}", max_tokens=20)["error"]["message"]


@pytest.mark.parametrize(
    ("pattern", "grammar", "length", "reason"),
    [
        ("abc", 'start: "abc"', 5, "stop"),
        ("[a-c]+", "start: /[a-c]+/", 5, "length"),
        ("(abc)+", 'start: "abc"+', 5, "length"),  # another abc has no room
    ],
)
def test_why_a_text_under_a_rule_has_ended_does_not_depend_on_the_kind_of_rule(
    page, pattern, grammar, length, reason
):
    for rule in ({"pattern": pattern}, {"grammar": grammar}):
        (choice,) = asked(page, max_tokens=length, **rule)["choices"]
        assert choice["finish_reason"] == reason


def test_a_text_is_the_one_that_generate_makes(page, models):
    for name, model in models.items():
        answer = asked(page, model=name, prompt="the Fox", max_tokens=30, seed=7, top_k=9)
        (choice,) = answer["choices"]
        assert choice["text"] == "".join(model.generate("the Fox", length=30, seed=7, top_k=9))
        assert answer["id"].startswith("cmpl-")
        assert answer["model"] == name


def test_the_only_model_needs_no_name_and_one_of_several_does(page, locked):
    key = {"Authorization": "Bearer a-key"}
    assert locked.ask(PATH, {"prompt": "a"}, **key).json["model"] == "model"
    assert "fox, lines" in asked(page, 400, model=None)["error"]["message"]


def test_without_a_seed_every_text_is_another(page):
    texts = {asked(page, prompt="the", max_tokens=40)["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 3


def test_a_stream_has_the_pieces_of_the_same_answer(page):
    body = {"model": "fox", "prompt": "the", "n": 3, "max_tokens": 50, "seed": 2, "logprobs": 1,
            "echo": True}  # fmt: skip
    whole = asked(page, **body)
    streamed = events(page.ask(PATH, {**body, "stream": True}))
    for choice in whole["choices"]:
        parts = [e["choices"][0] for e in streamed if e["choices"][0]["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert parts[-1]["finish_reason"] == choice["finish_reason"] == "length"
        assert {part["finish_reason"] for part in parts[:-1]} <= {None}
        for name, values in choice["logprobs"].items():
            assert sum((part["logprobs"][name] for part in parts), []) == values  # noqa: RUF017
    assert {event["id"] for event in streamed} == {streamed[0]["id"]}


def test_the_log_probabilities_of_a_stop_string_are_told_and_its_characters_are_not(page, models):
    text = "".join(models["fox"].generate("the", length=60, seed=1))
    stop = text[20:24]
    end = text.index(stop)
    (choice,) = asked(page, prompt="the", max_tokens=60, seed=1, stop=stop, logprobs=0)["choices"]
    assert (choice["text"], choice["finish_reason"]) == (text[:end], "stop")
    assert "".join(choice["logprobs"]["tokens"]) == text[: end + 4]
    assert choice["logprobs"]["top_logprobs"] is None


def test_a_prompt_passes_the_steps_of_every_text(page, models):
    given = "the\r\nFox"
    (choice,) = asked(page, prompt=given, max_tokens=9, seed=0, echo=True)["choices"]
    assert choice["text"] == "the\nFox" + "".join(models["fox"].generate(given, length=9, seed=0))
    halves = json.dumps({"model": "fox", "prompt": "a"}).replace('"a"', '"\\ud800"').encode()
    answer = page.ask(PATH, halves)
    assert answer.status == 400
    assert "surrogate" in answer.json["error"]["message"]


def test_an_unknown_character_in_a_prompt_is_read_without_a_warning(page):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (choice,) = asked(page, prompt="a ß", max_tokens=0, echo=True, logprobs=1)["choices"]
    assert choice["text"] == "a ß"
    assert choice["logprobs"]["token_logprobs"][2] < -10


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, "no JSON"),
        (b"[1]", 400, "no object"),
        ({"temperature": 101}, 400, "at most 100"),
        ({"temperature": "warm"}, 400, "temperature"),
        ({"top_p": 0}, 400, "more than 0"),
        ({"seed": -1}, 400, "at least 0"),
        ({"max_tokens": 10**9}, 400, "at most 20000"),
        ({"max_tokens": 5000, "n": 5}, 413, "at most 20,000"),
        ({"n": 129}, 400, "at most 128"),
        ({"n": 2, "prompt": ["a"] * 100}, 413, "at most 128"),
        ({"stop": ""}, 400, "stop"),
        ({"stop": ["a"] * 17}, 400, "stop"),
        ({"stop": [1]}, 400, "stop"),
        ({"logprobs": 6}, 400, "at most 5"),
        ({"logprobs": 5, "echo": True, "prompt": "a" * 50_000}, 413, "log-probabilities"),
        ({"prompt": "a" * 100_001}, 413, "at most 100,000"),
        ({"prompt": {"a": 1}}, 400, "it must be a text"),
        ({"prompt": [0, 10**6]}, 400, "ids from 0 to"),
        ({"prompt": ["a", 3]}, 400, "it must be a text"),
        ({"prompt": [True]}, 400, "it must be a text"),
        ({"best_of": 3}, 400, "best_of"),
        ({"suffix": "end"}, 400, "suffix"),
        ({"frobnicate": 1}, 400, "frobnicate is not a setting"),
        ({"model": "nobody"}, 404, "there is no model 'nobody'"),
        ({"model": 3}, 404, "there is no model '3'"),
        (b" " * (guard.BODY + 1), 413, "too long"),
    ],
)
def test_a_wrong_request_gets_one_clear_line_as_openai_has_it(page, body, status, error):
    if isinstance(body, dict):
        body = {"model": "fox", **body}
    answer = page.ask(PATH, body)
    assert answer.status == status, answer.body
    told = answer.json["error"]
    assert error in told["message"]
    assert set(told) == {"message", "type", "param", "code"}
    assert told["type"] == "invalid_request_error"


def test_parameters_without_effect_are_taken_at_their_neutral_values(page):
    neutral = {"frequency_penalty": 0, "presence_penalty": 0.0, "best_of": 2, "n": 2}
    neutral |= {"suffix": "", "logit_bias": {}, "user": "me", "stop": None, "seed": None}
    assert len(asked(page, **neutral)["choices"]) == 2


def test_chat_is_told_what_to_use_and_unknown_paths_are_not_found(page):
    for path in ("/v1/chat/completions", "/v1/responses"):
        told = asked(page, 400, path, messages=[])["error"]
        assert "POST /v1/completions" in told["message"]
    assert asked(page, 404, "/v1/embeddings")["error"]["type"] == "invalid_request_error"
    assert page.ask(PATH).status == 405


def test_the_page_is_that_of_the_first_model(page, models):
    heading = page.ask("/api/read", {"text": "the Fox"}).lines[0]
    assert heading["model"] == repr(models["fox"])
    assert heading["lines"] is False


# Evaluation programs ask for ids.


def test_characters_become_ids_and_come_back(page, models):
    ids = asked(page, path="/tokenize", prompt="the Fox", add_special_tokens=False)
    assert ids["tokens"] == models["fox"].vocabulary.encode("the Fox").tolist()
    back = asked(page, path="/detokenize", tokens=ids["tokens"])
    assert back == {"prompt": "the Fox"}
    info = page.ask("/tokenizer_info?model=lines").json
    assert info["eos_token"] == "\n"
    by_ids = asked(page, prompt=ids["tokens"], max_tokens=20, seed=3)
    assert by_ids["choices"] == asked(page, prompt="the Fox", max_tokens=20, seed=3)["choices"]


# Who may ask.


def test_nothing_but_health_is_answered_without_the_key(locked):
    assert locked.ask("/health").json == {"status": "ok"}
    for path in ("/", "/api/start", "/v1/models", "/metrics", "/tokenizer_info", "/icon.svg"):
        answer = locked.ask(path)
        assert answer.status == 401
        kind = "Basic" if path in ("/", "/api/start", "/icon.svg") else "Bearer"
        assert answer.headers["www-authenticate"].startswith(kind)
    assert locked.ask(PATH, {"prompt": "a"}).status == 401


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer a-key", 200),
        ("bearer a-key", 200),
        ("Bearer a-ke", 401),
        ("Bearer a-key2", 401),
        ("Bearer", 401),
        ("a-key", 401),
        ("Digest a-key", 401),
        ("Basic " + base64.b64encode(b"anybody:a-key").decode(), 200),
        ("Basic " + base64.b64encode(b"a-key:").decode(), 401),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), 401),
        ("Basic a-key", 401),
    ],
)
def test_the_key_is_a_bearer_token_or_a_password(locked, authorization, status):
    assert locked.ask("/v1/models", Authorization=authorization).status == status


def test_pages_of_allowed_sites_use_the_api_and_nothing_else(page):
    site = {"Origin": "https://a.site", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    answer = page.ask(PATH, {"model": "fox"}, **site)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://a.site"
    assert page.ask("/api/start", **site).status == 403
    other = {**site, "Origin": "https://b.site"}
    refused = page.ask(PATH, {"model": "fox"}, **other)
    assert refused.status == 403
    assert "b.site" in refused.json["error"]["message"]
    assert "access-control-allow-origin" not in refused.headers
    assert page.ask("/health", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403


def test_a_browser_is_told_what_a_page_of_an_allowed_site_may_send(page):
    def preflight(origin: str) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE)
        headers = {"Origin": origin, "Access-Control-Request-Headers": "authorization, x-a"}
        connection.request("OPTIONS", PATH, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        named = {key.lower(): value for key, value in answer.getheaders()}
        return {"status": str(answer.status), **named}

    allowed = preflight("https://a.site")
    assert allowed["status"] == "204"
    assert allowed["access-control-allow-headers"] == "authorization, x-a"
    assert preflight("https://b.site")["status"] == "403"


def test_other_names_are_taken_where_they_are_allowed(models):
    with served(models["fox"], allowed_hosts=frozenset(["ex.org", "b.org:81"])) as page:
        hosts = ["ex.org", "ex.org:8443", "b.org:81", "b.org", "evil.org", "ex.org.evil.org"]
        statuses = [page.ask("/health", Host=host).status for host in hosts]
        own = page.ask("/api/read", {"text": "a"}, Host="ex.org", Origin="https://ex.org")
    assert statuses == [200, 200, 200, 421, 421, 421]
    assert own.status == 200


# Load, and clients that leave.


def test_a_full_queue_says_when_to_come_back(monkeypatch):
    monkeypatch.setattr(guard, "SLOTS", 1)
    monkeypatch.setattr(guard, "QUEUE", 1)
    with served(small_model(hidden_size=512)) as page:  # of which 20,000 characters take seconds
        (one,) = page.completions._served.values()
        connections = []
        for ahead in (0, 1):
            connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=PATIENCE)
            body = json.dumps({"max_tokens": 20_000, "stream": True}).encode()
            connection.request("POST", PATH, body, {"Content-Type": "application/json"})
            connections.append(connection)
            wait_until(lambda n=ahead: one.batcher.busy and one.batcher.waiting == n)
        answer = page.ask(PATH, {"prompt": "a"})
        for connection in connections:
            connection.close()
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json["error"]["type"] == "rate_limit_error"
    assert answer.json["error"]["code"] == "queue_full"


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_gives_the_slot_back(stream):
    with served(small_model(hidden_size=256)) as page:
        (one,) = page.completions._served.values()
        body = json.dumps({"max_tokens": 20_000, "stream": stream}).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", page.port), PATIENCE) as connection:
            connection.sendall(head.encode() + body)
            while not one.batcher.measured.generated:
                time.sleep(0.01)
        wait_until(lambda: one.batcher.busy == 0)
        assert one.batcher.measured.generated < 20_000


def test_half_a_request_and_an_answer_nobody_takes_keep_no_one_waiting(page):
    body = json.dumps({"model": "fox", "max_tokens": 20_000, "stream": True}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    idle = []
    try:
        for n in range(60):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", page.port))
            connection.sendall((head.encode() + body)[: None if n % 20 == 0 else -1])
            idle.append(connection)
        for _ in range(3):
            assert len(asked(page, prompt="a", max_tokens=30)["choices"][0]["text"]) == 30
    finally:
        for connection in idle:
            connection.close()


def test_many_streams_at_once_are_all_answered_with_their_own_text(page, models):
    """A hundred and fifty, more than there are slots."""

    async def one(seed: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        body = json.dumps({"model": "fox", "prompt": "the", "max_tokens": 20 + seed % 30,
                           "seed": seed, "stream": True}).encode()  # fmt: skip
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        content = await reader.read()
        writer.close()
        assert b"data: [DONE]" in content
        parts = re.findall(rb"data: (\{.*\})\n", content)
        return "".join(json.loads(part)["choices"][0]["text"] for part in parts)

    async def every() -> list[str]:
        return await asyncio.gather(*map(one, range(150)))

    alone = models["fox"].generate
    for seed, text in enumerate(asyncio.run(every())):
        assert text == "".join(alone("the", length=20 + seed % 30, seed=seed))


def test_what_was_done_is_measured_for_prometheus():
    with served(small_model()) as page:
        page.ask(PATH, {"prompt": "the Fox", "max_tokens": 30, "n": 2})
        page.ask(PATH, {"temperature": -1})
        page.ask("/made/up/by/a/client")
        answer = page.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    for line in (
        'charloom_requests_total{path="/v1/completions",status="200"} 1',
        'charloom_requests_total{path="/v1/completions",status="400"} 1',
        'charloom_requests_total{path="the page",status="404"} 1',
        'charloom_generated_characters_total{model="model"} 60',
        'charloom_prompt_characters_total{model="model"} 6',
        'charloom_texts_running{model="model"} 0',
        'charloom_slots{model="model"} 64',
        'charloom_first_character_seconds_bucket{model="model",le="+Inf"} 2',
        'charloom_first_character_seconds_count{model="model"} 2',
    ):
        assert line in lines
    assert len([line for line in lines if line.startswith("# TYPE")]) == 8


def test_an_app_can_be_made_for_a_server_of_ones_own(models):
    app = make_app(models, Access(hosts=frozenset(["a.org"])), FirstView(text=TEXT))
    assert isinstance(app.state.completions, Completions)
    app.state.completions.close()


# On the command line, and in Python.


@pytest.fixture
def commanded(tmp_path, monkeypatch):
    """What the command `serve` hands to the library; b.run is the folder of a run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.run").mkdir()
    for name in ("a.safetensors", "b.run/model.safetensors", "c/a.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        small_model().save(tmp_path / name)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    given = []

    def serve(models, text, **options):
        given.append((list(models), None if text is None else "".join(text), options))

    monkeypatch.setattr(charloom, "serve", serve)

    def run(*words: str):
        given.clear()
        status = main(["serve", *words])
        return given[0] if given else status

    return run


def test_models_and_texts_are_told_apart_by_what_they_are(commanded):
    names, text, options = commanded("a.safetensors", "text.txt", "b.run")
    assert names == ["a", "b"]
    assert text == TEXT
    assert options["api_key"] is None
    assert commanded("b.run")[:2] == (["b"], None)


def test_the_key_comes_from_the_flag_or_the_environment(commanded, monkeypatch):
    monkeypatch.setenv("CHARLOOM_API_KEY", "secret")
    assert commanded("b.run")[2]["api_key"] == "secret"
    words = ["b.run", "--api-key", "other", "--allow-host", "a.org", "--allow-origin", "http://b"]
    options = commanded(*words)[2]
    assert options["api_key"] == "other"
    assert (options["allow_hosts"], options["allow_origins"]) == (["a.org"], ["http://b"])


def test_two_models_of_one_name_are_refused(commanded, capsys):
    assert commanded("a.safetensors", "c/a.safetensors") == 2
    assert "two models are called 'a'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a b"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"allow_hosts": ["http://a.org"]}, "allow_hosts: 'http://a.org'"),
        ({"allow_origins": ["a.org"]}, "allow_origins: 'a.org'"),
        ({"allow_origins": ["https://a.org/"]}, "allow_origins"),
        ({"allow_origins": ["*"]}, "allow_origins"),
    ],
)
def test_who_may_ask_is_checked_before_anything_is_opened(options, told):
    with pytest.raises(SettingsError, match=told):
        serve(small_model(), port=0, **options)


def test_no_model_is_an_error():
    with pytest.raises(SettingsError, match="at least one"):
        serve({}, port=0)
