"""Combine a measured delivery with the app's recording into the production that the hops of a via would receive.

Pure functions from traces to traces. The app's recording has the times of the chunks, the wire has the whole head.
"""

from __future__ import annotations

from dataclasses import replace

from ..profiles.servers import servers
from ..sansio.http import header, without
from ..sansio.trace import Outcome, StreamEnd, Trace


def judgeable(measured: Trace) -> bool:
    """Return whether ``measured`` has a stream, or part of one, to judge. An error page is not a stream."""
    return measured.response is not None and 200 <= measured.response.status < 300


def with_wire_head(app: Trace | None, measured: Trace) -> Trace | None:
    """Return the recording with the head that its server sent, because a hop receives the server's own fields, too."""
    if app is None or app.response is None or measured.response is None:
        return app
    if app.response.status != measured.response.status:
        return app
    headers = without(measured.response.headers, "transfer-encoding", "connection", "keep-alive")
    return replace(app, response=app.response._replace(headers=headers))


def on_the_apps_clock(measured: Trace, waited: float) -> Trace:
    """Return ``measured`` with times from the moment when the request reached the app, ``waited`` seconds later.

    A request that waits because its server still starts does not count as a hold of the stream's bytes.
    """
    if waited <= 0 or measured.response is None:
        return measured

    def earlier(at: float) -> float:
        return max(at - waited, 0.0)

    return replace(
        measured,
        response=measured.response._replace(at=earlier(measured.response.at)),
        chunks=tuple(chunk._replace(at=earlier(chunk.at)) for chunk in measured.chunks),
        end=measured.end._replace(at=earlier(measured.end.at)),
    )


def as_produced(measured: Trace) -> Trace:
    """Return the arrivals as a recording of the app. A known app server frames its response for each hop's request."""
    response = measured.response
    if response is None:
        return measured
    known = (header(response.headers, "server") or "").lower()
    name = next((name for name in servers() if known.startswith(name)), None)
    if name is None or response.framing == "length":
        return measured
    alone = replace(measured, server=name, response=response._replace(framing=None, head_size=None))
    return with_wire_head(alone, measured) or alone


def production_of(app: Trace | None, measured: Trace, left_after_end: float | None) -> Trace:
    """Return what the app produced until the reader left, ``left_after_end`` seconds after the end (or before)."""
    whole = with_wire_head(app, measured) or measured
    if app is None or left_after_end is None or left_after_end >= 0:
        return whole
    end = max(whole.end.at + left_after_end, 0.0 if whole.response is None else whole.response.at)
    chunks = tuple(chunk for chunk in whole.chunks if chunk.at <= end)
    return replace(whole, chunks=chunks, end=StreamEnd(end, Outcome.CLIENT_GONE, None, None, measured.end.reason))
