"""Tells. One file a system: logs, Prometheus, OpenTelemetry, trace files; and the queue that keeps them off responses.

An exporter is a callable ``(trace, *, route=None)``, so each is also an ``on_trace`` of its own. It may raise, block or
die; :class:`~.background.Background` sees to it that no response notices. Nothing here is imported until it is asked
for by name, and no exporter knows another, an adapter or a framework.
"""

from __future__ import annotations

from typing import Protocol

from ..sansio.trace import Trace


class Exporter(Protocol):
    """Takes finished streams; ``route`` is a label of bounded cardinality, None when there is none."""

    def __call__(self, trace: Trace, *, route: str | None = None) -> object: ...
