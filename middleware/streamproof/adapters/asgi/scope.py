"""Read a request from an ASGI scope: target, version and fields. The types of ASGI are here, too.

Follows the ASGI specification, "HTTP & WebSocket ASGI Message Format", and accepts what servers and tests send against
it. The WSGI side is in ``wsgi/environ.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote

from ...sansio.http import Headers
from ...sansio.trace import Request

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[Any]]


def texts(headers: Iterable[tuple[Any, Any]]) -> Headers:
    """Return ``headers`` as text."""
    try:
        return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    except AttributeError:  # text, which the specification forbids and some tests send
        return tuple([(_text(name), _text(value)) for name, value in headers])


def _text(value: bytes | str) -> str:
    if type(value) is bytes:
        return value.decode("latin-1")
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def rereadable(message: Message) -> Message:
    """Return ``message``, or a copy with a list of its fields if they can be read only once, which ASGI allows."""
    headers = message.get("headers", ())
    if iter(headers) is headers:
        return {**message, "headers": list(headers)}
    return message


def target(scope: Scope) -> str:
    """Return the request target: as it came if the server gives that, else built from the path."""
    path = scope.get("raw_path")
    if path is None:
        path = quote(scope.get("path", "/"), "/:;=@!$&'()*+,~")
    query = scope.get("query_string", b"")  # bytes in the specification; some tests give text
    return f"{_text(path)}?{_text(query)}" if query else _text(path)


def version_and_fields(scope: Scope) -> tuple[str, Headers]:
    """Return the HTTP version and the fields."""
    return scope.get("http_version", "1.1"), texts(scope.get("headers", ()))


def request_of(scope: Scope) -> Request:
    """Return the request of ``scope``."""
    return Request(scope.get("method", "GET"), target(scope), *version_and_fields(scope))
