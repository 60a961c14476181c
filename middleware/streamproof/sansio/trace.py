"""What happened to one response: :class:`Trace`.

Its parts are in ``trace_parts.py``, JSON in ``trace_json.py``, the statistics in ``stats.py``, the faults in
``findings.py``. Times are seconds from the moment the request reached the app, monotonic.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import trace_json
from .errors import TraceError
from .stats import RunningStats, Stats, read
from .trace_parts import NEVER_CLOSED as NEVER_CLOSED
from .trace_parts import Chunk as Chunk
from .trace_parts import How as How
from .trace_parts import Outcome as Outcome
from .trace_parts import Request as Request
from .trace_parts import Response as Response
from .trace_parts import StreamEnd as StreamEnd

FORMAT = trace_json.FORMAT


@dataclass(frozen=True)
class Trace:
    """One recorded response.

    ``chunks`` holds every chunk, or only the first ones or none if the recorder did not keep them; :attr:`whole` says
    which. ``stats`` is right in each case.
    """

    request: Request
    response: Response | None
    chunks: tuple[Chunk, ...]
    end: StreamEnd
    server: str | None = None
    recorded: Stats | None = field(default=None, repr=False)

    @cached_property
    def stats(self) -> Stats:
        """The numbers derived from the recording."""
        return self.recorded or _measured(self)

    @property
    def head_at(self) -> float | None:
        """When the head was there, seconds; None when none came."""
        return None if self.response is None else self.response.at

    @property
    def outcome(self) -> Outcome:
        """How the stream ended."""
        return self.end.outcome

    @property
    def whole(self) -> bool:
        """Is every chunk here (and not only the statistics)?"""
        return self.recorded is None or self.recorded.chunks == sum(1 for chunk in self.chunks if chunk.size)

    @property
    def has_data(self) -> bool:
        """Are the bytes of every chunk here?"""
        return all(chunk.data is not None or not chunk.size for chunk in self.chunks)

    @property
    def body(self) -> bytes:
        """The bytes of the body; raises TraceError when they were not kept."""
        if not (self.whole and self.has_data):
            raise TraceError("This trace has no body bytes. Expected data in every chunk. Was keep_chunks off?")
        return b"".join(chunk.data or b"" for chunk in self.chunks)

    def to_dict(self) -> dict[str, Any]:
        """This trace as plain data, format 1 (README, "The trace format")."""
        stats = None if self.whole else self.stats
        return trace_json.document(self.request, self.response, self.chunks, self.end, self.server, stats)

    def to_json(self) -> str:
        """This trace as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: object) -> Trace:
        """The trace that ``data`` describes. Raises TraceError naming the place of the first fault."""
        return cls(**trace_json.parts(data))

    @classmethod
    def from_json(cls, text: str | bytes) -> Trace:
        """The trace in the JSON ``text``. Raises TraceError naming the line or the place of the first fault."""
        return cls.from_dict(trace_json.data(text))


def _measured(trace: Trace) -> Stats:
    running = RunningStats()
    for chunk in trace.chunks:
        running.add(chunk.at, chunk.size, chunk.accepted_at)
    return read(running, head_at=trace.head_at, end_at=trace.end.at)
