"""Serving the page, and the API, until Ctrl-C."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import resource
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import uvicorn

from ..errors import OutputError, SettingsError
from ..model.model import Model, Text, check_model
from ..settings import check_within
from .app import make_app
from .first_view import FirstView, OpenOn
from .guard import Access
from .patience import PatientProtocol

logger = logging.getLogger(__name__)

LOCAL = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "::")

BACKLOG = 2048
"""Connections that wait to be accepted; what comes beyond them is tried again a second later."""

SWITCH_SECONDS = 0.0005
"""How long one Python thread may keep others waiting: who sends, and who makes the texts."""

_OPEN = (
    "everybody who reaches this address can read and generate with the model, without a password; "
    "use 127.0.0.1 for this machine alone, or give an `api_key`"
)
_UNENCRYPTED = (
    "the key and all texts cross the network unencrypted; let a proxy on this machine speak TLS, "
    "and serve 127.0.0.1"
)


def serve(
    model: Model | Mapping[str, Model],
    text: Text | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    open_on: OpenOn = "newspaper",
    api_key: str | None = None,
    allow_hosts: Iterable[str] = (),
    allow_origins: Iterable[str] = (),
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the page of a model, and the API that OpenAI's clients speak, until Ctrl-C.

    The page first shows the beginning of `text`, or without one a text by the model. Several
    models are given by the names under which clients ask for them (one alone is "model"); the
    page is that of the first. With `open_on="generate"` the form that generates texts is at its
    top. `ready` is called with the page's address once it is open. Port 0 takes a free one.

    With an `api_key` every request has to bring it, as a bearer token or, from a browser, as a
    password. `allow_hosts` are names that others have given this machine, such as a proxy's,
    `allow_origins` sites whose pages may use the API, as "https://example.org". SettingsError for
    what is none of these, OutputError if the address cannot be used.

    >>> import charloom
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> charloom.serve(model, "the cat", port=70000)
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: port: 70000 was given; it must be at least 0, at most 65535
    """
    check_within("port", port, 0, 65535)
    models = model if isinstance(model, Mapping) else {"model": model}
    for one in models.values():
        check_model("model", one)
    access = _access(models, api_key, allow_hosts, allow_origins)
    first = next(iter(models.values()))
    view = FirstView.of(first, text, open_on)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        known = error.errno if error.errno and error.errno > 0 else None  # a name's is not
        reason = os.strerror(known) if known else error.strerror
        raise OutputError(
            f"{host}:{port}: {reason}; give another `port` (0 takes a free one) or `host`",
            "port",
            "host",
        ) from None
    with listener:
        port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        hosts = {known for here in _names(host) for known in (f"{here}:{port}", here)}
        if port != 80:  # which is the only one that a browser leaves out
            hosts = {known for known in hosts if known.endswith(f":{port}")}
        if host not in (*LOCAL, "::1"):
            logger.warning("%s: %s", host, _OPEN if api_key is None else _UNENCRYPTED)
        _allow_many_connections()
        app = make_app(models, replace(access, hosts=frozenset(hosts)), view)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            log_config=None,  # the default one fails where standard output is closed
            log_level="critical",  # what goes wrong here is told by app.py; the rest is no news
            access_log=False,
            proxy_headers=False,  # nothing here asks for the client's address
            server_header=False,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=2**16,
            lifespan="off",
            ws="none",
        )
        listening = f"http://{name}:{port}/"
        ready(listening)
        with contextlib.suppress(KeyboardInterrupt):  # which is how one ends it
            sys.setswitchinterval(SWITCH_SECONDS)
            gc.freeze()  # what is here stays: no collection has to look at it again
            uvicorn.Server(config).run(sockets=[listener])
        app.state.completions.close()


def _access(
    models: Mapping[str, Model], api_key: str | None, hosts: Iterable[str], origins: Iterable[str]
) -> Access:
    """Who may ask, but for the server's own names; SettingsError for what cannot be."""
    if not models:
        raise SettingsError("model: none was given; at least one is needed")
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        raise SettingsError("api_key: it must be one or more visible ASCII characters, no spaces")
    access = Access(
        hosts=frozenset(),
        allowed_hosts=frozenset(hosts),
        allowed_origins=frozenset(origins),
        api_key=api_key,
    )
    for name in access.allowed_hosts:
        if not re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-fA-F:]+\](:\d+)?", name):
            raise SettingsError(
                f"allow_hosts: {name!r} was given; it must be a name such as example.org or "
                "example.org:8443"
            )
    for origin in access.allowed_origins:
        if not re.fullmatch(r"https?://[^/\s]+", origin):
            raise SettingsError(
                f"allow_origins: {origin!r} was given; it must be a site such as "
                "https://example.org, without a path"
            )
    return access


def _allow_many_connections() -> None:
    """Each is an open file, of which a process often may have only 1024."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, min(most, 2**16)), most))


def _names(host: str) -> set[str]:
    """What a browser may call this machine by, if it is served under this address."""
    names = {host, *LOCAL}
    if host in EVERYWHERE:
        own = socket.gethostname()
        names.add(own)
        with contextlib.suppress(OSError):
            names |= {str(found[4][0]) for found in socket.getaddrinfo(own, None)}
    return {f"[{name}]" if ":" in name.strip("[]") and name[0] != "[" else name for name in names}
