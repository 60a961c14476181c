"""Replay a trace through a chain of hops in virtual time: what the reader receives, and where bytes waited.

Takes the plans of the hops; ``analysis/replay.py`` gets them from profiles. One assumption: the app's pace does not
depend on the reader's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .decode.limits import EMPTY_CHUNK_SIZE, HELD_SIZE, INFLATED_SIZE
from .errors import NeedsData, TraceError
from .hop import Chain, HopPlan
from .http import Framing, content_length, header
from .inflater import Inflater
from .machine import Cut, Data, End, Event, Head
from .origin import AppServer, Origin
from .trace import Chunk, Outcome, Request, Response, StreamEnd, Trace

_ZEROS = memoryview(bytes(1 << 20))

#: What a driver may want to see after each step: the chain, what entered and left, and when.
Watcher = Callable[[Chain, float], None]


def replay(
    trace: Trace,
    plans: Sequence[HopPlan],
    server: AppServer,
    watch: Watcher | None = None,
) -> Trace:
    """What the reader of ``trace`` receives behind the hops ``plans`` (app side first).

    ``server`` frames the response for the request that the first hop makes. Raises TraceError when the trace kept no
    chunks, when its body is not what its Content-Encoding says or is over a limit of ``decode/limits.py``; NeedsData
    when a hop compresses and the trace kept no bytes.
    """
    if not trace.whole:
        raise TraceError(
            f"This trace keeps {len(trace.chunks)} of {trace.stats.chunks} chunks. Expected all of them. "
            "Was it recorded without keep_chunks=True?"
        )
    chain = Chain(plans, trace.request, 0.0)
    reader = Reader(trace.request, keep_data=trace.has_data)
    response, origin, ended = trace.response, None, False
    if response is not None:
        _drain(chain, reader, response.at, watch)
        origin = server.answer(response, chain.request)
        reader.take(chain.receive(origin.head, response.at), response.at)
        _check_data(chain, trace)
        if watch is not None:
            watch(chain, response.at)
        ended = _body(trace, chain, reader, origin, watch)
    if not ended:
        _drain(chain, reader, trace.end.at, watch)
        end = _last(trace, origin)
        if isinstance(end, StreamEnd):
            _check_data(chain, trace)
            return reader.trace(trace, left=end)
        reader.take(chain.receive(end, trace.end.at), trace.end.at)
    while not reader.over and (deadline := chain.deadline) is not None:
        reader.take(chain.wake(deadline), deadline)
    if watch is not None:
        watch(chain, trace.end.at)
    _check_data(chain, trace)
    return reader.trace(trace)


def _body(trace: Trace, chain: Chain, reader: Reader, origin: Origin, watch: Watcher | None) -> bool:
    """Play the chunks; True if the response is over with them: it has no body, or the named length was reached."""
    receive, take = chain.receive, reader.take
    assert trace.response is not None
    missing = content_length(trace.response.headers) if origin.head.framing == "length" else None
    if missing == 0 or not origin.has_body:
        take(receive(origin.end(), trace.response.at), trace.response.at)
        return True
    unchecked = 0  # bytes taken in since the hops were asked what they hold
    for at, size, _, data in trace.chunks:
        if not size:
            continue
        if (unchecked := unchecked + size) > EMPTY_CHUNK_SIZE:
            unchecked = 0
            _check_held(chain)
        deadline = chain.deadline
        if deadline is not None and deadline <= at:
            _drain(chain, reader, at, watch)
            if reader.over:
                return True
        piece = data if data is not None else _zeros(size)
        if missing is not None:
            piece = piece[:missing]
            missing -= len(piece)
        take(receive(origin.data(piece), at), at)
        if watch is not None:
            watch(chain, at)
        if missing == 0:
            take(receive(origin.end(), at), at)
            return True
    return False


def _check_held(chain: Chain) -> None:
    if chain.held > HELD_SIZE:
        raise TraceError(
            f"The hops hold {chain.held:,} bytes of this body. Expected at most {HELD_SIZE:,} in a replay. "
            "Is it a download that a hop collects?"
        )


def _zeros(size: int) -> memoryview:
    """``size`` bytes that stand for a body whose bytes were not kept. Raises TraceError if they are too many."""
    if size > EMPTY_CHUNK_SIZE:
        raise TraceError(
            f"The trace has a chunk of {size:,} bytes without data. Expected at most {EMPTY_CHUNK_SIZE:,} in a replay. "
            "Was the file edited by hand?"
        )
    return _ZEROS[:size] if size <= len(_ZEROS) else memoryview(bytes(size))


def _drain(chain: Chain, reader: Reader, until: float, watch: Watcher | None) -> None:
    """Wake the chain at each deadline that comes before ``until``."""
    while not reader.over and (deadline := chain.deadline) is not None and deadline <= until:
        reader.take(chain.wake(deadline), deadline)
        if watch is not None:
            watch(chain, deadline)


def _last(trace: Trace, origin: Origin | None) -> Event | StreamEnd:
    """The event with which the app's server ended; or the end itself if the reader left."""
    end = trace.end
    if end.outcome in (Outcome.CLIENT_GONE, Outcome.ABANDONED):
        return end
    how = end.how or "fin"
    # RFC 9112 section 8: a close-delimited body that was cut by FIN looks complete.
    if origin is not None and origin.head.framing == "close" and how == "fin":
        return origin.end()
    if end.outcome is Outcome.COMPLETE:
        return End() if origin is None else origin.end()
    return Cut(how, end.by, end.reason)


def _check_data(chain: Chain, trace: Trace) -> None:
    """Raises NeedsData when a stage works on bytes that the trace has not kept."""
    for hop in chain.hops:
        if not trace.has_data and any(stage.needs_data for _, stage in hop.stages):
            raise NeedsData(
                f"{hop.plan.name} compresses this response, and the trace has only the sizes of its chunks. "
                "Expected data in every chunk. Was it recorded without keep_chunks=True?"
            )


class Reader:
    """Record each arrival behind the last hop, the body after content decoding."""

    def __init__(self, request: Request, *, keep_data: bool) -> None:
        self._request, self._keep_data = request, keep_data
        self._response: Response | None = None
        self._chunks: list[Chunk] = []
        self._end: StreamEnd | None = None
        self._framing: Framing = "close"
        self._inflate: Inflater | None = None

    @property
    def over(self) -> bool:
        """Has the response ended for the reader?"""
        return self._end is not None

    def take(self, events: Sequence[Event], now: float) -> None:
        """Record what arrived at ``now``."""
        for event in events:
            if self._end is not None:
                return
            if type(event) is Data:
                data = event.data
                if self._inflate is not None:
                    data = self._inflate.take(data)
                if len(data):
                    kept = bytes(data) if self._keep_data else None
                    self._chunks.append(Chunk(now, len(data), None, kept))
            elif type(event) is Head:
                self._head(event, now)
            elif type(event) is End:
                self._end = StreamEnd(now, Outcome.COMPLETE)
            elif type(event) is Cut:
                self._cut(event, now)

    def _head(self, event: Head, now: float) -> None:
        self._response = Response(event.status, event.headers, now, event.size, event.framing)
        self._framing = event.framing
        if self._keep_data and header(event.headers, "content-encoding") in ("gzip", "x-gzip"):
            self._inflate = Inflater(INFLATED_SIZE)

    def _cut(self, event: Cut, now: float) -> None:
        if self._response is not None and self._framing == "close" and event.how == "fin":
            # RFC 9112 section 8: a close-delimited body that was cut looks complete.
            self._end = StreamEnd(now, Outcome.COMPLETE)
        elif event.by is None:
            self._end = StreamEnd(now, Outcome.APP_ERROR, event.how, None, event.reason)
        else:
            self._end = StreamEnd(now, Outcome.CUT, event.how, event.by, event.reason)

    def trace(self, of: Trace, *, left: StreamEnd | None = None) -> Trace:
        """The delivery of the recording ``of``; ``left`` when its reader left before the end."""
        end = self._end or left
        assert end is not None
        return Trace(of.request, self._response, tuple(self._chunks), end, of.server)
