"""The line between app and reader in a test: the server's behavior, the hops of a via, the recording. :class:`Line`.

A line takes each event with its time and keeps what has arrived for the reader. It never waits. The exchanges in
``_wsgi.py`` and ``_asgi.py`` drive it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..profiles import Via, app_server
from ..sansio.hop import Chain
from ..sansio.http import Headers, has_body
from ..sansio.machine import Cut, Data, End, Event, Head
from ..sansio.origin import Origin
from ..sansio.recorder import Recorder
from ..sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace
from . import recorded
from .event_log import APP, READER, EventLog
from .server_behavior import ServerBehavior

Arrival = Head | bytes | End | Cut


class Line:
    """Carry one response. ``started`` is the clock when the request left, seconds."""

    def __init__(self, request: Request, server: ServerBehavior, via: Via | None, started: float) -> None:
        self.server, self.started, self.request = server, started, request
        self.chain: Chain | None = None if via is None else via.start(request, started)
        self.event_log = EventLog()
        self.arrived: deque[Arrival] = deque()
        self.ended = False
        """Whether the app's side has ended."""
        self._via = via
        self._recorder = Recorder(self.request_at_app, started, keep_chunks=True, server=server.server)
        self._response: Response | None = None
        self._held_head: Head | None = None
        self._origin: Origin | None = None
        self._delivered: list[Chunk] = []
        self._delivered_head: Response | None = None
        self._delivered_end: StreamEnd | None = None
        self._trace: recorded.RecordedTrace | None = None

    @property
    def request_at_app(self) -> Request:
        """The request as it reaches the app."""
        return self.request if self.chain is None else self.chain.request

    @property
    def head_given(self) -> bool:
        """Whether the app has named its head."""
        return self._response is not None

    @property
    def bodiless(self) -> bool:
        """Whether the reader sees no body of this response."""
        status = 200 if self._response is None else self._response.status
        return not has_body(self.request.method, status) and not self.server.sends_head_body

    @property
    def deadline(self) -> float | None:
        """When the hops next want to be woken."""
        return None if self.chain is None or self._over else self.chain.deadline

    @property
    def _over(self) -> bool:
        return self._delivered_end is not None or any(isinstance(item, End | Cut) for item in self.arrived)

    @property
    def holds(self) -> str | None:
        """The hop that holds most body bytes now; None if none does."""
        hops = () if self.chain is None else self.chain.hops
        worst = max(hops, key=lambda hop: hop.held, default=None)
        return worst.plan.name if worst is not None and worst.held else None

    def why_broken(self, fact: str, error: BaseException | None) -> str:
        """Return the sentence for a broken response, with the hop that broke it if that is known."""
        end = self._delivered_end
        if end is not None and end.by is not None:
            because = f" ({end.reason})" if end.reason else ""
            return f"{fact} by {end.by}{because}. Expected a complete one. Is a limit of that hop too short?"
        return f"{fact}. Expected a complete one. Did the app raise? {error!r}"

    def head(self, status: int, headers: Headers, now: float) -> None:
        """Take the app's head. It leaves at once or with the first bytes, as the server does it."""
        self._response = Response(status, headers, now - self.started)
        self._recorder.proposed(status, headers, now)
        self._origin = app_server(self.server.server).answer(self._response, self.request_at_app)
        self._held_head = self._origin.head
        if self.server.head_alone:
            self.flush_head(now)

    def flush_head(self, now: float) -> None:
        """Send the head, if it waits."""
        if (head := self._held_head) is not None:
            self._held_head = None
            self._push(head, now)

    def data(self, data: bytes, now: float) -> None:
        """Take a chunk of the app."""
        if data or self.server.empty_flushes:
            self.flush_head(now)
        if data and not self.bodiless:
            before = len(self.arrived)
            self._push(Data(data) if self.chain is None or self._origin is None else self._origin.data(data), now)
            held = self.holds if len(self.arrived) == before else None
            self.event_log.add(now - self.started, APP, len(data), held)

    def accepted(self, produced: float, data: bytes, now: float | None) -> None:
        """Record that downstream wanted more at ``now``; None if it never did."""
        self._recorder.chunk(produced, len(data), now, data)

    def end(self, now: float) -> None:
        """Take the end of a complete response."""
        self.flush_head(now)
        self.ended = True
        self._push(End() if self._origin is None else self._origin.end(), now)

    def cut(self, reason: str, now: float) -> None:
        """Cut the response as the server does, because the app failed or left it unfinished."""
        self.ended = True
        if not self.server.left_open:
            self._push(Cut("fin", None, reason), now)

    def wake(self, now: float) -> None:
        """Let the hops act on every deadline up to ``now``, each at its own time."""
        while (deadline := self.deadline) is not None and deadline <= now:
            assert self.chain is not None
            self._arrive(self.chain.wake(deadline), deadline)

    def _push(self, event: Event, now: float) -> None:
        if self.chain is None:
            self._arrive((event,), now)
        elif not self._over:
            self.wake(now)
            self._arrive(self.chain.receive(event, now), now)

    def _arrive(self, events: Sequence[Event], now: float) -> None:
        at = now - self.started
        for event in events:
            if isinstance(event, Data):
                data = bytes(event.data)
                if data and not self.bodiless:
                    self._delivered.append(Chunk(at, len(data), None, data))
                    self.arrived.append(data)
                continue
            if isinstance(event, Head):
                self._delivered_head = Response(event.status, event.headers, at, event.size, event.framing)
            elif isinstance(event, End):
                self._delivered_end = StreamEnd(at, Outcome.COMPLETE)
            else:
                outcome = Outcome.APP_ERROR if event.by is None else Outcome.CUT
                self._delivered_end = StreamEnd(at, outcome, event.how, event.by, event.reason)
            self.arrived.append(event)

    def take(self) -> Arrival | None:
        """Return the next arrival, which the reader now has; None if there is none."""
        if not self.arrived:
            return None
        item = self.arrived.popleft()
        if isinstance(item, bytes):
            self.event_log.add(self._delivered[-1].at, READER, len(item))
        return item

    def finish(self, outcome: Outcome, now: float, reason: str | None = None) -> recorded.RecordedTrace:
        """End the response and return its recording. A second call returns the same one."""
        if self._trace is None:
            produced = self._recorder.ended(outcome, now, reason=reason)
            end = self._delivered_end or StreamEnd(produced.end.at, outcome, None, None, reason)
            delivery = Trace(self.request, self._delivered_head, tuple(self._delivered), end, self.server.server)
            text = None if self._via is None else self._via.text
            self._trace = recorded.RecordedTrace.of(produced, delivery=delivery, via=text)
            recorded.publish(self._trace)
        return self._trace

    @property
    def trace(self) -> recorded.RecordedTrace | None:
        """The recording; None while the response runs."""
        return self._trace
