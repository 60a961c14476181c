"""Turns the events of one response into a :class:`~.trace.Trace`, in constant memory unless asked to keep chunks.

Knows the phases of a response and that its head may be proposed more than once before it is committed (PEP 3333,
"The start_response() Callable"). Does not know who drives it, nor what a clock is: every time is an argument.

An adapter on its hot path may count in variables of its own, which is the cheapest thing that CPython does, and
add them up later (:meth:`~.stats.Tally.settle`). It leaves two callables: :attr:`Recorder.settle` adds them up now,
:attr:`Recorder.look` says how many chunks and bytes are not added up yet, and when downstream last asked for
more (seconds on its clock), and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .draft import drafted
from .http import Headers
from .stats import RunningStats, RunningStatsLike, Stats, read
from .trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace

_response, _end, _trace = drafted(Response), drafted(StreamEnd), drafted(Trace)


class Phase(Enum):
    """Where a response stands."""

    IDLE = "idle"
    PROPOSED = "proposed"
    COMMITTED = "committed"
    DONE = "done"


_IDLE, _PROPOSED, _COMMITTED, _DONE = Phase  # to ask an enumeration for a member takes longer than what it is for


class Recorder:
    """The recording of one response. ``started_at`` is the driver's clock when the request reached the app, seconds.

    ``keep_chunks``: False keeps none (constant memory), True every chunk with its bytes, a number the first so many.
    ``sums`` adds up what comes; by default a new :class:`~.stats.Tally`.
    """

    __slots__ = (
        "_head",
        "_head_at",
        "_keep",
        "_kept",
        "_status",
        "keeps",
        "look",
        "phase",
        "request",
        "server",
        "settle",
        "started_at",
        "running",
    )

    def __init__(
        self,
        request: Request,
        started_at: float,
        *,
        keep_chunks: bool | int = False,
        server: str | None = None,
        sums: RunningStatsLike | None = None,
    ) -> None:
        self.request = request
        self.started_at = started_at
        self.server = server
        self.phase = _IDLE
        self.settle: Callable[[], None] | None = None
        self.look: Callable[[], tuple[int, int, float] | None] | None = None
        #: The running sums, for an adapter that counts inline.
        self.running: RunningStatsLike = RunningStats() if sums is None else sums
        self._head: Response | Headers | Callable[[], Headers] | None = None
        self._head_at: float | None = None
        self._keep: int | None = None if keep_chunks is True else int(keep_chunks)
        #: Must the adapter hand over every chunk with its bytes (:meth:`chunk`)?
        self.keeps = self._keep is None or self._keep > 0
        self._kept: list[Chunk] | None = None

    @property
    def head(self) -> Response | None:
        """The head as last proposed."""
        head = self._head
        if head is None or isinstance(head, Response):
            return head
        assert self._head_at is not None
        headers = head() if callable(head) else head
        self._head = head = _response(self._status, headers, self._head_at, None, None)
        return head

    def proposed(self, status: int, headers: Headers | Callable[[], Headers], now: float) -> None:
        """The app named its head; fields that are costly to write down, as a callable that is asked when they are read.

        A later call replaces it, until the first byte committed it.
        """
        if (self.phase is _IDLE or self.phase is _PROPOSED) and not self.running.chunks:
            self.phase = _PROPOSED
            self._head, self._status = headers, status
            self._head_at = now - self.started_at

    def chunk(self, at: float, size: int, accepted_at: float | None, data: bytes | None = None) -> None:
        """One chunk, its times on the driver's clock; ``accepted_at`` is None when nobody took it any more."""
        if self.settle is not None:
            self.settle()
        start = self.started_at
        at -= start
        if accepted_at is not None:
            accepted_at -= start
        if size and self.phase is not _DONE:
            self.phase = _COMMITTED
        self.running.add(at, size, accepted_at)
        if size and self.keeps:
            if self._kept is None:
                self._kept = []
            if self._keep is None or len(self._kept) < self._keep:
                self._kept.append(Chunk(at, size, accepted_at, data))

    def stats(self, now: float) -> Stats:
        """The figures so far, as of ``now`` on the driver's clock."""
        if self.settle is not None:
            self.settle()
        return read(self.running, head_at=self._head_at, end_at=now - self.started_at)

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
        if self.phase is _DONE:
            raise RuntimeError("This recording has ended already. Expected one end per response. Was it closed twice?")
        stats = self.stats(now)
        self.phase = _DONE
        end = _end(now - self.started_at, outcome, how, by, reason)
        # ASGI sends may overlap
        kept = () if self._kept is None else tuple(sorted(self._kept, key=lambda chunk: chunk.at))
        whole = self.keeps and len(kept) == stats.chunks
        return _trace(self.request, self.head, kept, end, self.server, None if whole else stats)
