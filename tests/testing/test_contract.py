"""The stream contract: what it finds in known middlewares, and that it passes on well-behaved ones."""

import functools
import io
from collections.abc import Iterator
from typing import Any

import pytest

import streamproof.asgi
import streamproof.wsgi
from streamproof.adapters.taps import tap
from streamproof.testing.buffering import buffered
from streamproof.testing.clocks import stepped
from streamproof.testing.contract import ContractBroken, ContractReport, check_stream_contract, examine_contract

from ..support.testing_apps import ASGIStream, WSGIStream, need


def broken(report: ContractReport) -> dict[str, str]:
    return {entry.situation: entry.text for entry in report.broken}


def test_opentelemetry_leaks_the_span_of_a_stream_that_is_closed_before_its_first_chunk() -> None:
    need("opentelemetry.instrumentation.wsgi")
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    found = broken(examine_contract(OpenTelemetryMiddleware))
    assert found["left before the first chunk"] == "the app's close() was never called"
    assert found["left before the head"] == "the app's close() was never called"
    assert found["left in mid-stream"] == "the app's close() was called 2 times"


def test_asgiref_never_closes() -> None:
    from asgiref.wsgi import WsgiToAsgi

    found = broken(examine_contract(WsgiToAsgi, inner="wsgi"))
    assert set(found) == {"left in mid-stream", "read to the end", "the app raises in mid-stream"}
    assert set(found.values()) == {"the app's close() was never called"}


def test_werkzeugs_profiler_joins() -> None:
    from werkzeug.middleware.profiler import ProfilerMiddleware

    found = broken(examine_contract(functools.partial(ProfilerMiddleware, stream=io.StringIO())))
    assert found["each chunk leaves before the next is made"] == "the app made 4 chunks before one left (4 became 1)"
    assert found["the app raises in mid-stream"] == "the app's close() was never called"


def test_starlettes_function_middleware_completes_a_stream_that_failed() -> None:
    need("starlette")
    from starlette.middleware.base import BaseHTTPMiddleware

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    report = examine_contract(functools.partial(BaseHTTPMiddleware, dispatch=dispatch))
    assert broken(report) == {
        "the app raises in mid-stream": "the response was completed before the app's exception came out"
    }


def well_behaved() -> Iterator[Any]:
    from werkzeug.middleware.proxy_fix import ProxyFix

    yield pytest.param(ProxyFix, id="werkzeug ProxyFix")
    yield pytest.param(lambda app: app, id="nothing")
    yield pytest.param(tap, id="tap")
    yield pytest.param(lambda app: streamproof.wsgi.StreamMiddleware(app, on_trace=print), id="streamproof.wsgi")
    yield pytest.param(lambda app: streamproof.asgi.StreamMiddleware(app, on_trace=print), id="streamproof.asgi")


@pytest.mark.parametrize("middleware", list(well_behaved()))
def test_well_behaved_middlewares_pass(middleware: Any) -> None:
    assert check_stream_contract(middleware)


@pytest.mark.parametrize("name", ["gzip:GZipMiddleware", "cors:CORSMiddleware", "errors:ServerErrorMiddleware"])
def test_starlettes_pure_middlewares_pass(name: str) -> None:
    need("starlette")
    from importlib import import_module

    module, _, attribute = name.partition(":")
    check_stream_contract(getattr(import_module(f"starlette.middleware.{module}"), attribute))


def test_a2wsgi_passes_as_a_bridge() -> None:
    need("a2wsgi")
    from a2wsgi import WSGIMiddleware

    check_stream_contract(WSGIMiddleware, inner="wsgi")


@pytest.mark.parametrize("kind", [WSGIStream, ASGIStream])
def test_apps_that_stop_pass(kind: Any) -> None:
    with stepped():
        check_stream_contract(kind())


def test_an_app_that_never_listens_is_named() -> None:
    with stepped(), pytest.raises(ContractBroken) as caught:
        check_stream_contract(ASGIStream(chunks=None, listens=False))
    assert broken(caught.value.report)["left in mid-stream"] == ("http.disconnect was sent, and the app works on")


@pytest.mark.parametrize("inner", ["wsgi", "asgi"])
def test_a_middleware_that_joins_is_named(inner: Any) -> None:
    with stepped():
        found = broken(examine_contract(lambda app: buffered(app), inner=inner))
    assert found["each chunk leaves before the next is made"] == "the app made 4 chunks before one left (4 became 1)"


class SwallowsErrors:
    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterator[bytes]:
        def body() -> Iterator[bytes]:
            result = self.app(
                {**environ, "REQUEST_METHOD": "GET"}, lambda status, headers: start_response(status, headers)
            )
            try:
                yield from result
            except Exception:
                return

        return body()


def test_faults_are_told_situation_by_situation() -> None:
    with pytest.raises(ContractBroken) as caught:
        check_stream_contract(SwallowsErrors)
    found = {(entry.situation, entry.text) for entry in caught.value.report.broken}
    assert found >= {
        ("the app raises in mid-stream", "what the app raised was swallowed: the response looks complete"),
        ("the app raises in mid-stream", "the app's close() was never called"),
        ("HEAD", "the app received ['GET'], not HEAD"),
        ("left before the first chunk", "the app's close() was never called"),
    }
    text = str(caught.value)
    assert text.startswith("SwallowsErrors keeps the stream contract in ")
    assert "  broken  HEAD: the app received ['GET'], not HEAD" in text
    assert "  kept    each chunk leaves before the next is made" in text
