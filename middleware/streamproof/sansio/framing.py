"""Find where a body may be cut or added to: between server-sent events, between lines, or nowhere.

The grammars are those of WHATWG HTML section 9.2.5 (an event ends with an empty line; a line ends with CRLF, LF or CR)
and of JSON Lines (a record ends with LF). :class:`Scanner` gets every byte of a body that a policy changes, so it looks
only at the last few bytes of each chunk. What happens at a boundary is decided in ``flush/policy.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isqrt
from typing import Literal

from .http import Headers, media_type

Ends = Literal["event", "line", "nowhere"]
#: Makes a heartbeat of at least this many bytes. The second argument makes each one different.
Beat = Callable[[int, int], bytes]
#: Makes the bytes that report the app's failure in the stream itself. The argument is a sentence.
Failure = Callable[[str], bytes]

#: Bytes before a boundary that decide whether it is one: CR LF CR LF.
_LOOK_BACK = 4
_EVENT_ENDS = re.compile(rb"(?:(?<=\n)|(?<=\n\r)|(?<=\r\r))\n|(?<=\r)\r")
_LINE_ENDS = re.compile(rb"\n")
_AT_EVENT_END = re.compile(rb"(?:\n\r?\n|\r\r\n?)\Z")


class Scanner:
    """Follow one body. :attr:`at_boundary` says whether bytes may be added after those seen so far."""

    __slots__ = ("_ends", "_tail")

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._tail = b"\n\n"  # a body begins at a boundary

    @property
    def at_boundary(self) -> bool:
        """Whether bytes may be added here. Computed on access, because it is rarely needed after a chunk."""
        if self._ends == "event":
            # After LF CR the LF of the same line end may follow; after CR CR the stream is known to use bare CR.
            return _AT_EVENT_END.search(self._tail) is not None
        return self._ends == "line" and self._tail.endswith(b"\n")

    def see(self, data: bytes | memoryview) -> None:
        """Move on by ``data``."""
        tail = bytes(data[-_LOOK_BACK:])
        self._tail = tail if len(tail) == _LOOK_BACK else (self._tail + tail)[-_LOOK_BACK:]

    def unsure(self) -> None:
        """Forget what came before: only bytes seen from now on make a boundary."""
        self._tail = b"\0"

    def find(self, data: bytes | memoryview) -> Sequence[int]:
        """Move on by ``data``. Return the offsets in it of the byte after each boundary."""
        if self._ends == "nowhere":
            return ()
        if self._ends == "line":
            found = [match.end() for match in _LINE_ENDS.finditer(data)]
        else:
            before = self._tail
            found = [match.end() - len(before) for match in _EVENT_ENDS.finditer(before + bytes(data), len(before))]
        self.see(data)
        return found


@dataclass(frozen=True, slots=True)
class BodyFraming:
    """The structure of the body of a media type.

    ``ends``: what lies before a boundary. ``beat`` makes a heartbeat; None if no heartbeat is known to be harmless.
    ``permitted``: whether heartbeats may be used without being requested, because no known reader fails on them.
    ``failure`` makes the bytes that report an error in the stream; None if the grammar has no place for them.
    """

    name: str
    ends: Ends
    beat: Beat | None = None
    permitted: bool = True
    failure: Failure | None = None


def noise(size: int, serial: int) -> bytes:
    """Return ``size`` bytes of hexadecimal text that no compressor shrinks below half, always the same for a call.

    They are the digits of a square root, which have no pattern that a compressor finds and need no randomness.
    """
    bits = 4 * size
    root = isqrt((4 * serial + 2) << (2 * bits))  # 2 modulo 4 is never a square
    return f"{root & ((1 << bits) - 1):0{size}x}".encode() if size else b""


def _event_comment(size: int, serial: int) -> bytes:
    # WHATWG HTML section 9.2.7: a comment line every 15 seconds or so keeps proxies from closing. At least ":" LF LF.
    return b":" + noise(max(size - 3, 0), serial) + b"\n\n"


def _empty_line(size: int, serial: int) -> bytes:
    return b" " * max(size - 1, 0) + b"\n"


def _event_failure(message: str) -> bytes:
    return f"event: error\ndata: {json.dumps({'error': message})}\n\n".encode()


def _line_failure(message: str) -> bytes:
    return (json.dumps({"error": message}) + "\n").encode()


EVENTS = BodyFraming("server-sent events", "event", _event_comment, failure=_event_failure)
#: ndjson-spec: a parser "MAY silently ignore empty lines", so an empty line needs permission.
JSON_LINES = BodyFraming("JSON lines", "line", _empty_line, permitted=False, failure=_line_failure)
LINES = BodyFraming("lines", "line")
OPAQUE = BodyFraming("opaque", "nowhere")

#: Media types (globs) and the framing of their bodies. The first match counts.
FRAMINGS: tuple[tuple[str, BodyFraming], ...] = (
    ("text/event-stream", EVENTS),
    ("application/x-ndjson", JSON_LINES),
    ("application/ndjson", JSON_LINES),
    ("application/jsonl", JSON_LINES),
    ("application/x-jsonlines", JSON_LINES),
    ("application/jsonlines", JSON_LINES),
    ("text/csv", LINES),
    ("text/tab-separated-values", LINES),
    ("text/plain", LINES),
)


def framing_of(headers: Headers, more: Sequence[tuple[str, BodyFraming]] = ()) -> BodyFraming:
    """Return the framing of a body with these ``headers``. ``more`` comes before :data:`FRAMINGS`.

    A body with a Content-Encoding is opaque: bytes can be added only before they are encoded.
    """
    coded = any(name.lower() == "content-encoding" and value.strip() for name, value in headers)
    if coded:
        return OPAQUE
    media = media_type(headers)
    return next((framing for pattern, framing in (*more, *FRAMINGS) if fnmatchcase(media, pattern)), OPAQUE)
