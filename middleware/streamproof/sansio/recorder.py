"""Turns the events of one response into a :class:`~.trace.Trace`, in constant memory unless asked to keep chunks.

Knows the phases of a response and that its head may be proposed more than once before it is committed (PEP 3333,
"The start_response() Callable"). Does not know who drives it, nor what a clock is: every time is an argument.

An adapter on its hot path may count in variables of its own, which is the cheapest thing that CPython does, and
add them up later (:meth:`~.figures.Tally.settle`). It leaves two callables: :attr:`Recorder.settle` adds them up now,
:attr:`Recorder.look` says how many chunks and bytes are not added up yet, and when downstream last asked for
more (seconds on its clock), and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .figures import Figures, Tally
from .http import Framing, Headers
from .trace import Chunk, End, How, Outcome, Request, Response, Trace


class Phase(Enum):
    """Where a response stands."""

    IDLE = "idle"
    PROPOSED = "proposed"
    COMMITTED = "committed"
    DONE = "done"


class Recorder:
    """The recording of one response. ``started_at`` is the driver's clock when the request reached the app, seconds.

    ``keep_chunks``: False keeps none (constant memory), True every chunk with its bytes, a number the first so many.
    """

    __slots__ = ("_head", "_keep", "_kept", "_tally", "look", "phase", "request", "server", "settle", "started_at")

    def __init__(
        self,
        request: Request,
        started_at: float,
        *,
        keep_chunks: bool | int = False,
        server: str | None = None,
    ) -> None:
        self.request = request
        self.started_at = started_at
        self.server = server
        self.phase = Phase.IDLE
        self.settle: Callable[[], None] | None = None
        self.look: Callable[[], tuple[int, int, float] | None] | None = None
        self._tally = Tally()
        self._head: Response | None = None
        self._keep: int | None = None if keep_chunks is True else int(keep_chunks)
        self._kept: list[Chunk] = []

    @property
    def head(self) -> Response | None:
        """The head as last proposed."""
        return self._head

    @property
    def tally(self) -> Tally:
        """The running sums, for an adapter that counts inline."""
        return self._tally

    @property
    def keeps(self) -> bool:
        """Must the adapter hand over every chunk with its bytes (:meth:`chunk`)?"""
        return self._keep is None or self._keep > 0

    def proposed(
        self,
        status: int,
        headers: Headers,
        now: float,
        *,
        framing: Framing | None = None,
    ) -> None:
        """The app named its head. A later call replaces it, until the first byte committed it."""
        if self.phase in (Phase.IDLE, Phase.PROPOSED) and not self._tally.chunks:
            self.phase = Phase.PROPOSED
            self._head = Response(status, headers, now - self.started_at, framing=framing)

    def chunk(self, at: float, size: int, accepted_at: float | None, data: bytes | None = None) -> None:
        """One chunk, its times on the driver's clock; ``accepted_at`` is None when nobody took it any more."""
        if self.settle is not None:
            self.settle()
        start = self.started_at
        at -= start
        if accepted_at is not None:
            accepted_at -= start
        if size and self.phase is not Phase.DONE:
            self.phase = Phase.COMMITTED
        self._tally.add(at, size, accepted_at)
        if size and (self._keep is None or len(self._kept) < self._keep):
            self._kept.append(Chunk(at, size, accepted_at, data))

    def figures(self, now: float) -> Figures:
        """The figures so far, as of ``now`` on the driver's clock."""
        if self.settle is not None:
            self.settle()
        head_at = None if self._head is None else self._head.at
        return self._tally.figures(head_at=head_at, end_at=now - self.started_at)

    def ended(
        self,
        outcome: Outcome,
        now: float,
        *,
        how: How | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> Trace:
        """The stream is over: its trace. May be called once; raises RuntimeError at the second call."""
        if self.phase is Phase.DONE:
            raise RuntimeError("This recording has ended already. Expected one end per response. Was it closed twice?")
        figures = self.figures(now)
        self.phase = Phase.DONE
        end = End(now - self.started_at, outcome, how, by, reason)
        kept = tuple(sorted(self._kept, key=lambda chunk: chunk.at))  # ASGI sends may overlap
        whole = len(kept) == figures.chunks
        return Trace(self.request, self._head, kept, end, self.server, None if whole and self.keeps else figures)
