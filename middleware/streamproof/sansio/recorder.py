"""Turns the events of one response into a :class:`~.trace.Trace`, in constant memory unless asked to keep chunks.

Knows the phases of a response and that its head may be proposed more than once before it is committed (PEP 3333,
"The start_response() Callable"). Does not know who drives it, nor what a clock is: every time is an argument.

An adapter on its hot path appends ``produced, size, accepted`` (seconds on its clock, bytes, seconds) to
:attr:`Recorder.marks` and calls :meth:`Recorder.fold` when :data:`FOLD_AT` entries are there: a list append is the
cheapest thing that CPython does, and adding up can wait.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .figures import Figures, Tally
from .http import Framing, Headers
from .trace import Chunk, End, How, Outcome, Request, Response, Trace

#: Entries in ``marks`` (three a chunk) at which an adapter should fold: eight chunks keep a live stream under 1 KiB.
FOLD_AT = 24


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

    __slots__ = ("_head", "_keep", "_kept", "_tally", "marks", "phase", "request", "server", "started_at")

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
        self.marks: list[float] = []
        self._tally = Tally()
        self._head: Response | None = None
        self._keep: int | None = None if keep_chunks is True else int(keep_chunks)
        self._kept: list[Chunk] = []

    @property
    def head(self) -> Response | None:
        """The head as last proposed."""
        return self._head

    @property
    def count(self) -> Callable[[float, int, float | None], None]:
        """Count one chunk on the hot path: produced and accepted in seconds since ``started_at``, and its bytes."""
        return self._tally.add

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
        head_size: int | None = None,
    ) -> None:
        """The app named its head. A later call replaces it, until the first byte committed it.

        ``head_size`` is its true size in bytes when ``headers`` do not tell it (values were left out).
        """
        if self.phase in (Phase.IDLE, Phase.PROPOSED) and not self._tally.chunks:
            self.phase = Phase.PROPOSED
            self._head = Response(status, headers, now - self.started_at, head_size, framing)

    def chunk(self, at: float, size: int, accepted_at: float | None, data: bytes | None = None) -> None:
        """One chunk, its times on the driver's clock; ``accepted_at`` is None when nobody took it any more."""
        if self.marks:
            self.fold()
        start = self.started_at
        at -= start
        if accepted_at is not None:
            accepted_at -= start
        if size and self.phase is not Phase.DONE:
            self.phase = Phase.COMMITTED
        self._tally.add(at, size, accepted_at)
        if size and (self._keep is None or len(self._kept) < self._keep):
            self._kept.append(Chunk(at, size, accepted_at, data))

    def fold(self) -> None:
        """Add the marks up and forget them."""
        marks, start, add = self.marks, self.started_at, self._tally.add
        for index in range(0, len(marks) - 2, 3):
            add(marks[index] - start, int(marks[index + 1]), marks[index + 2] - start)
        if self._tally.chunks and self.phase is not Phase.DONE:
            self.phase = Phase.COMMITTED
        marks.clear()

    def figures(self, now: float) -> Figures:
        """The figures so far, as of ``now`` on the driver's clock."""
        if self.marks:
            self.fold()
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
