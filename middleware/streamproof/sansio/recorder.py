"""Turn the events of one response into a :class:`~.trace.Trace`: :class:`Recorder`.

It uses constant memory unless it keeps chunks. A head may be proposed more than once before the first byte commits it
(PEP 3333, "The start_response() Callable"). Every time is an argument. The statistics are in ``stats.py``; the
adapters' part of a recording is in ``adapters/recording.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .http import Headers
from .stats import RunningStats, Stats, read
from .trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace


class Phase(Enum):
    """How far a response has come."""

    IDLE = "idle"
    PROPOSED = "proposed"
    COMMITTED = "committed"
    DONE = "done"


class Recorder:
    """Record one response. ``started_at`` is the driver's clock when the request reached the app, seconds.

    ``keep_chunks``: False keeps none (constant memory), True every chunk with its bytes, a number the first so many.
    With ``keep_data=False`` the chunks are kept without their bytes.
    ``running`` counts the chunks; by default a new :class:`~.stats.RunningStats`.
    """

    __slots__ = (
        "_head",
        "_head_at",
        "_keep",
        "_keep_data",
        "_kept",
        "_over",
        "_status",
        "keeps",
        "request",
        "running",
        "server",
        "started_at",
    )

    def __init__(
        self,
        request: Request,
        started_at: float,
        *,
        keep_chunks: bool | int = False,
        keep_data: bool = True,
        server: str | None = None,
        running: RunningStats | None = None,
    ) -> None:
        self.request = request
        self.started_at = started_at
        self.server = server
        #: The statistics so far. Any thread may read them; they may be one chunk behind.
        self.running = RunningStats() if running is None else running
        self._over = False
        self._head: Response | Headers | Callable[[], Headers] | None = None
        self._head_at: float | None = None
        self._keep: int | None = None if keep_chunks is True else int(keep_chunks)
        self._keep_data = keep_data
        #: Whether :meth:`chunk` needs the bytes of chunks.
        self.keeps = self._keep is None or self._keep > 0
        self._kept: list[Chunk] | None = None

    @property
    def phase(self) -> Phase:
        """How far the response has come."""
        if self._over:
            return Phase.DONE
        if self.running.chunks:
            return Phase.COMMITTED
        return Phase.IDLE if self._head_at is None else Phase.PROPOSED

    @property
    def head(self) -> Response | None:
        """The head as last proposed."""
        head = self._head
        if head is None or isinstance(head, Response):
            return head
        assert self._head_at is not None
        headers = head() if callable(head) else head
        self._head = head = Response(self._status, headers, self._head_at)
        return head

    def proposed(self, status: int, headers: Headers | Callable[[], Headers], now: float) -> None:
        """Record the head that the app named. Fields that are costly to decode may be a callable that returns them.

        A later call replaces the head, until the first byte commits it.
        """
        if not self._over and not self.running.chunks:
            self._head, self._status = headers, status
            self._head_at = now - self.started_at

    def chunk(self, at: float, size: int, accepted_at: float | None, data: bytes | None = None) -> None:
        """Count one chunk, its times on the driver's clock; ``accepted_at`` is None if downstream never took it.

        ``data`` is its bytes. They are copied if they are kept.
        """
        start = self.started_at
        at -= start
        if accepted_at is not None:
            accepted_at -= start
        self.running.add(at, size, accepted_at)
        if self.keeps and size:
            if self._kept is None:
                self._kept = []
            if self._keep is None or len(self._kept) < self._keep:
                kept = bytes(data) if data is not None and self._keep_data else None
                self._kept.append(Chunk(at, size, accepted_at, kept))

    def stats(self, now: float) -> Stats:
        """Return the statistics up to ``now`` on the driver's clock."""
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
        """End the recording and return its trace. A second call raises RuntimeError."""
        if self._over:
            raise RuntimeError("This recording has already ended. Expected one end per response. Was it closed twice?")
        stats = self.stats(now)
        self._over = True
        end = StreamEnd(now - self.started_at, outcome, how, by, reason)
        # ASGI sends may overlap
        kept = () if self._kept is None else tuple(sorted(self._kept, key=lambda chunk: chunk.at))
        whole = self.keeps and len(kept) == stats.chunks
        return Trace(self.request, self.head, kept, end, self.server, None if whole else stats)
