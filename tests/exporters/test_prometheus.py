"""Prometheus: every statistic has its metric."""

from __future__ import annotations

from streamproof import Outcome, Trace
from streamproof.sansio.trace import Request, StreamEnd

from ..support.exported import trace
from ..support.live_support import need


class TestPrometheus:
    def counted(self, *traces: Trace, route: str | None = "/s") -> dict[str, float]:
        need("prometheus_client")
        from prometheus_client import CollectorRegistry

        from streamproof.exporters.prometheus import Prometheus

        registry = CollectorRegistry()
        exporter = Prometheus(registry, open_streams=lambda: [(3.0, 1.0), (2.0, 1.5)], faults=lambda: {"log": 2})
        exporter.opened()
        for each in traces:
            exporter(each, route=route)
        samples = {}
        for family in registry.collect():
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                samples[f"{sample.name.removeprefix('streamproof_')}{{{labels}}}"] = sample.value
        return samples

    def test_every_statistic_has_its_metric(self) -> None:
        samples = self.counted(trace(), trace(Outcome.CUT))
        assert samples["streams_total{method=GET,outcome=complete,route=/s,status=2xx}"] == 1
        assert samples["streams_total{method=GET,outcome=cut,route=/s,status=2xx}"] == 1
        assert samples["chunks_total{route=/s}"] == 6
        assert samples["first_byte_seconds_sum{route=/s}"] == 0.5
        assert samples["gap_seconds_count{route=/s}"] == 4
        assert samples["gap_seconds_sum{route=/s}"] == 5.5
        assert samples["gap_seconds_bucket{le=1.0,route=/s}"] == 2
        assert samples["gap_seconds_bucket{le=2.5,route=/s}"] == 4
        assert samples["longest_silence_seconds_sum{route=/s}"] == 4
        assert samples["backpressure_seconds_sum{route=/s}"] == 1
        assert samples["duration_seconds_sum{route=/s}"] == 8
        assert samples["size_bytes_sum{route=/s}"] == 32
        assert samples["open_streams{}"] == 1
        assert samples["oldest_open_seconds{}"] == 3.0
        assert samples["open_silence_seconds{}"] == 1.5
        assert samples["exporter_faults{exporter=log}"] == 2

    def test_a_stranger_cannot_make_labels(self) -> None:
        evil = Trace(Request('G\n"ET', "/x"), None, (), StreamEnd(0.0, Outcome.COMPLETE))
        samples = self.counted(evil, route=None)
        assert samples["streams_total{method=_OTHER,outcome=complete,route=(unknown),status=none}"] == 1

    def test_a_second_exporter_counts_into_the_same_metrics(self) -> None:
        need("prometheus_client")
        from prometheus_client import CollectorRegistry

        from streamproof.exporters.prometheus import Prometheus

        registry = CollectorRegistry()
        Prometheus(registry)(trace())
        Prometheus(registry)(trace())
        assert registry.get_sample_value("streamproof_chunks_total", {"route": "(unknown)"}) == 6
