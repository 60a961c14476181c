"""Writes one log line a stream, as text (``name=value``) or JSON.

Lines are INFO for streams that ended clean or whose reader left, WARNING for the others, on the logger
``streamproof.stream``; when asked to, also INFO every so often for each stream that stays open. Each value also stands
on the record as ``record.stream`` for handlers that keep structure. Does not configure logging.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from ..sansio.trace import Outcome, Trace
from .escape import method, plain

#: Stands where a line says how a stream ended.
OPEN = "open"
#: Lines at most each time: a thousand readers of one feed are no thousand news.
MOST_OPEN = 100
_CALM = (Outcome.COMPLETE, Outcome.CLIENT_GONE)
stream_log = logging.getLogger("streamproof.stream")


class OpenStream(Protocol):
    """What a line says of a stream that has not ended: :class:`streamproof.live.LiveStream`, or its like.

    ``age`` and ``silence`` in seconds.
    """

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
    """One line a stream.

    ``open_every``: seconds after which a stream of ``open_streams`` that is still open gets a line, and so again each
    time that :meth:`look` is called; 0 for never.
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
        # As logger.log() does, which would walk the stack for each line to find this place.
        logger.handle(
            logger.makeRecord(logger.name, level, __file__, 0, "%s", (text,), None, "stream", {"stream": entries})
        )


def line(trace: Trace, route: str | None = None) -> dict[str, Any]:
    """What one line says of ``trace``: names and values, None left out. Durations in seconds, sizes in bytes."""
    stats, end = trace.stats, trace.end
    told = {
        "outcome": str(end.outcome),
        "method": method(trace.request.method),
        "target": trace.request.target,
        "route": route,
        "status": None if trace.response is None else trace.response.status,
        "chunks": stats.chunks,
        "bytes": stats.bytes,
        "head": _rounded(stats.head_at),
        "first_byte": _rounded(stats.first_byte),
        "duration": _rounded(end.at),
        "longest_gap": _rounded(stats.longest_gap),
        "longest_silence": _rounded(stats.longest_silence),
        "backpressure": _rounded(stats.backpressure),
        "by": end.by,
        "reason": end.reason,
    }
    return {name: value for name, value in told.items() if value is not None}


def open_line(stream: OpenStream) -> dict[str, Any]:
    """What one line says of ``stream``, which has not ended."""
    told = {
        "outcome": OPEN,
        "method": method(stream.method),
        "target": stream.target,
        "status": stream.status,
        "chunks": stream.chunks,
        "bytes": stream.bytes,
        "age": _rounded(stream.age),
        "silence": _rounded(stream.silence),
    }
    return {name: value for name, value in told.items() if value is not None}


def as_text(entries: dict[str, Any]) -> str:
    """``entries`` as one line of ``name=value``; no value can hold a line break, a quote or a control character."""
    return " ".join(f"{name}={plain(value)}" for name, value in entries.items())


def as_json(entries: dict[str, Any]) -> str:
    """``entries`` as one line of ASCII JSON."""
    return json.dumps({"event": "stream", **entries}, separators=(",", ":")).replace("\x7f", "\\u007f")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
