"""Puts hops between an existing suite's own test clients and its apps, without a line of the suite changed.

Knows where Werkzeug's (Flask's), Django's, Starlette's (FastAPI's), httpx's and httpx2's clients hold their app. It
replaces methods of their classes, which is why it is only used when a run asks for it, and undoes all of it at its end.
Clients of other libraries and websockets go untouched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from . import _defaults


@contextmanager
def behind(via: str, *, loaded_only: bool = False) -> Iterator[None]:
    """Let every client that is made in the block reach its app through ``via``.

    ``loaded_only`` leaves libraries alone that nobody has imported yet, instead of importing them.
    """
    from .._wrap import wrap
    from .clients import streaming

    def hop(app: Any) -> Any:
        return wrap(app, via=via)

    def on_app(self: Any) -> None:
        self.app = hop(self.app)

    def on_transport(self: Any) -> None:
        self.streamproof_plain = self._transport.app
        self._transport.app = hop(self._transport.app)

    def on_client(self: Any) -> None:
        streaming(self, via=via)

    places: list[tuple[str, str, Callable[[Any], None]]] = [
        ("httpx", "ASGITransport", on_app),
        ("httpx", "WSGITransport", on_app),
        ("httpx2", "ASGITransport", on_app),
        ("httpx2", "WSGITransport", on_app),
        ("starlette.testclient", "TestClient", on_transport),
        ("werkzeug.test", "Client", on_client),
        ("django.test.client", "Client", on_client),
        ("django.test.client", "AsyncClient", on_client),
    ]
    with ExitStack() as undo:
        undo.callback(setattr, _defaults, "via", _defaults.via)
        _defaults.via = via
        for module, name, then in places:
            if module in sys.modules if loaded_only else find_spec(module.partition(".")[0]) is not None:
                _after_init(getattr(_imported(module), name, None), then, undo)
        yield


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except Exception:  # Starlette's needs httpx or httpx2, and says so in a RuntimeError
        return None


def _after_init(kind: Any, then: Callable[[Any], None], undo: ExitStack) -> None:
    if kind is None:
        return
    inner = kind.__init__

    @wraps(inner)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        inner(self, *args, **options)
        then(self)

    kind.__init__ = __init__
    undo.callback(setattr, kind, "__init__", inner)
