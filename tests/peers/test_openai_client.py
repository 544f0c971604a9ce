"""OpenAI's own client gets every text, stream, score and error from `charloom serve`."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest
from serving_tools import TEXT, served, small_model

from charloom.serving import guard

openai = pytest.importorskip("openai")

PROMPT = "the Fox"


@pytest.fixture(scope="module")
def models():
    return {"fox": small_model(), "lines": small_model(lines=True)}


@pytest.fixture(scope="module")
def page(models):
    with served(models, api_key="a-key") as page:
        yield page


@pytest.fixture
def client(page):
    return client_of(page)


def client_of(page, **options):
    options = {"api_key": "a-key", "max_retries": 0, **options}
    return openai.OpenAI(base_url=f"{page.address}v1", **options)


def test_the_models_are_listed_and_described(client):
    assert [model.id for model in client.models.list()] == ["fox", "lines"]
    assert client.models.retrieve("lines").owned_by == "charloom"


@pytest.mark.parametrize("name", ["fox", "lines"])
def test_texts_are_those_of_generate_many(client, models, name):
    sampling = {"temperature": 0.7, "top_p": 0.9, "seed": 3}
    answer = client.completions.create(
        model=name, prompt=PROMPT, max_tokens=60, n=3, stop=["wood"], **sampling
    )
    alone = models[name].generate_many(PROMPT, count=3, length=60, stop="wood", **sampling)
    assert [choice.text for choice in answer.choices] == alone
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    ends = ["length" if len(text) == 60 else "stop" for text in alone]
    assert [choice.finish_reason for choice in answer.choices] == ends
    assert answer.usage.prompt_tokens == len(PROMPT)
    assert answer.usage.completion_tokens == sum(map(len, alone))
    assert answer.usage.total_tokens == len(PROMPT) + sum(map(len, alone))
    assert (answer.object, answer.model) == ("text_completion", name)


def test_a_stream_is_the_same_text_and_ends_with_its_counts(client, models):
    pieces, ends, usage = {0: "", 1: ""}, {}, None
    for chunk in client.completions.create(
        model="fox", prompt=PROMPT, max_tokens=100, n=2, seed=4, stream=True,
        stream_options={"include_usage": True},
    ):  # fmt: skip
        for choice in chunk.choices:
            pieces[choice.index] += choice.text
            ends[choice.index] = choice.finish_reason
        usage = chunk.usage or usage
    alone = models["fox"].generate_many(PROMPT, count=2, length=100, seed=4)
    assert [pieces[0], pieces[1]] == alone
    assert ends == {0: "length", 1: "length"}
    assert usage.completion_tokens == 200


def test_what_only_this_server_has_is_in_extra_body(client, models):
    answer = client.completions.create(
        model="fox", prompt=PROMPT, max_tokens=40, seed=1, extra_body={"top_k": 2}
    )
    alone = "".join(models["fox"].generate(PROMPT, length=40, seed=1, top_k=2))
    assert answer.choices[0].text == alone
    stream = client.completions.create(
        model="fox", prompt=PROMPT, stream=True, extra_body={"pattern": "[a-z]{3} [a-z]{3}"}
    )
    text = "".join(part.choices[0].text for part in stream)
    assert re.fullmatch("[a-z]{3} [a-z]{3}", text)


@pytest.mark.parametrize("name", ["fox", "lines"])
def test_a_text_that_is_echoed_with_no_more_is_scored(client, models, name):
    text = TEXT[:150]
    answer = client.completions.create(model=name, prompt=text, max_tokens=0, echo=True, logprobs=2)
    (choice,) = answer.choices
    assert (choice.text, choice.logprobs.tokens) == (text, list(text))
    assert choice.logprobs.text_offset == list(range(150))
    parts = list(models[name].score(text))[:150]
    first = 0 if name == "lines" else 1
    assert choice.logprobs.token_logprobs[:first] == [None] * first
    nats = [-nats for nats in choice.logprobs.token_logprobs[first:]]
    assert nats == pytest.approx([part.nats for part in parts[first:]], abs=2e-5)
    top = choice.logprobs.top_logprobs[first:]
    assert all(len(one) in (2, 3) for one in top)
    greedy = [max(one.values()) == -n for one, n in zip(top, nats, strict=True)]
    assert greedy == [part.rank == 1 for part in parts[first:]]


def test_several_prompts_are_answered_in_their_order(client, models):
    prompts = ["the", "a Crow", "wood"]
    answer = client.completions.create(model="fox", prompt=prompts, max_tokens=20, n=2, seed=2)
    expected = [
        t for p in prompts for t in models["fox"].generate_many(p, count=2, length=20, seed=2)
    ]
    assert [choice.text for choice in answer.choices] == expected


def test_the_client_tells_what_was_wrong(client, page):
    def error(kind, call):
        with pytest.raises(kind) as caught:
            call()
        return caught.value

    create = client.completions.create
    told = error(openai.NotFoundError, lambda: client.models.retrieve("x"))
    assert (told.code, told.param) == ("model_not_found", "model")
    assert "fox, lines" in told.message
    told = error(openai.BadRequestError, lambda: create(model="fox", prompt="", temperature=-1))
    assert "temperature: -1" in told.message
    assert (told.type, told.param) == ("invalid_request_error", "temperature")
    told = error(
        openai.BadRequestError, lambda: create(model="fox", prompt="a", frequency_penalty=1)
    )
    assert told.param == "frequency_penalty"
    told = error(
        openai.BadRequestError,
        lambda: client.chat.completions.create(
            model="fox", messages=[{"role": "user", "content": "hi"}]
        ),
    )
    assert "/v1/completions" in told.message
    told = error(
        openai.AuthenticationError, lambda: client_of(page, api_key="another").models.list()
    )
    assert told.code == "invalid_api_key"


def test_an_error_on_the_way_ends_the_stream_with_it(models, monkeypatch, capfd):
    model = small_model()
    working, calls = model.engine.generate, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) > 2:
            raise MemoryError("no room")
        return working(*arguments)

    monkeypatch.setattr(model.engine, "generate", failing)
    with served(model) as page:
        client = client_of(page)
        stream = client.completions.create(model="model", prompt="a", max_tokens=99, stream=True)
        with pytest.raises(openai.APIError, match="went wrong"):
            list(stream)
        with pytest.raises(openai.InternalServerError):
            client.completions.create(model="model", prompt="a")
    assert "no room" in capfd.readouterr().err


def test_a_full_queue_is_tried_again_when_it_said(monkeypatch):
    monkeypatch.setattr(guard, "SLOTS", 1)
    monkeypatch.setattr(guard, "QUEUE", 0)
    model, answered = small_model(hidden_size=512), []
    with served(model) as page:
        page.completions.requests.count = lambda path, status: answered.append(status)
        create = client_of(page, max_retries=9).completions.create
        long = create(model="model", prompt="a", max_tokens=20_000, stream=True)
        next(iter(long))
        threading.Timer(0.5, long.close).start()
        answer = create(model="model", prompt="the", max_tokens=9, seed=7)
    assert answer.choices[0].text == "".join(model.generate("the", length=9, seed=7))
    assert 429 in answered


def test_texts_made_at_once_are_those_made_alone(page, models):
    client = openai.AsyncOpenAI(base_url=f"{page.address}v1", api_key="a-key", max_retries=0)

    async def one(seed: int) -> str:
        stream = await client.completions.create(
            model="fox", prompt=TEXT[: seed % 7], max_tokens=30 + seed, seed=seed, stream=True,
            temperature=0.5 + seed / 100, extra_body={"top_k": seed % 3},
        )  # fmt: skip
        return "".join([chunk.choices[0].text async for chunk in stream])

    async def every() -> list[str]:
        async with client:
            return await asyncio.gather(*(one(seed) for seed in range(100)))

    for seed, text in enumerate(asyncio.run(every())):
        alone = models["fox"].generate(
            TEXT[: seed % 7], length=30 + seed, seed=seed, temperature=0.5 + seed / 100,
            top_k=seed % 3,
        )  # fmt: skip
        assert text == "".join(alone)
