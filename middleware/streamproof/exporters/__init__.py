"""Export finished traces: one file a system (logs, Prometheus, OpenTelemetry, trace files), and their queue.

An exporter is a callable ``(trace, *, route=None)``, so each also serves as an ``on_trace``. It may raise or block:
:class:`~.background.Background` keeps that from the responses. An exporter is imported when a setting names it, and
imports no other exporter, adapter or framework. Those of other distributions are found by ``installed.py``.
"""

from __future__ import annotations

from typing import Protocol

from ..sansio.trace import Trace


class Exporter(Protocol):
    """Takes finished traces. ``route`` is a label of bounded cardinality, None if the route is unknown.

    One with ``count_trace(trace, *, route)`` is called by that name instead, for every trace, where the stream ends; it
    must not block. Its ``export_trace(trace, *, route)``, if it has one, is called from the queue.
    """

    def __call__(self, trace: Trace, *, route: str | None = None) -> object: ...
