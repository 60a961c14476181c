"""Write one log line a stream, as text (``name=value``) or JSON, on the logger ``streamproof.stream``.

The level is INFO for streams that ended clean or whose reader left, WARNING for the others. Streams that stay open can
get a line at intervals, too. Handlers find the values as ``record.stream``. Nothing here configures logging.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from ..sansio.trace import Outcome, Trace
from ..sansio.untrusted import as_json as json_line
from ..sansio.untrusted import plain, short
from .escape import method

#: The outcome in the line of a stream that has not ended.
OPEN = "open"
#: The most lines for open streams at a time: a feed may have thousands of readers.
MOST_OPEN = 100
_CALM = (Outcome.COMPLETE, Outcome.CLIENT_GONE)
stream_log = logging.getLogger("streamproof.stream")


class OpenStream(Protocol):
    """The values of a stream that has not ended, as in :class:`streamproof.live.LiveStream`; times in seconds."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def status(self) -> int | None: ...
    @property
    def age(self) -> float: ...
    @property
    def chunks(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def silence(self) -> float: ...


class LogExporter:
    """Writes one line a stream.

    A stream of ``open_streams`` that has been open for ``open_every`` seconds gets a line each time that :meth:`look`
    is called; 0 for never.
    """

    def __init__(
        self,
        form: Literal["text", "json"] = "text",
        *,
        logger: logging.Logger = stream_log,
        open_every: float = 0.0,
        open_streams: Iterable[OpenStream] = (),
    ) -> None:
        self._form = form
        self._logger = logger
        self._open = open_streams
        #: Seconds between two calls of :meth:`look`; 0 for none.
        self.look_every = open_every

    def __repr__(self) -> str:
        return f"<LogExporter {self._logger.name} {self._form}>"

    def __call__(self, trace: Trace, *, route: str | None = None) -> None:
        """Write the line of ``trace``."""
        level = logging.INFO if trace.outcome in _CALM else logging.WARNING
        if self._logger.isEnabledFor(level):
            self._write(level, line(trace, route))

    def look(self) -> None:
        """Write the lines of the open streams, the oldest first."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        late = [stream for stream in self._open if stream.age >= self.look_every]
        for stream in late[:MOST_OPEN]:
            self._write(logging.INFO, open_line(stream))
        if len(late) > MOST_OPEN:
            self._write(logging.INFO, {"outcome": OPEN, "and_more": len(late) - MOST_OPEN})

    def _write(self, level: int, entries: dict[str, Any]) -> None:
        text = as_json(entries) if self._form == "json" else as_text(entries)
        logger = self._logger
        # logger.log() would walk the stack for each line to find the caller.
        logger.handle(
            logger.makeRecord(logger.name, level, __file__, 0, "%s", (text,), None, "stream", {"stream": entries})
        )


def line(trace: Trace, route: str | None = None) -> dict[str, Any]:
    """The entries of the line for ``trace``, without those that are None. Durations in seconds, sizes in bytes."""
    stats, end = trace.stats, trace.end
    entries = {
        "outcome": str(end.outcome),
        "method": method(trace.request.method),
        "target": short(trace.request.target),
        "route": None if route is None else short(route),
        "status": None if trace.response is None else trace.response.status,
        "chunks": stats.chunks,
        "bytes": stats.bytes,
        "head": _rounded(stats.head_at),
        "first_byte": _rounded(stats.first_byte),
        "duration": _rounded(end.at),
        "longest_gap": _rounded(stats.longest_gap),
        "longest_silence": _rounded(stats.longest_silence),
        "backpressure": _rounded(stats.backpressure),
        "by": None if end.by is None else short(end.by),
        "reason": None if end.reason is None else short(end.reason),
    }
    return {name: value for name, value in entries.items() if value is not None}


def open_line(stream: OpenStream) -> dict[str, Any]:
    """The entries of the line for ``stream``, which has not ended."""
    entries = {
        "outcome": OPEN,
        "method": method(stream.method),
        "target": short(stream.target),
        "status": stream.status,
        "chunks": stream.chunks,
        "bytes": stream.bytes,
        "age": _rounded(stream.age),
        "silence": _rounded(stream.silence),
    }
    return {name: value for name, value in entries.items() if value is not None}


def as_text(entries: dict[str, Any]) -> str:
    """``entries`` as one line of ``name=value``. Values are escaped: no line breaks, no control characters."""
    return " ".join(f"{name}={plain(value)}" for name, value in entries.items())


def as_json(entries: dict[str, Any]) -> str:
    """``entries`` as one line of ASCII JSON."""
    return json_line({"event": "stream", **entries})


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
