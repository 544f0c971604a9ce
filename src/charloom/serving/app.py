"""All that is served: the page of a model, and the API for some models."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from starlette.applications import Starlette
from starlette.middleware import Middleware

from ..model.model import Model
from .completions import Completions
from .first_view import FirstView
from .guard import Access, Guard
from .page_api import HANDLERS, page_routes


def make_app(models: Mapping[str, Model], access: Access, view: FirstView) -> Starlette:
    """The server of some models, by name; the page is that of the first, and opens with `view`.

    `app.state.completions` has to be closed when the server has ended.
    """
    locks = {name: Lock() for name in models}
    first = next(iter(models))
    completions = Completions(models, locks)
    app = Starlette(
        routes=[*completions.routes(), *page_routes(models[first], view, locks[first])],
        middleware=[Middleware(Guard, access=access, count=completions.count)],
        exception_handlers=HANDLERS,
    )
    app.state.completions = completions
    return app
