"""Werkzeug's, Flask's and Django's own test clients, and Starlette's, with the transports' powers: :func:`streaming`.

Each client still builds its own requests and responses; only the transport between is replaced. ``trace_of(response)``
returns the recording; Werkzeug's and httpx's responses have it as ``trace``, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..sansio.http import reason
from ..sansio.trace import Request
from . import _defaults
from ._responses import put_head
from ._wsgi import WSGIExchange
from .recorded import RecordedTrace, trace_of
from .server_behavior import ServerBehavior, behavior_of

if TYPE_CHECKING:
    from ..profiles import Profile, Via
    from .transports import Transport

C = TypeVar("C")


def streaming(client: C, *, server: str | ServerBehavior | None = None, via: str | Profile | Via | None = None) -> C:
    """``client``, changed so that its responses stream chunk by chunk, are recorded, and pass through ``via``.

    Takes an instance of ``werkzeug.test.Client`` (Flask's too), ``django.test.Client``, ``django.test.AsyncClient`` or
    ``starlette.testclient.TestClient`` (FastAPI's too). Raises TypeError for anything else.
    """
    chain = _defaults.hops(via)
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(client).__mro__}
    if "werkzeug.Client" in names:
        return cast(C, _werkzeug(client, server, chain))
    if "django.Client" in names:
        return cast(C, _django(client, server, chain))
    if "django.AsyncClient" in names:
        from ._django_async import streaming_handler

        client.handler = streaming_handler(_plain(client, client.handler), behavior_of(server, "asgi"), chain)  # type: ignore[attr-defined]
        return client
    if "starlette.TestClient" in names:
        return cast(C, _starlette(client, server, chain))
    raise TypeError(
        f"{client!r} is not a supported test client. Expected that of werkzeug, Flask, Django, Starlette or FastAPI. "
        "For httpx, did you mean client(app) or async_client(app)?"
    )


def _plain(client: Any, now: Any) -> Any:
    """The client's original. A second call replaces the first, so hops do not stack."""
    return vars(client).setdefault("streamproof_plain", now)


class Body:
    """The app iterable that a WSGI client gets: it reads one chunk at a time, and its ``close`` closes the app's."""

    def __init__(self, exchange: WSGIExchange) -> None:
        self.streamproof = exchange
        exchange.body_iterator = self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self.streamproof.read()
        if data is None:
            raise StopIteration
        return data

    def close(self) -> None:
        """Leave, or end a complete response."""
        self.streamproof.close()


def _werkzeug(client: Any, server: str | ServerBehavior | None, via: Via | None) -> Any:
    run, behavior = _plain(client, client.run_wsgi_app), behavior_of(server, "wsgi")
    last: list[WSGIExchange] = []

    def run_wsgi_app(environ: dict[str, Any], buffered: bool = False) -> Any:
        app = client.application

        def streamed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            exchange = WSGIExchange(app, _request(environ), server=behavior, via=via, environ=environ)
            last[:] = [exchange]
            head = exchange.head()
            start_response(f"{head.status} {reason(head.status) or 'Unknown'}", list(head.headers))
            return Body(exchange)

        client.application = streamed  # cookies and buffering stay the client's own
        try:
            return run(environ, buffered=buffered)
        finally:
            client.application = app

    class Response(client.response_wrapper):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.streamproof = last[0] if last else None

        @property
        def trace(self) -> RecordedTrace:
            """The recording; RuntimeError while the response runs."""
            return trace_of(self)

    client.run_wsgi_app = run_wsgi_app
    client.response_wrapper = Response
    return client


def _request(environ: dict[str, Any]) -> Request:
    query = environ.get("QUERY_STRING", "")
    target = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "/") + (f"?{query}" if query else "")
    headers = tuple(
        (name.removeprefix("HTTP_").replace("_", "-").title(), str(value))
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    )
    return Request(environ["REQUEST_METHOD"], target, "1.1", headers)


class _DjangoBody:
    """The response as the iterable of Django's WSGI handler, closed once."""

    def __init__(self, response: Any) -> None:
        self._response, self._close = response, response.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        if not self._response.closed:
            self._close()


def _django(client: Any, server: str | ServerBehavior | None, via: Via | None) -> Any:
    inner, behavior = _plain(client, client.handler), behavior_of(server, "wsgi")

    def handler(environ: dict[str, Any]) -> Any:
        response: Any = None

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            nonlocal response
            response = inner(environ)
            start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
            return _DjangoBody(response)

        exchange = WSGIExchange(app, _request(environ), server=behavior, via=via, environ=environ)
        head = exchange.head()
        if response.streaming:
            response.streaming_content = Body(exchange)
            response.close = exchange.close
        else:
            response.content = b"".join(Body(exchange))
        put_head(response, head)
        response.streamproof = exchange
        return response

    client.handler = handler
    return client


class _StarletteTransport:
    """Ours for HTTP, Starlette's own for websockets."""

    def __init__(self, ours: Transport, original: Any) -> None:
        self._ours, self.original = ours, original

    def handle_request(self, request: Any) -> Any:
        """One request; the response gets ``template`` and ``context`` as Starlette's own gives it."""
        if request.url.scheme in ("ws", "wss"):
            return self.original.handle_request(request)
        response = self._ours.handle_request(request)
        for name, value in response.extensions["streamproof"].info.items():
            setattr(response, name, value)
        return response

    def close(self) -> None:
        """End what still runs."""
        self._ours.close()
        self.original.close()


def _starlette(client: Any, server: str | ServerBehavior | None, via: Via | None) -> Any:
    from .transports import Transport

    original = client._transport
    original = getattr(original, "original", original)
    ours = Transport(
        _plain(client, original.app),
        server=server or "starlette-testclient",
        via=via,
        raise_app_exceptions=original.raise_server_exceptions,
        client=tuple(original.client),
        root_path=original.root_path,
        state=original.app_state,
    )
    client._transport = _StarletteTransport(ours, original)
    return client
