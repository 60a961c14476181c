"""WSGI and ASGI apps are told apart in every shape that they come in."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from werkzeug.middleware.lint import LintMiddleware

import streamproof
from streamproof import ConfigurationError, asgi, wsgi


def wsgi_function(environ: Any, start_response: Any) -> list[bytes]:
    return []


def wsgi_with_option(environ: Any, start_response: Any, extra: Any = None) -> list[bytes]:
    return []


async def asgi_function(scope: Any, receive: Any, send: Any) -> None: ...


def asgi_plain(scope: Any, receive: Any, send: Any) -> Any:
    return asgi_function(scope, receive, send)


async def asgi_configured(options: Any, scope: Any, receive: Any, send: Any) -> None: ...


def wsgi_configured(options: Any, environ: Any, start_response: Any) -> list[bytes]:
    return []


class WSGIInstance:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class ASGIInstance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class ASGIPlainInstance:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return asgi_function(scope, receive, send)


class Methods:
    async def asgi(self, scope: Any, receive: Any, send: Any) -> None: ...

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class WSGIClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


class ASGI2Class:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})


class Endpoint:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._send = send

    def __await__(self) -> Any:
        return self.answer().__await__()

    async def answer(self) -> None:
        await self._send({"type": "http.response.start", "status": 200})
        await self._send({"type": "http.response.body"})


class NotAnApp:
    def __init__(self, pending: Any) -> None: ...

    def __await__(self) -> Any: ...


def asgi2_function(scope: Any) -> Any:
    return ASGI2Class(scope)


def decorated(app: Any) -> Any:
    @functools.wraps(app)
    def wrapper(*args: Any) -> Any:
        return app(*args)

    return wrapper


class OpenLayer:
    """A layer whose signature says nothing, as that of Werkzeug's LintMiddleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.app(*args, **kwargs)


class wsgify:
    """The decorator of WebOb, as far as its signature goes."""

    __module__ = "webob.dec"

    def __call__(self, req: Any, *args: Any, **kw: Any) -> Any: ...


@pytest.mark.parametrize(
    "candidate",
    [
        wsgi_function,
        wsgi_with_option,
        WSGIInstance(),
        Methods().wsgi,
        WSGIClass,
        functools.partial(wsgi_configured, {}),
        decorated(wsgi_function),
        decorated(WSGIInstance()),
        OpenLayer(wsgi_function),
        OpenLayer(OpenLayer(functools.partial(wsgi_configured, {}))),
        LintMiddleware(wsgi_function),
        wsgify(),
    ],
)
def test_wsgi_apps_are_told(candidate: Any) -> None:
    assert type(streamproof.wrap(candidate)) is wsgi.StreamMiddleware


@pytest.mark.parametrize(
    "candidate",
    [
        asgi_function,
        asgi_plain,
        ASGIInstance(),
        ASGIPlainInstance(),
        Methods().asgi,
        functools.partial(asgi_configured, {}),
        functools.partial(functools.partial(asgi_configured), {}),
        functools.partial(ASGIInstance()),
        decorated(asgi_function),
        decorated(functools.partial(ASGIInstance())),
        OpenLayer(asgi_function),
        ASGI2Class,
        asgi2_function,
        Endpoint,
    ],
)
def test_asgi_apps_are_told(candidate: Any) -> None:
    assert type(streamproof.wrap(candidate)) is asgi.StreamMiddleware


def test_framework_apps_are_told() -> None:
    flask = pytest.importorskip("flask").Flask("app")
    starlette = pytest.importorskip("starlette.applications").Starlette()
    fastapi = pytest.importorskip("fastapi").FastAPI()
    found = [type(streamproof.wrap(app)) for app in (flask, starlette, fastapi)]
    assert found == [wsgi.StreamMiddleware, asgi.StreamMiddleware, asgi.StreamMiddleware]


def test_middlewares_wrap_again() -> None:
    for app in (wsgi_function, asgi_function):
        once = streamproof.wrap(app)
        assert type(streamproof.wrap(once)) is type(once)


@pytest.mark.parametrize(
    ("candidate", "guess"),
    [
        (streamproof, "Is it the module"),
        (None, "what a call returned"),
        (WSGIInstance, "Did you mean an instance"),
        (NotAnApp, "Did you mean an instance"),
        (lambda: wsgi_function, "a factory to be called first"),
        (lambda *args: None, "a factory to be called first"),
        (lambda request: None, "a factory to be called first"),
        (OpenLayer(None), "a factory to be called first"),
        (OpenLayer(lambda request: None), "a factory to be called first"),
        (print, "a factory to be called first"),
    ],
)
def test_what_cannot_be_told_is_an_error(candidate: Any, guess: str) -> None:
    with pytest.raises(ConfigurationError, match=guess):
        streamproof.wrap(candidate)


def test_options_go_to_the_middleware() -> None:
    with pytest.raises(ConfigurationError, match="not a known profile"):
        streamproof.wrap(wsgi_function, via="ngnix")
    with pytest.raises(TypeError):
        streamproof.wrap(wsgi_function, unheard_of=1)


def test_starlettes_endpoints_are_told() -> None:
    endpoints = pytest.importorskip("starlette.endpoints")

    class Page(endpoints.HTTPEndpoint):  # type: ignore[misc,name-defined]
        """A class whose instances are awaited."""

    assert type(streamproof.wrap(Page)) is asgi.StreamMiddleware


@pytest.mark.parametrize("candidate", [ASGI2Class, asgi2_function, Endpoint])
def test_an_app_of_two_steps_is_run(candidate: Any) -> None:
    import asyncio

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    traces: list[streamproof.Trace] = []
    wrapped = streamproof.wrap(candidate, on_trace=traces.append)
    asyncio.run(wrapped({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send))
    assert sent == ["http.response.start", "http.response.body"]
    assert traces[0].outcome == "complete"
