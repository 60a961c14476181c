"""Transports that stream, for httpx and httpx2, their sync and async clients, WSGI and ASGI apps: one class.

The type of a request shows its library, so the class serves both and imports neither. Sync clients drive an ASGI app
on a loop of their own, which runs only while the reader reads. Async clients pull a WSGI app in the loop's thread and
block the loop meanwhile, as virtual time requires. The chunks of a request's body are streamed, too, except to a WSGI
app under an async client, which cannot await them.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self

from ..app_kind import kind_of, single_callable
from ..sansio.machine import Head
from ..sansio.trace import Request
from . import _defaults
from ._asgi import ASGIExchange
from ._lifespan import Lifespan
from ._own_loop import OwnLoop
from ._responses import AsyncBody, OwnLoopBody, SyncBody, errors_of, library_of, response_of
from ._wsgi import WSGIExchange
from .errors import BrokenResponse
from .request_body import RequestBody
from .server_behavior import ServerBehavior, behavior_of

if TYPE_CHECKING:
    import httpx
    import httpx2

    from ..profiles import Profile, Via

    class _AnyTransport(httpx.BaseTransport, httpx.AsyncBaseTransport, httpx2.BaseTransport, httpx2.AsyncBaseTransport):  # type: ignore[misc]
        """The transports of both libraries, for type checkers; at run time neither library checks."""

else:
    _AnyTransport = object


class Transport(_AnyTransport):
    """Hands the requests of an httpx or httpx2 client to ``app``, and its chunks to the reader one by one.

    Closing a complete response waits until the app has returned, so its background tasks are done. Closing any other
    lets the app see its reader leave; an app that ignores this is cancelled when the client is closed.

    Args:
        app: A WSGI or ASGI app.
        server: The server whose behavior is played (``SERVER_BEHAVIORS``); by default uvicorn or gunicorn.
        via: Hops between app and reader, in a via's text; by default those of the run, if any.
        window: Bytes under way before the app's ``send`` waits. 0 is lockstep: the app produces chunk n+1 only when
            the reader holds chunk n. ``"server"`` is the server's own, None is no backpressure. For ASGI apps.
        raise_app_exceptions: Raise the app's exceptions where the reader reads; otherwise answer 500 or cut.
        lifespan: Run the app's lifespan while the client's ``with`` block runs, when it has one.
        client: The reader's address.
        root_path: The path at which an ASGI app is mounted.
        state: The state of its lifespan, if that runs elsewhere.
        trailers: Offer ASGI apps ``http.response.trailers``, which no server of the list does over HTTP/1.1. They are
            pairs of bytes in the response's ``extensions["trailers"]``, once it is read to its end. Hops drop them.

    Raises:
        ConfigurationError: ``server`` or ``via`` is not known.
    """

    def __init__(
        self,
        app: Any,
        *,
        server: str | ServerBehavior | None = None,
        via: str | Profile | Via | None = None,
        window: int | Literal["server"] | None = 0,
        raise_app_exceptions: bool = True,
        lifespan: bool = True,
        client: tuple[str, int] = ("127.0.0.1", 50000),
        root_path: str = "",
        state: dict[str, Any] | None = None,
        trailers: bool = False,
    ) -> None:
        self.kind = kind_of(app)
        self.app = single_callable(app)
        self.server = behavior_of(server, self.kind)
        self.via = _defaults.hops(via)
        self._window = self.server.window if window == "server" else window
        self._raises, self._wants_lifespan = raise_app_exceptions, lifespan
        self._client, self._root_path = client, root_path
        self._state, self._trailers = state, trailers
        self._lifespan: Lifespan | None = None
        self._own: OwnLoop | None = None
        self._open: list[ASGIExchange] = []

    def __repr__(self) -> str:
        return f"<Transport to {self.app!r} like {self.server.name}{f' via {self.via.text}' if self.via else ''}>"

    # Sync

    def __enter__(self) -> Self:
        if self.kind == "asgi":
            self._own = OwnLoop()
            self._own.hold()
            try:
                self._own.run(self.__aenter__())
            except BaseException:
                self._own.let_go()
                raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs."""
        own, self._own = self._own, None
        if own is not None:
            try:
                own.run(self.aclose())
            finally:
                own.let_go()

    def handle_request(self, request: Any) -> Any:
        """One request of a sync client."""
        library = library_of(request)
        body = _body_of(library, request)
        if self.kind == "wsgi":
            exchange = self._wsgi(request, body)
            with errors_of(library, request):
                head = self._head_or_500(exchange)
            return response_of(library, head, exchange, SyncBody(exchange, library, request))
        own = self._own or OwnLoop()
        own.hold()
        try:
            with errors_of(library, request):
                asgi, head = own.run(self._asgi(request, body))
        except BaseException:
            own.let_go()
            raise
        return response_of(library, head, asgi, OwnLoopBody(asgi, library, request, own))

    # Async

    async def __aenter__(self) -> Self:
        if self.kind == "asgi" and self._wants_lifespan:
            self._lifespan = Lifespan(self.app)
            await self._lifespan.startup()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what still runs: apps that ignored the end of their reader are cancelled here."""
        for exchange in self._open:
            await exchange.cancel()
        self._open.clear()
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.shutdown()

    async def handle_async_request(self, request: Any) -> Any:
        """One request of an async client."""
        library = library_of(request)
        exchange: ASGIExchange | WSGIExchange
        with errors_of(library, request):
            if self.kind == "wsgi":
                exchange = self._wsgi(request, await request.aread())
                head = self._head_or_500(exchange)
            else:
                exchange, head = await self._asgi(request, _body_of(library, request))
        return response_of(library, head, exchange, AsyncBody(exchange, library, request))

    def _wsgi(self, request: httpx.Request, body: Any) -> WSGIExchange:
        received = _request(request)
        return WSGIExchange(self.app, received, server=self.server, via=self.via, body=body, raises=self._raises)

    async def _asgi(self, request: httpx.Request, body: RequestBody) -> tuple[ASGIExchange, Head]:
        exchange = ASGIExchange(
            self.app,
            _request(request),
            server=self.server,
            via=self.via,
            body=body,
            window=self._window,
            raises=self._raises,
            state=self._state if self._lifespan is None else self._lifespan.state,
            client=self._client,
            root_path=self._root_path,
            scheme=request.url.scheme,
            trailers=self._trailers,
        )
        self._open = [other for other in self._open if not other.app_done]
        self._open.append(exchange)
        exchange.start()
        try:
            return exchange, await exchange.head()
        except BrokenResponse:
            if exchange.line.head_given or self._raises:
                raise
            return exchange, _SERVER_ERROR
        except BaseException:
            await exchange.cancel()
            raise

    def _head_or_500(self, exchange: WSGIExchange) -> Head:
        try:
            return exchange.head()
        except BrokenResponse:
            if exchange.line.head_given or self._raises:
                raise
            exchange.close()
            return _SERVER_ERROR


_SERVER_ERROR = Head(500, (("content-length", "0"),), "length", 0)


def client(app: Any, *, base_url: str = "http://testserver", **options: Any) -> httpx.Client:
    """A sync client of httpx2, or httpx where that is not installed, on ``app``; options are :class:`Transport`'s."""
    sync: httpx.Client = _installed().Client(transport=Transport(app, **options), base_url=base_url)
    return sync


def async_client(app: Any, *, base_url: str = "http://testserver", **options: Any) -> httpx.AsyncClient:
    """An async client of httpx2, or httpx where that is not installed, on ``app``."""
    asynchronous: httpx.AsyncClient = _installed().AsyncClient(transport=Transport(app, **options), base_url=base_url)
    return asynchronous


def _installed() -> ModuleType:
    from importlib import import_module
    from importlib.util import find_spec

    for name in ("httpx2", "httpx"):
        if find_spec(name) is not None:
            return import_module(name)
    raise ModuleNotFoundError("Neither httpx2 nor httpx is installed. Expected one: pip install httpx2.")


def _body_of(library: ModuleType, request: Any) -> Any:
    """The bytes of a body that the library has whole, else its chunks, not produced yet."""
    try:
        return request.content
    except library.RequestNotRead:
        return request.stream


def _request(request: httpx.Request) -> Request:
    headers = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in request.headers.raw)
    return Request(request.method, request.url.raw_path.decode("ascii"), "1.1", headers)
