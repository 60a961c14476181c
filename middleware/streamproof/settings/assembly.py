"""Assemble what the settings ask for: the wrapped app, its exporters, the page of metrics. Every entry point calls it.

The settings are loaded in ``loading.py``. A wrapped app keeps its kind, WSGI or ASGI.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..adapters import holds
from ..adapters.recording import Recording
from ..adapters.via import AdmittedVia
from ..app_kind import kind_of
from ..exporters import Exporter, installed
from ..exporters.background import Background
from ..exporters.periodic import Periodic
from ..frameworks import route_of
from ..live import AccessField, LiveStreams
from ..sansio.errors import ConfigurationError
from ..sansio.flush import FlushPolicy
from ..sansio.trace import Trace
from ..serving.child import target as _target
from ..suggestion import nearest
from ..wrapping import wrap
from .loading import Settings

#: Chunks whose sizes and times are kept of each stream for a trace file by default; of the others only the statistics.
#: Longer streams cannot be replayed.
REPLAYABLE = 1000
PAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class TraceDispatcher:
    """The one listener of a wrapped app: keeps the open streams, and queues the finished ones for the exporters."""

    def __init__(self, settings: Settings) -> None:
        self.live = LiveStreams()
        self._access_log = settings.access_log
        exporters: dict[str, Exporter] = {}
        self.background = Background(exporters, limit=settings.queue, streams_only=settings.export == "streams")
        exporters.update(_exporters(settings, self.live, self.background))
        self.background.use(exporters)
        self._gauges: dict[str, Any] = {name: each for name, each in exporters.items() if hasattr(each, "opened")}
        self._periodic = [
            Periodic(partial(self._look, name, exporter), every=every)
            for name, exporter in exporters.items()
            if (every := getattr(exporter, "look_every", 0))
        ]
        self._holds: dict[str, Any] = {name: each for name, each in exporters.items() if hasattr(each, "held")}

    def opened(self, recording: Recording) -> None:
        """A stream began."""
        self.live.opened(recording)
        if self._access_log and "type" not in recording.request_source:
            recording.request_source["streamproof"] = AccessField(recording.recorder)
        for name, gauge in self._gauges.items():
            self.background.guarded(name, gauge.opened)
        for each in self._periodic:
            each.opened()

    def _look(self, name: str, exporter: Any) -> bool:
        self.background.guarded(name, exporter.look)
        return len(self.live) > 0

    def headed(self, recording: Recording) -> None:
        """It has a head. The framework knows the route now; Flask forgets it before the body."""
        self.background.guarded("route", self._find_route, recording)

    def _find_route(self, recording: Recording) -> None:
        recording.route = route_of(recording.request_source)

    def ended(self, recording: Recording, trace: Trace) -> None:
        """A stream ended."""
        self.live.ended(recording, trace)
        guarded, count = self.background.guarded, self.background.counting.add
        for name, gauge in self._gauges.items():
            count(partial(guarded, name, gauge.ended))
        if (watch := recording.request_source.get(holds.KEY)) is not None and (seconds := watch.longest_hold()) > 0:
            for name, gauge in self._holds.items():
                count(partial(guarded, name, gauge.held, "inside", seconds))
        collected = getattr(recording, "collected", False)
        if not collected:
            self.background.counting.run()
        self.background(trace, route=recording.route, collected=collected)

    def __call__(self, trace: Trace) -> None:
        """Queue a trace of which nothing else is known."""
        self.background(trace)


class Assembly:
    """The parts that the settings ask for: ``wrap(app)`` for each app, ``flush()`` before the process ends."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigurationError if a part is not installed or cannot be created."""
        check(settings)
        self.settings = settings
        self.dispatcher = TraceDispatcher(settings)
        if settings.log != "off":
            listen_to_log()

    def wrap(self, app: Any) -> Any:
        """``app`` wrapped as the settings say."""
        settings = self.settings
        if not settings.enabled:
            return app
        wsgi = kind_of(app) == "wsgi"
        wrapped = wrap(app, **options(settings), on_trace=self.dispatcher)
        if not wsgi:  # only the lifespan: elsewhere an open stream would keep one more coroutine
            wrapped.others = _flushed(wrapped.others, self.flush)
        if settings.metrics_path:
            wrapped = (_wsgi_page if wsgi else _asgi_page)(wrapped, settings.metrics_path)
        return wrapped

    def flush(self, timeout: float = 2.0) -> None:
        """Wait at most ``timeout`` seconds until everything is exported."""
        self.dispatcher.background.flush(timeout)


def options(settings: Settings) -> dict[str, Any]:
    """The options of ``StreamMiddleware`` that ``settings`` ask for."""
    keep = settings.keep_chunks
    if settings.jsonl and settings.origins["keep_chunks"] == "default":
        keep = REPLAYABLE
    chosen: dict[str, Any] = {"keep_chunks": keep, "via": AdmittedVia(settings.via) if settings.via else None}
    # Exporters of others may want the bytes; those here need them only for bodies.
    foreign = settings.origins["keep_chunks"] != "default" and (settings.on_trace or settings.exporters)
    chosen["keep_data"] = settings.bodies or bool(foreign)
    if settings.policy:
        chosen["policy"] = _policy(settings.policy)
    if settings.budget:
        from ..sansio.findings import Budget

        chosen["budget"] = Budget(**settings.budget)
        chosen["on_violation"] = settings.on_violation
    return chosen


def _policy(preset_or_members: str | dict[str, Any]) -> FlushPolicy:
    """The preset of that name, or a policy with these members; a member ``preset`` names the preset to change."""
    given = preset_or_members
    members: dict[str, Any] = {"preset": given} if isinstance(given, str) else dict(given)
    preset = members.pop("preset", None)
    for name, value in members.items():
        if isinstance(value, list):
            members[name] = tuple(value)
    known = {name.removeprefix("for_"): getattr(FlushPolicy, name) for name in vars(FlushPolicy) if "for_" in name}
    if preset is not None and preset not in known:
        raise ConfigurationError(f"There is no policy {preset!r}. Expected a preset. {nearest(str(preset), known)}")
    fields = {entry.name for entry in dataclasses.fields(FlushPolicy)}
    if unknown := sorted(set(members) - fields):
        raise ConfigurationError(
            f"{unknown[0]!r} is not a member of a policy. Expected one of its options. {nearest(unknown[0], fields)}"
        )
    return known[preset](**members) if preset is not None else FlushPolicy(**members)


def _exporters(settings: Settings, live: LiveStreams, background: Background) -> dict[str, Exporter]:
    exporters: dict[str, Exporter] = {}
    if settings.log != "off":
        from ..exporters.log import LogExporter

        exporters["log"] = LogExporter(settings.log, open_every=settings.log_open, open_streams=live)
    if settings.prometheus or settings.metrics_path:
        prometheus = _exporter_module("prometheus")
        exporters["prometheus"] = prometheus.Prometheus(
            route_limit=settings.route_limit,
            open_streams=live.ages,
            faults=lambda: background.faults,
            dropped=lambda: background.dropped,
        )
    if settings.opentelemetry:
        exporters["opentelemetry"] = _exporter_module("opentelemetry").OpenTelemetry(route_limit=settings.route_limit)
    if settings.jsonl:
        from ..exporters.jsonl import JsonLines

        exporters["jsonl"] = JsonLines(
            settings.jsonl,
            max_bytes=settings.jsonl_max_bytes,
            backups=settings.jsonl_backups,
            sample=settings.sample,
            bodies=settings.bodies,
        )
    for name in settings.exporters:
        exporters[name] = installed.make(name, settings)
    for name in settings.on_trace:
        exporters[name] = _without_route(_target.load(name))
    return exporters


def check(settings: Settings) -> None:
    """Raise ConfigurationError if ``settings`` cannot be assembled. Changes nothing and leaves nothing behind."""
    options(settings)
    if settings.via:
        from ..profiles import resolve

        resolve(settings.via)
    for name, module in (("prometheus", "prometheus_client"), ("opentelemetry", "opentelemetry.metrics")):
        if getattr(settings, name) or (name == "prometheus" and settings.metrics_path):
            need_exporter(name, module)
    if settings.log_open and settings.log == "off":
        raise ConfigurationError(
            f"log_open is {settings.log_open:g} and log is off. Expected log to be text or json. Was only one of them "
            "meant to be set?"
        )
    for name in settings.exporters:
        installed.find(name)
    for name in settings.on_trace:
        _target.parse(name)


def _without_route(listener: Callable[[Trace], object]) -> Exporter:
    def export(trace: Trace, *, route: str | None = None) -> None:
        listener(trace)

    return export


def need_exporter(name: str, module: str) -> None:
    """Raise ConfigurationError if ``module``, which the exporter ``name`` needs, is not installed."""
    try:
        if find_spec(module) is not None:
            return
    except ModuleNotFoundError:
        pass  # its parent is not installed either
    raise ConfigurationError(
        f"{name} is set and {module} is not installed. Expected the extra: pip install 'streamproof[{name}]'. "
        "Is this the environment that the server runs in?"
    )


def _exporter_module(name: str) -> Any:
    return import_module(f"..exporters.{name}", __package__)


class FallbackHandler(logging.StreamHandler[Any]):
    """Writes to standard error until the application configures logging."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def listen_to_log(handlers: list[logging.Handler] | None = None) -> None:
    """Send INFO records to ``handlers`` or standard error if the application has not configured logging."""
    logger = logging.getLogger("streamproof")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        for handler in handlers or [FallbackHandler(sys.stderr)]:
            logger.addHandler(handler)


def _wsgi_page(app: Any, path: str) -> Any:
    def with_page(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO") != path:
            return app(environ, start_response)
        page = _exporter_module("prometheus").metrics()
        start_response("200 OK", [("Content-Type", PAGE_TYPE), ("Content-Length", str(len(page)))])
        return [page]

    return with_page


def _asgi_page(app: Any, path: str) -> Any:
    async def with_page(scope: Any, receive: Any, send: Any) -> Any:
        if scope.get("type") != "http" or scope.get("path") != path:
            return await app(scope, receive, send)
        page = _exporter_module("prometheus").metrics()
        headers = [(b"content-type", PAGE_TYPE.encode()), (b"content-length", str(len(page)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page})

    return with_page


def _flushed(app: Any, flush: Callable[[], None]) -> Any:
    """``app`` with a ``flush`` before it reports its shutdown; uvicorn ends itself by a signal after that."""

    async def flushed(scope: Any, receive: Any, send: Any) -> Any:
        if scope.get("type") != "lifespan":
            return await app(scope, receive, send)

        async def flush_first(message: Any) -> None:
            if message.get("type") == "lifespan.shutdown.complete":
                flush()
            await send(message)

        return await app(scope, receive, flush_first)

    return flushed
