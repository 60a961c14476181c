"""Prove by cause that a response streams: the app produced chunk n+1 only when the reader held chunk n.

It uses no clock, so it is stable. The transports let an app go on only when its reader wants more. ``event_log.py`` has
the order of events; this file decides whether that proves streaming. A layer inside the app that collects the body and
cuts it up again is seen only with a :func:`streamproof.tap`, or if virtual time stood still meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .event_log import APP, READER, Entry, EventLog
from .failure_report import draw
from .recorded import exchange_of

#: Seconds on the loop's clock, real or virtual, that an app gets to stop where threads are at work.
STOPS_WITHIN = 5.0


class Held(AssertionError):
    """The response does not stream. The message has the failure report."""

    __module__ = "streamproof.testing"


class NotStopped(AssertionError):
    """The reader left and the app continues."""

    __module__ = "streamproof.testing"


def assert_streams(response: Any, *, chunks: int | None = None, at_least: int = 2) -> None:
    """Prove by cause that ``response`` streams. Raise :class:`Held` with a report if it does not.

    The rest of the response is read, to the end or until ``chunks`` have come, and the response is closed.

    Args:
        response: From a sync client with one of our transports, or from one given to :func:`~.clients.streaming`.
        chunks: The number of arrivals after which the reader leaves, for endless streams.
        at_least: The fewest arrivals that prove anything.

    Raises:
        Held: A chunk was produced before the reader held the one before it, or too few came to prove anything.
        TypeError: The response did not come through such a client, or is async.
    """
    __tracebackhide__ = True
    exchange = exchange_of(response)
    if hasattr(exchange.body_iterator, "__anext__"):
        raise TypeError("This response is asynchronous. Expected: await assert_streams_async(response).")
    try:
        while _wants_more(exchange, chunks) and next(exchange.body_iterator, None) is not None:
            pass
    finally:
        response.close()
    _check_streamed(exchange, at_least if chunks is None else max(at_least, chunks))


async def assert_streams_async(response: Any, *, chunks: int | None = None, at_least: int = 2) -> None:
    """:func:`assert_streams` for a response of an async client."""
    __tracebackhide__ = True
    exchange = exchange_of(response)
    try:
        while _wants_more(exchange, chunks) and await anext(exchange.body_iterator, None) is not None:
            pass
    finally:
        await response.aclose()
    _check_streamed(exchange, at_least if chunks is None else max(at_least, chunks))


def _wants_more(exchange: Any, chunks: int | None) -> bool:
    return chunks is None or len(exchange.line.event_log.of(READER)) < chunks


def _check_streamed(exchange: Any, at_least: int = 2) -> None:
    """Raise :class:`Held` unless the event log of ``exchange`` proves that it streamed."""
    __tracebackhide__ = True
    event_log: EventLog = exchange.line.event_log
    fault = find_fault(event_log, at_least)
    if fault is not None:
        raise Held(f"{fault}\n\n{draw(exchange)}")


def find_fault(event_log: EventLog, at_least: int = 2) -> str | None:
    """Return a sentence about why ``event_log`` does not prove streaming; None if it does."""
    for place in event_log.places:
        ahead = ran_ahead(event_log, place)
        if ahead is not None:
            number, entry = ahead
            by = f" {entry.held_by} held it." if entry.held_by else ""
            return f"The stream is held: {place} produced chunk {number + 1} before the reader held chunk {number}.{by}"
    held = event_log.of(READER)
    if len(held) < at_least:
        came = f"{len(held)} chunk" + ("" if len(held) == 1 else "s")
        size = sum(entry.size for entry in held)
        return (
            f"Nothing proves that this streams: {came} of {size} B came, expected at least {at_least}. "
            "Is the body collected before it is sent? tap(app) around the innermost app shows where."
        )
    if held[0].at > 0 and held[0].at == held[-1].at:
        return (
            f"The stream is held: time passed until {held[0].at:.3f} s, and then all {len(held)} chunks came at once. "
            "Is the body collected and cut up again? Where that is how the app works, tap() shows it."
        )
    return None


def ran_ahead(event_log: EventLog, place: str) -> tuple[int, Entry] | None:
    """Return number and entry of the first chunk of ``place`` that the next one followed before the reader held it."""
    chunks = event_log.of(place)
    same_bytes = sum(entry.size for entry in chunks) == sum(entry.size for entry in event_log.of(READER))
    produced = held = number = arrivals = 0
    last: Entry | None = None
    for entry in event_log.entries:
        if entry.place == READER:
            held, arrivals = held + entry.size, arrivals + 1
        elif entry.place == place:
            # If a layer changed the bytes (compression), any arrival since then counts as the chunk's.
            if last is not None and (held < produced if same_bytes else not arrivals):
                return number, last
            produced, number, last, arrivals = produced + entry.size, number + 1, entry, 0
    return None


def assert_stops(response: Any) -> None:
    """Leave ``response``. Raise :class:`NotStopped` unless the app has ended by then."""
    __tracebackhide__ = True
    exchange = exchange_of(response)
    response.close()
    _check_stopped(exchange)


async def assert_stops_async(response: Any, *, timeout: float = STOPS_WITHIN) -> None:
    """:func:`assert_stops` for an async client; an app that uses threads gets ``timeout`` seconds to unwind."""
    __tracebackhide__ = True
    exchange = exchange_of(response)
    await response.aclose()
    if exchange.is_async:
        await exchange.until_done(timeout)
    _check_stopped(exchange)


def _check_stopped(exchange: Any) -> None:
    __tracebackhide__ = True
    server = exchange.line.server
    if not exchange.app_done:
        raise NotStopped(
            f"The reader left, {server.name} sent the app http.disconnect, and the app works on. Expected it to end. "
            f"Does it never call receive()?\n\n{draw(exchange)}"
        )
    if getattr(exchange, "ran_on", False):
        raise NotStopped(
            f"The reader left, and the app worked until {server.name} cancelled it after "
            f"{server.cancels_after:g} s. Expected it to end by itself. Does it never call receive()?"
            f"\n\n{draw(exchange)}"
        )


def producers(event_log: EventLog) -> Sequence[str]:
    """Return the places that produced something, innermost first."""
    return [place for place in event_log.places if event_log.of(place)] or [APP]
