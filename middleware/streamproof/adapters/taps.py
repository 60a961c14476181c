"""Put a tap round an inner app, which counts the chunks that it hands to the layers round it: :func:`tap`.

What a tap sees is judged in ``holds.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..app_kind import kind_of, single_callable
from . import holds
from .holds import KEY, Watch


def tap(app: Any, name: str = "inner") -> Any:
    """``app`` with an eye on what it hands to the layers round it.

    Put it round the innermost app, and a ``StreamMiddleware`` with a policy round everything. Responses pass unchanged.
    Raises ConfigurationError when it cannot be told whether ``app`` is WSGI or ASGI.
    """
    holds.made = True
    if kind_of(app) == "wsgi":
        return _wsgi(app, name)
    return _asgi(single_callable(app), name)


def _asgi(app: Any, name: str) -> Any:
    async def tapped(scope: Any, receive: Any, send: Any) -> Any:
        watch: Watch | None = scope.get(KEY)
        if watch is None:
            return await app(scope, receive, send)

        def watched(message: Any) -> Any:
            if message.get("type") == "http.response.body" and (body := message.get("body")):
                watch.took(name, len(body))
            return send(message)

        return await app(scope, receive, watched)

    return tapped


def _wsgi(app: Any, name: str) -> Any:
    def tapped(environ: Any, start_response: Any) -> Any:
        watch: Watch | None = environ.get(KEY)
        body = app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        whole = hasattr(body, "__len__") or (isinstance(wrapper, type) and isinstance(body, wrapper))
        return body if watch is None or whole else _Tapped(body, watch, name)

    return tapped


class _Tapped:
    def __init__(self, body: Iterable[bytes], watch: Watch, name: str) -> None:
        self._body, self._watch, self._name = body, watch, name

    def __iter__(self) -> Iterator[bytes]:
        for block in self._body:
            if block:
                self._watch.took(self._name, len(block))
            yield block

    def close(self) -> None:
        """Close the app's iterable."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
