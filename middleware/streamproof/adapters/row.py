"""One row of machines for one response: the policy's machine, the recorder's tap, the hops. :class:`ResponseRow`.

The row takes the app's events and returns what leaves for the server, as one machine would. ``wsgi/driver.py`` moves
it; each machine decides for itself (``sansio/``).
"""

from __future__ import annotations

from collections import deque

from ..sansio.flush.policy import FlushMachine
from ..sansio.flush.recognize import unopted
from ..sansio.machine import Data, End, Event, Events, Head, Machine
from ..sansio.trace import Request
from .policy import PreparedPolicy
from .recording import Recording, clock
from .via import Leg


class ResponseRow:
    """The row of one response to ``request``. Each part may be missing.

    ``records_head``: the tap records the head, too. It lies behind a policy, which may change the head.
    """

    def __init__(self, request: Request, recording: Recording | None, *, records_head: bool = False) -> None:
        self._request, self._recording, self._records_head = request, recording, records_head
        self.chain: Machine | None = None
        self._leg: Leg | None = None
        self.machine: FlushMachine | None = None
        self._head: Head | None = None  # enters the hops together with what follows it
        self._pending: deque[tuple[float, bytes]] = deque()  # chunks that downstream has not taken yet
        #: The body is recorded as one chunk, because all of it was there when the app returned it.
        self.at_once = False

    def add_chain(self, chain: Machine, server: str | None) -> None:
        """Add ``chain`` behind the app server called ``server``."""
        self.chain, self._leg = chain, Leg(self._request, chain, server)

    @property
    def deadline(self) -> float | None:
        """When the row next wants to be woken, seconds on :data:`~.recording.clock`."""
        own = None if self.machine is None else self.machine.deadline
        chain = None if self.chain is None else self.chain.deadline
        return own if chain is None or (own is not None and own < chain) else chain

    def begin(self, head: Head, prepared: PreparedPolicy | None, now: float) -> Events:
        """Take the app's head. ``prepared`` is the policy for a stream, None for any other response."""
        if prepared is None:
            return self._left_policy((head._replace(headers=unopted(head.headers)),), now)
        self.machine = prepared.start(self._request, now)
        return self._left_policy(self.machine.receive(head, now), now)

    def receive(self, event: Event, now: float) -> Events:
        """Take the app's bytes or its end; return what leaves for the server."""
        return self._left_policy((event,) if self.machine is None else self.machine.receive(event, now), now)

    @property
    def passes(self) -> bool:
        """Whether every chunk leaves at once and unchanged, so that :meth:`pass_on` may replace :meth:`receive`."""
        return self.chain is None and self.machine is not None and self.machine.passes

    def pass_on(self, data: bytes, now: float) -> None:
        """Record a chunk that leaves at once."""
        if self._recording is not None:
            self._pending.append((now, data))

    def wake(self, now: float) -> Events:
        """Wake each machine whose deadline has come; return what leaves for the server."""
        out: list[Event] = []
        if self.machine is not None and self.machine.deadline is not None and self.machine.deadline <= now:
            out += self._left_policy(self.machine.wake(now), now)
        if self.chain is not None and self.chain.deadline is not None and self.chain.deadline <= now:
            out += self.chain.wake(now)
        return out

    def _left_policy(self, events: Events, now: float) -> Events:
        recording = self._recording
        if recording is not None:
            for event in events:
                if isinstance(event, Data):
                    if event.data:
                        self._pending.append((now, bytes(event.data)))
                elif isinstance(event, Head) and self._records_head:
                    recording.head(event.status, event.headers)
        if self.chain is None:
            return events
        return [left for event in events for left in self._into_chain(event, now)]

    def _into_chain(self, event: Event, now: float) -> Events:
        chain, leg = self.chain, self._leg
        assert chain is not None
        assert leg is not None
        if isinstance(event, Head):
            self._head = event
            return ()
        out: list[Event] = []
        if self._head is not None:
            head, self._head = self._head, None
            out += chain.receive(leg.head(head.status, head.headers), now)
        if isinstance(event, Data):
            if event.data and leg.bodied:
                out += chain.receive(leg.data(bytes(event.data)), now)
        else:
            out += chain.receive(leg.end() if isinstance(event, End) else event, now)
        return out

    # The recorder's tap.

    def accepted(self, count: int | None = None) -> None:
        """Record that downstream has just taken the next ``count`` chunks (None: all that left the policy)."""
        if self._pending and self._recording is not None and not self.at_once:
            self._record(count, clock())

    def ended(self, now: float) -> None:
        """Record that the app's last chunk was taken."""
        if self._recording is not None:
            if self._pending:
                self._record(None, clock())
            self._recording.exhausted_at = now

    def closed(self) -> None:
        """Record the chunks that downstream never took: the current one, or those inside the hops."""
        if self._pending and self._recording is not None:
            self._record(1 if self.chain is None else None, None)

    def _record(self, count: int | None, accepted: float | None) -> None:
        assert self._recording is not None
        recorder, pending = self._recording.recorder, self._pending
        if self.at_once:
            at, data = pending[0][0], b"".join(piece for _, piece in pending)
            pending.clear()
            recorder.chunk(at, len(data), at, data if recorder.keeps else None)
            return
        for _ in range(len(pending) if count is None else min(count, len(pending))):
            at, data = pending.popleft()
            recorder.chunk(at, len(data), accepted, data if recorder.keeps else None)
