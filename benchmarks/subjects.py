"""The layers that are compared, each as a function from app to wrapped app.

Knows how each is set up to do its work without sending it anywhere: what is measured is the layer, not a network.
Recording keeps no chunks (the default): produced and accepted times, gaps, bytes, backpressure, outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]


def _nobody(trace: object) -> None:
    """Take a trace and do nothing with it."""


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

    return wrap(app, on_trace=_nobody)


def door(app: Any) -> Any:
    """As the gunicorn entrypoint wraps: open streams kept, traces queued; nobody listens."""
    from streamproof.settings.assembly import Assembly
    from streamproof.settings.loading import load

    return Assembly(load({"log": "off"}, environ={}, folder="/")).wrap(app)


def via(app: Any) -> Any:
    from streamproof import wrap

    return wrap(app, on_trace=_nobody, via="passthrough")


def timed_via(app: Any) -> Any:
    """A hop with a time limit: on WSGI a thread owns the app."""
    from streamproof import wrap

    return wrap(app, on_trace=_nobody, via="heroku")


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
            dsn="http://nobody@127.0.0.1:9/1", traces_sample_rate=1.0, transport=_nobody, default_integrations=False
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
    "streamproof, door": door,
    "streamproof, via": via,
    "streamproof, timed via": timed_via,
    "OpenTelemetry": opentelemetry_wsgi,
    "Sentry": sentry_wsgi,
}
ASGI: dict[str, Callable[[Any], Any]] = {
    "bare": bare,
    "no-op send": no_op_send,
    "streamproof": recording,
    "streamproof, door": door,
    "streamproof, via": via,
    "streamproof, timed via": timed_via,
    "OpenTelemetry": opentelemetry_asgi,
    "Sentry": sentry_asgi,
    "Prometheus": prometheus_asgi,
    "correlation-id": correlation_id,
}
KINDS = {"wsgi": WSGI, "asgi": ASGI}
