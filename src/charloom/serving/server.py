"""Serving the page until Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable

import uvicorn

from ..errors import OutputError, SettingsError
from ..model.model import Model, Text
from ..text.reading import beginning
from .guard import CHARACTERS
from .page_api import make_app
from .patience import PatientProtocol

logger = logging.getLogger(__name__)

LOCAL = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = ("0.0.0.0", "::")


def serve(
    model: Model,
    text: Text | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the page of a model until Ctrl-C.

    The page first shows the beginning of `text`, or without one a text by the model. `ready`
    is called with the page's address once it is open. Port 0 takes a free one. SettingsError
    for a port that does not exist, OutputError if the address cannot be used.

    >>> import charloom
    >>> vocabulary = charloom.Vocabulary.of("the cat")
    >>> model = charloom.Model.untrained(charloom.ModelSettings(hidden_size=4), vocabulary)
    >>> charloom.serve(model, "the cat", port=70000)
    Traceback (most recent call last):
        ...
    charloom.errors.SettingsError: port: 70000 was given; it must be at least 0, at most 65535
    """
    if not 0 <= port <= 65535:
        raise SettingsError(f"port: {port} was given; it must be at least 0, at most 65535")
    pieces = model.generate(length=1000) if text is None else model.pieces(text)
    shown = beginning(pieces, CHARACTERS)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=64)
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
            logger.warning(
                "%s: everybody who reaches this address can read and generate with the model, "
                "without a password; use 127.0.0.1 for this machine alone",
                host,
            )
        config = uvicorn.Config(
            make_app(model, hosts, shown),
            http=PatientProtocol,
            log_config=None,  # the default one fails where standard output is closed
            log_level="critical",  # what goes wrong here is told by app.py; the rest is no news
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=2**16,
            lifespan="off",
            ws="none",
        )
        listening = f"http://{name}:{port}/"
        ready(listening)
        with contextlib.suppress(KeyboardInterrupt):  # which is how one ends it
            uvicorn.Server(config).run(sockets=[listener])


def _names(host: str) -> set[str]:
    """What a browser may call this machine by, if it is served under this address."""
    names = {host, *LOCAL}
    if host in EVERYWHERE:
        own = socket.gethostname()
        names.add(own)
        with contextlib.suppress(OSError):
            names |= {str(found[4][0]) for found in socket.getaddrinfo(own, None)}
    return {f"[{name}]" if ":" in name.strip("[]") and name[0] != "[" else name for name in names}
