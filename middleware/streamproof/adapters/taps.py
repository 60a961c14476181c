"""Wrap an inner app in a tap, which reports each chunk that the app hands to the layers around it: :func:`tap`.

A tap reports to the middleware's :class:`~.holds.Watch` (SP401) and to the :data:`observer` of a test. What they
conclude is in ``holds.py`` and, for tests, in ``testing/lockstep.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ..app_kind import kind_of, single_callable
from . import holds
from .holds import KEY, Watch

#: Takes the size of each chunk.
Sink = Callable[[int], object]

#: Set by a test for the response that it serves: called with the name of a tap, it returns where the tap reports to.
observer: ContextVar[Callable[[str], Sink] | None] = ContextVar("streamproof_observer", default=None)


def tap(app: Any, name: str = "inner app") -> Any:
    """Return ``app`` with its chunks reported under ``name``. Responses pass unchanged.

    Wrap the innermost app. An outer ``StreamMiddleware`` with a policy then finds layers that hold chunks (SP401), and
    ``assert_streams`` shows what the app handed over. Without either, nothing is reported.

    Raises:
        ConfigurationError: it is unclear whether ``app`` is WSGI or ASGI.
    """
    holds.made = True
    if kind_of(app) == "wsgi":
        return _wsgi(app, name)
    return _asgi(single_callable(app), name)


def _sink(watch: Watch | None, observed: Sink | None, name: str) -> Sink | None:
    """Return what a tap calls with the size of each chunk; None if nothing listens."""
    if watch is None:
        return observed
    took = watch.took

    def report(size: int) -> None:
        if observed is not None:
            observed(size)
        took(name, size)

    return report


def _observed(name: str) -> Sink | None:
    """Return the observer's sink for this tap. Call it before the app, so that outer taps come before inner ones."""
    observe = observer.get()
    return None if observe is None else observe(name)


def _asgi(app: Any, name: str) -> Any:
    async def tapped(scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] != "http" or (sink := _sink(scope.get(KEY), _observed(name), name)) is None:
            return await app(scope, receive, send)

        def watched(message: Any) -> Any:
            if message.get("type") == "http.response.body":
                if body := message.get("body"):
                    sink(len(body))
            elif message.get("type") == "http.response.pathsend":
                with suppress(OSError):  # the server reports what is wrong with the file
                    sink(os.path.getsize(message["path"]))
            return send(message)

        return await app(scope, receive, watched)

    return tapped


def _wsgi(app: Any, name: str) -> Any:
    def tapped(environ: Any, start_response: Any) -> Any:
        watch, observed = environ.get(KEY), _observed(name)
        body = app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return body
        if hasattr(body, "__len__"):  # a whole body is not a stream, so no layer holds it
            watch = None
        sink = _sink(watch, observed, name)
        return body if sink is None else _TappedBody(body, sink)

    return tapped


class _TappedBody:
    def __init__(self, body: Iterable[bytes], sink: Sink) -> None:
        self._body, self._sink = body, sink
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        block = next(self._iterator)
        if block:
            self._sink(len(block))
        return block

    def close(self) -> None:
        """Close the app's iterable."""
        if (close := getattr(self._body, "close", None)) is not None:
            close()
