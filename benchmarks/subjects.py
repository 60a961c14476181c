"""The layers that are compared, each as a function from app to wrapped app.

Each layer does its work, but sends its results nowhere, so that the layer is measured and not a network. Recording uses
the defaults and keeps no chunks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]


def _discard(trace: object) -> None:
    """Discard a trace."""


def bare(app: Any) -> Any:
    return app


def closing_iterator(app: WSGIApp) -> WSGIApp:
    from werkzeug.wsgi import ClosingIterator

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return ClosingIterator(app(environ, start_response))

    return wrapped


def no_op_send(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Any, receive: Any, send: Any) -> Any:
        async def passed(message: Any) -> None:
            await send(message)

        return await app(scope, receive, passed)

    return wrapped


def recording(app: Any) -> Any:
    from streamproof import wrap

    return wrap(app, on_trace=_discard)


def entrypoint(app: Any) -> Any:
    """Wrap as the gunicorn entrypoint does: it keeps the open streams and queues the traces, without an exporter."""
    from streamproof.settings.assembly import Assembly
    from streamproof.settings.loading import load

    return Assembly(load({"log": "off"}, environ={}, folder="/")).wrap(app)


def via(app: Any) -> Any:
    from streamproof import wrap

    return wrap(app, on_trace=_discard, via="passthrough")


def timed_via(app: Any) -> Any:
    """A hop with a time limit, which needs a thread on WSGI."""
    from streamproof import wrap

    return wrap(app, on_trace=_discard, via="heroku")


def opentelemetry_wsgi(app: WSGIApp) -> Any:
    _otel()
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(app)


def opentelemetry_asgi(app: ASGIApp) -> Any:
    _otel()
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(app)


def _otel() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())


def _sentry() -> None:
    import sentry_sdk

    if not sentry_sdk.is_initialized():
        sentry_sdk.init(
            dsn="http://nobody@127.0.0.1:9/1", traces_sample_rate=1.0, transport=_discard, default_integrations=False
        )


def sentry_wsgi(app: WSGIApp) -> Any:
    _sentry()
    from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

    return SentryWsgiMiddleware(app)


def sentry_asgi(app: ASGIApp) -> Any:
    _sentry()
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

    return SentryAsgiMiddleware(app)


def prometheus_asgi(app: ASGIApp) -> Any:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware

    return PrometheusInstrumentatorMiddleware(app, registry=CollectorRegistry())


def correlation_id(app: ASGIApp) -> Any:
    from asgi_correlation_id import CorrelationIdMiddleware

    return CorrelationIdMiddleware(app)


WSGI: dict[str, Callable[[Any], Any]] = {
    "bare": bare,
    "no-op ClosingIterator": closing_iterator,
    "streamproof": recording,
    "streamproof, entrypoint": entrypoint,
    "streamproof, via": via,
    "streamproof, timed via": timed_via,
    "OpenTelemetry": opentelemetry_wsgi,
    "Sentry": sentry_wsgi,
}
ASGI: dict[str, Callable[[Any], Any]] = {
    "bare": bare,
    "no-op send": no_op_send,
    "streamproof": recording,
    "streamproof, entrypoint": entrypoint,
    "streamproof, via": via,
    "streamproof, timed via": timed_via,
    "OpenTelemetry": opentelemetry_asgi,
    "Sentry": sentry_asgi,
    "Prometheus": prometheus_asgi,
    "correlation-id": correlation_id,
}
SUBJECTS = {"wsgi": WSGI, "asgi": ASGI}
