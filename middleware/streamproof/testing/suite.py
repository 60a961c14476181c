"""Put hops between an existing suite's own test clients and its apps, without a change to the suite: :func:`behind`.

It replaces methods of the client classes of Werkzeug (Flask), Django, Starlette (FastAPI), httpx and httpx2, only on
request, and restores them at the end. Clients of other libraries and websockets are not changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import _defaults

if TYPE_CHECKING:
    from ..profiles import Profile, Via


@contextmanager
def behind(via: str | Profile | Via, *, loaded_only: bool = False, whole_run: bool = False) -> Iterator[None]:
    """Let every client that is made in the block reach its app through ``via``, in place of hops set outside.

    ``loaded_only`` skips libraries that have not been imported yet, instead of importing them. ``whole_run`` applies
    ``via`` also to clients that outlive a test.
    """
    from ..profiles import resolve

    chain = resolve(via)
    with _patched(loaded_only), ExitStack() as undo:
        undo.callback(setattr, _defaults, "via", _defaults.via)
        _defaults.via = chain
        if whole_run:
            undo.callback(setattr, _defaults, "of_run", _defaults.of_run)
            _defaults.of_run = chain
        yield


@contextmanager
def alternating() -> Iterator[None]:
    """Each test names its hops with :func:`behind`; clients that are made outside of one are refused."""
    with _patched(False):
        _defaults.alternating = True
        try:
            yield
        finally:
            _defaults.alternating = False


@contextmanager
def _patched(loaded_only: bool) -> Iterator[None]:
    with ExitStack() as undo:
        for module, name, then in _PLACES:
            if module in sys.modules if loaded_only else find_spec(module.partition(".")[0]) is not None:
                _after_init(getattr(_imported(module), name, None), then, undo)
        yield


def _hop(app: Any, via: Via) -> Any:
    from ..wrapping import wrap

    return wrap(app, via=via)


def _on_app(client: Any, via: Via) -> None:
    client.app = _hop(client.app, via)


def _on_transport(client: Any, via: Via) -> None:
    client.streamproof_plain = client._transport.app
    client._transport.app = _hop(client._transport.app, via)


def _on_client(client: Any, via: Via) -> None:
    from .clients import streaming

    streaming(client, via=via)


_PLACES: tuple[tuple[str, str, Callable[[Any, Via], None]], ...] = (
    ("httpx", "ASGITransport", _on_app),
    ("httpx", "WSGITransport", _on_app),
    ("httpx2", "ASGITransport", _on_app),
    ("httpx2", "WSGITransport", _on_app),
    ("starlette.testclient", "TestClient", _on_transport),
    ("werkzeug.test", "Client", _on_client),
    ("django.test.client", "Client", _on_client),
    ("django.test.client", "AsyncClient", _on_client),
)


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except Exception:  # Starlette's needs httpx or httpx2, and says so in a RuntimeError
        return None


def _after_init(kind: Any, then: Callable[[Any, Via], None], undo: ExitStack) -> None:
    if kind is None or hasattr(kind.__init__, "streamproof"):  # a block inside another changes the hops alone
        return
    inner = kind.__init__

    @wraps(inner)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        inner(self, *args, **options)
        if (via := _defaults.hops(None)) is not None:
            then(self, via)

    __init__.streamproof = True  # type: ignore[attr-defined]
    kind.__init__ = __init__
    undo.callback(setattr, kind, "__init__", inner)
