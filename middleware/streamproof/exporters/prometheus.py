"""Count streams with ``prometheus_client``, also in its multiprocess mode.

Needs ``prometheus_client`` (the extra ``prometheus``). A stream is one observation in each histogram; its gaps are
added to the buckets at once, so 100,000 chunks cost what two do. The labels are the route (bounded), the registered
method, the class of the status and the outcome. The page is served by ``settings/assembly.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import prometheus_client
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ..sansio.stats import GAP_BOUNDS
from ..sansio.trace import Trace
from .escape import LabelLimit, method

#: Seconds. A first byte may take from 1 ms (loopback) to minutes (a model that thinks).
WAITS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
#: Seconds. Streams live from milliseconds to an hour.
LIVES = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
#: Bytes, in steps of four from 256 B to 256 MiB.
SIZES = tuple(256.0 * 4**step for step in range(11))
#: Seconds between updates of the ages in multiprocess mode; Prometheus scrapes every 15 s in its example configuration.
LOOK_EVERY = 1.0


class _Metrics(NamedTuple):
    streams: Counter
    chunks: Counter
    first: Histogram
    gap: Histogram
    silence: Histogram
    pressure: Histogram
    duration: Histogram
    size: Histogram
    hold: Histogram
    open: Gauge
    faults: Gauge
    dropped: Gauge
    oldest: Gauge
    quiet: Gauge


@lru_cache
def _metrics(registry: CollectorRegistry) -> _Metrics:
    """The metrics of ``registry``. They are created once, because a registry takes each name once."""

    def histogram(name: str, text: str, buckets: tuple[float, ...], label: str = "route") -> Histogram:
        return Histogram(f"streamproof_{name}", text, (label,), registry=registry, buckets=buckets)

    def gauge(name: str, text: str, *labels: str, of_all: Literal["livesum", "livemax"] = "livesum") -> Gauge:
        return Gauge(f"streamproof_{name}", text, labels, registry=registry, multiprocess_mode=of_all)

    return _Metrics(
        Counter(
            "streamproof_streams", "Streams that ended.", ("method", "route", "status", "outcome"), registry=registry
        ),
        Counter("streamproof_chunks", "Chunks that the app produced.", ("route",), registry=registry),
        histogram("first_byte_seconds", "From the request to the first byte produced.", WAITS),
        histogram("gap_seconds", "Between two chunks produced.", GAP_BOUNDS),
        histogram("longest_silence_seconds", "The longest silence of a stream.", WAITS),
        histogram("backpressure_seconds", "How long a stream's chunks waited to be taken.", WAITS),
        histogram("duration_seconds", "From the request to the end of the stream.", LIVES),
        histogram("size_bytes", "Bytes of the body as the app produced it.", SIZES),
        histogram("hold_seconds", "How long a layer held bytes.", WAITS, "holder"),
        gauge("open_streams", "Streams that are open."),
        gauge("exporter_faults", "Times that an exporter raised.", "exporter"),
        gauge("dropped_traces", "Traces that found the exporters' queue full."),
        gauge("oldest_open_seconds", "Age of the oldest open stream.", of_all="livemax"),
        gauge("open_silence_seconds", "The longest silence that lasts.", of_all="livemax"),
    )


def _shared() -> bool:
    """Do processes share their counts (the client's multiprocess mode)? A gauge cannot be a function there."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


class Prometheus:
    """Counts into the metrics of one registry. A second exporter for the registry counts into the same metrics.

    Args:
        registry: By default the client's own.
        route_limit: The most route labels; further ones become ``(other)``.
        open_streams: Yields age and silence (seconds) of each open stream. Called at each scrape, in multiprocess mode
            by :meth:`look`.
        faults, dropped: Return how often each exporter raised, and how many traces were dropped.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        route_limit: int = 200,
        open_streams: Callable[[], Iterable[tuple[float, float]]] | None = None,
        faults: Callable[[], Mapping[str, int]] = dict,
        dropped: Callable[[], int] = int,
    ) -> None:
        self._route_label = LabelLimit(route_limit)
        self._metrics = _metrics(registry)
        self._faults, self._dropped = faults, dropped
        self._open_streams = open_streams or tuple
        #: Seconds between two calls of :meth:`look`; 0 if the ages are read at each scrape.
        self.look_every = 0.0
        if open_streams is not None and _shared():
            self.look_every = LOOK_EVERY
        elif open_streams is not None:
            self._metrics.oldest.set_function(lambda: self._longest()[0])
            self._metrics.quiet.set_function(lambda: self._longest()[1])

    def look(self) -> None:
        """Update the age and the silence of this process's open streams, for a scrape of another process."""
        oldest, quiet = self._longest()
        self._metrics.oldest.set(oldest)
        self._metrics.quiet.set(quiet)

    def _longest(self) -> tuple[float, float]:
        ages, silences = zip((0.0, 0.0), *self._open_streams(), strict=True)
        return max(ages), max(silences)

    def opened(self) -> None:
        """A stream began."""
        self._metrics.open.inc()

    def ended(self) -> None:
        """A stream ended, whether it is exported or not."""
        self._metrics.open.dec()

    def held(self, holder: str, seconds: float) -> None:
        """The layer ``holder`` held bytes for ``seconds``."""
        self._metrics.hold.labels(holder).observe(seconds)

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        """Count ``trace``."""
        self.count_trace(trace, route=route)

    def count_trace(self, trace: Trace, *, route: str | None = None) -> None:
        """Count ``trace``. Neither blocks nor waits, so it is called where the stream ends."""
        stats, label = trace.stats, self._route_label(route)
        status = "none" if trace.response is None else f"{trace.response.status // 100}xx"
        self._metrics.streams.labels(method(trace.request.method), label, status, str(trace.outcome)).inc()
        self._metrics.chunks.labels(label).inc(stats.chunks)
        self._metrics.duration.labels(label).observe(trace.end.at)
        self._metrics.size.labels(label).observe(stats.bytes)
        self._metrics.pressure.labels(label).observe(stats.backpressure)
        self._metrics.silence.labels(label).observe(stats.longest_silence)
        if stats.first_byte is not None:
            self._metrics.first.labels(label).observe(stats.first_byte)
            add_gaps(self._metrics.gap.labels(label), stats.gaps, (stats.last_byte or 0.0) - stats.first_byte)
        for name, count in self._faults().items():
            self._metrics.faults.labels(name).set(count)
        self._metrics.dropped.set(self._dropped())


def add_gaps(histogram: Any, counts: Iterable[int], total: float) -> None:
    """Add ``counts`` (one for each bucket) and their sum in seconds. The client has no public method for this."""
    for bucket, count in zip(histogram._buckets, counts, strict=True):
        if count:
            bucket.inc(count)
    histogram._sum.inc(total)


def metrics() -> bytes:
    """The page that Prometheus scrapes; with a shared folder, for all processes."""
    if not _shared():
        return prometheus_client.generate_latest(REGISTRY)
    from prometheus_client import multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return prometheus_client.generate_latest(registry)


def process_died(pid: int) -> None:
    """Remove the gauges of the dead process ``pid`` from the sums."""
    if _shared():
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
