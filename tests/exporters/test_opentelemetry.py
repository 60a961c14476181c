"""OpenTelemetry: one span a stream, and its metrics."""

from __future__ import annotations

from typing import Any

from streamproof import Outcome, Trace
from streamproof.sansio.trace import Request, StreamEnd

from ..support.exported import CHUNKS, trace
from ..support.live_support import need


class TestOpenTelemetry:
    def exported(self, *traces: Trace, route: str | None = "/s/{n}") -> tuple[list[Any], dict[str, Any]]:
        need("opentelemetry")
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from streamproof.exporters.opentelemetry import OpenTelemetry

        spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        exporter = OpenTelemetry(
            tracer_provider=tracers, meter_provider=MeterProvider([reader], shutdown_on_exit=False)
        )
        exporter.opened()
        for each in traces:
            exporter(each, route=route)
        data = reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return list(spans.get_finished_spans()), {metric.name: metric.data.data_points[0] for metric in metrics}

    def test_one_span_a_stream_carries_the_statistics(self) -> None:
        spans, metrics = self.exported(trace(target="/s/1?token=secret"))
        (span,) = spans
        assert span.name == "GET /s/{n} stream"
        assert span.end_time - span.start_time == 4_000_000_000
        assert dict(span.attributes) == {
            "http.request.method": "GET",
            "http.route": "/s/{n}",
            "http.response.status_code": 200,
            "url.path": "/s/1",
            "network.protocol.version": "1.1",
            "http.response.body.size": 16,
            "streamproof.outcome": "complete",
            "streamproof.chunks": 3,
            "streamproof.longest_gap": 2.0,
            "streamproof.longest_silence": 2.0,
            "streamproof.backpressure": 0.5,
            "streamproof.time_to_first_chunk": 0.25,
            "streamproof.time_per_output_chunk": 1.375,
        }
        assert span.events == ()
        assert metrics["http.server.response.time_to_first_chunk"].sum == 0.25
        assert metrics["http.server.response.time_per_output_chunk"].sum == 1.375
        assert metrics["http.server.request.duration"].sum == 4.0
        assert metrics["http.server.response.body.size"].sum == 16
        assert metrics["http.server.active_requests"].value == 1

    def test_a_bad_end_is_an_error_with_its_reason(self) -> None:
        (span,), _ = self.exported(trace(Outcome.CUT, by="gunicorn", reason="worker timeout 1 s"))
        assert (span.status.status_code.name, span.status.description) == ("ERROR", "worker timeout 1 s")
        assert span.attributes["error.type"] == "cut"

    def test_the_readers_own_trace_goes_on(self) -> None:
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        asked = Request("GET", "/s", headers=(("Traceparent", parent),))
        (span,), _ = self.exported(Trace(asked, None, CHUNKS, StreamEnd(4.0, Outcome.COMPLETE)))
        assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
        assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
