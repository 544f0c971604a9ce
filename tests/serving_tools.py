"""A small model, and its page served from a thread, for the tests of the page."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvicorn
from waiting import PATIENCE

from charloom import Model, ModelSettings, TrainingSettings
from charloom.engines.weights import initial_weights
from charloom.model.storage.provenance import Provenance
from charloom.serving.app import make_app
from charloom.serving.first_view import FirstView
from charloom.serving.guard import Access
from charloom.serving.patience import PatientProtocol
from charloom.text.vocabulary import Vocabulary

TEXT = (
    "One bright morning as the Fox was following his sharp nose through the wood in "
    'search of a bite to eat, he saw a Crow on the limb of a tree overhead.\n"Good day," '
    "said he.\n"
) * 3


def small_model(*, lines: bool = False, **settings: Any) -> Model:
    """Random weights, large enough that the gates open and close."""
    shape = ModelSettings(**{"hidden_size": 24, "num_layers": 2, **settings})
    vocabulary = Vocabulary.of(TEXT, unknown=True)
    weights = initial_weights(shape, vocabulary.size, seed=3)
    weights = {name: (weight * np.float32(2.5)) for name, weight in weights.items()}
    training = TrainingSettings(batches="lines") if lines else None
    return Model(shape, vocabulary, weights, Provenance(training=training), precision="float32")


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass(frozen=True)
class Page:
    """A server that runs."""

    port: int
    completions: Any = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request("POST" if body is not None else "GET", path, body, sent)
            answer = connection.getresponse()
            named = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()


@contextmanager
def served(
    model: Model | dict[str, Model], text: str | FirstView = TEXT, **access: Any
) -> Iterator[Page]:
    """The page of a model and the API, on a free port of this machine."""
    view = FirstView(text=text) if isinstance(text, str) else text
    models = model if isinstance(model, dict) else {"model": model}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        app = make_app(models, Access(hosts=hosts, **access), view)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            log_level="critical",
            lifespan="off",
            ws="none",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield Page(port, app.state.completions)
        finally:
            server.should_exit = True
            thread.join()
            app.state.completions.close()
