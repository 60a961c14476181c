"""Export to OpenTelemetry: one span a stream with its stats as attributes, and metrics. No span per chunk.

Needs ``opentelemetry-api`` (the extra ``opentelemetry``); the application configures the SDK. Names follow the semantic
conventions for HTTP. ``time_to_first_chunk`` and ``time_per_output_chunk`` are those of the GenAI conventions, with
their unit and meaning: seconds to the first chunk, and seconds per chunk after it. The latter is recorded once a
stream, as its mean.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import metrics
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, Status, StatusCode

from ..sansio.trace import Outcome, Trace
from ..sansio.untrusted import printable
from .escape import LabelLimit, method

NAME = "streamproof"
#: Outcomes that are not errors of the server.
_CLEAN = (Outcome.COMPLETE, Outcome.CLIENT_GONE)


class OpenTelemetry:
    """Exports one span a stream, and metrics.

    Args:
        http_metrics: Record ``http.server.*`` metrics; turn it off if another instrumentation records them.
        route_limit: The most route labels; further ones become ``(other)``.
        tracer_provider, meter_provider: By default the global ones.
    """

    def __init__(
        self,
        *,
        http_metrics: bool = True,
        route_limit: int = 200,
        tracer_provider: otel.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._route_label = LabelLimit(route_limit)
        self._tracer = otel.get_tracer(NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(NAME, meter_provider=meter_provider)
        self._first = meter.create_histogram(
            "http.server.response.time_to_first_chunk", "s", "From the request to the first chunk produced."
        )
        self._per_chunk = meter.create_histogram(
            "http.server.response.time_per_output_chunk", "s", "Mean time per chunk after the first, of one stream."
        )
        self._silence = meter.create_histogram("streamproof.stream.longest_silence", "s", "The longest silence.")
        self._pressure = meter.create_histogram("streamproof.stream.backpressure", "s", "Waiting to be taken.")
        self._duration = self._size = None
        if http_metrics:
            self._duration = meter.create_histogram("http.server.request.duration", "s", "Duration, body included.")
            self._size = meter.create_histogram("http.server.response.body.size", "By", "Bytes of the body.")
        self._active = meter.create_up_down_counter("http.server.active_requests", "{request}", "Open streams.")

    def opened(self) -> None:
        """A stream began."""
        self._active.add(1)

    def ended(self) -> None:
        """A stream ended, whether it is exported or not."""
        self._active.add(-1)

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        """Record ``trace``."""
        self.count_trace(trace, route=route)
        self.export_trace(trace, route=route)

    def count_trace(self, trace: Trace, *, route: str | None = None) -> None:
        """Add ``trace`` to the metrics, where the stream ends."""
        self._measure(trace, {**self._labels(trace, route), "streamproof.outcome": str(trace.outcome)})

    def export_trace(self, trace: Trace, *, route: str | None = None) -> None:
        """Make the span of ``trace``. Span processors may block."""
        self._span(trace, self._labels(trace, route))

    def _labels(self, trace: Trace, route: str | None) -> dict[str, Any]:
        labels: dict[str, Any] = {"http.request.method": method(trace.request.method)}
        if route is not None:
            labels["http.route"] = self._route_label(route)
        if trace.response is not None:
            labels["http.response.status_code"] = trace.response.status
        if trace.outcome not in _CLEAN:
            labels["error.type"] = str(trace.outcome)
        return labels

    def _span(self, trace: Trace, labels: Mapping[str, Any]) -> None:
        stats, request = trace.stats, trace.request
        end = time.time_ns()
        path, _, query = request.target.partition("?")
        attributes: dict[str, Any] = {
            **labels,
            "url.path": printable(path),
            "network.protocol.version": printable(request.http_version),
            "http.response.body.size": stats.bytes,
            "streamproof.outcome": str(trace.outcome),
            "streamproof.chunks": stats.chunks,
            "streamproof.longest_gap": stats.longest_gap,
            "streamproof.longest_silence": stats.longest_silence,
            "streamproof.backpressure": stats.backpressure,
        }
        if stats.first_byte is not None:
            attributes["streamproof.time_to_first_chunk"] = stats.first_byte
        if (mean := per_chunk(trace)) is not None:
            attributes["streamproof.time_per_output_chunk"] = mean
        for name in ("by", "reason"):
            if (value := getattr(trace.end, name)) is not None:
                attributes[f"streamproof.{name}"] = printable(value)
        target = f" {labels['http.route']}" if "http.route" in labels else ""
        span = self._tracer.start_span(
            f"{labels['http.request.method']}{target} stream",
            context=_parent(trace),
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            start_time=end - int(trace.end.at * 1e9),
        )
        if trace.outcome not in _CLEAN:
            span.set_status(Status(StatusCode.ERROR, printable(trace.end.reason or str(trace.outcome))))
        span.end(end)

    def _measure(self, trace: Trace, labels: Mapping[str, Any]) -> None:
        stats = trace.stats
        if stats.first_byte is not None:
            self._first.record(stats.first_byte, labels)
        if (mean := per_chunk(trace)) is not None:
            self._per_chunk.record(mean, labels)
        self._silence.record(stats.longest_silence, labels)
        self._pressure.record(stats.backpressure, labels)
        if self._duration is not None:
            self._duration.record(trace.end.at, labels)
        if self._size is not None:
            self._size.record(stats.bytes, labels)


def per_chunk(trace: Trace) -> float | None:
    """Seconds per chunk after the first, None if there was only one."""
    stats = trace.stats
    if stats.first_byte is None or stats.last_byte is None or stats.chunks < 2:
        return None
    return (stats.last_byte - stats.first_byte) / (stats.chunks - 1)


def _parent(trace: Trace) -> Context:
    return extract({name.lower(): value for name, value in trace.request.headers}, context=Context())
