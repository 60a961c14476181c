"""Notes on one response: errors, bodies that are not streams, timeouts, readers that left.

Derived from the measured response, the app's recording (if any) and the server's log. Each note is a sentence or two,
with the likely cause.
"""

from __future__ import annotations

import re

from ..profiles.servers import explain_log
from ..sansio.http import header, reason
from ..sansio.trace import Outcome, Trace
from ._report import Note

_RAISED = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout|Warning|Iteration)\b.*$", re.M)


def notes(measured: Trace, app: Trace | None, silence: str | None, *, log: str = "") -> list[Note]:
    """The notes on one response; ``silence`` is the message of the reader's timeout."""
    found = [] if silence is None else [Note(silence)]
    request, response = measured.request, measured.response
    line = f"{request.method} {request.target}"
    if (known := explain_log(log)) is not None:
        found.append(Note(known))
    elif response is None and silence is None:
        last = _last_line(log)
        found.append(
            Note(f"{line} got no response: {measured.end.reason}. Did a worker die{f' ({last})' if last else ''}?")
        )
    elif response is not None and response.status >= 300:
        found.append(_not_ok(line, measured, log))
    elif app is not None and app.outcome is Outcome.APP_ERROR:
        error = _exception(log) or app.end.reason or "an exception"
        effect = (
            "The reader sees a complete response and cannot know."
            if measured.outcome is Outcome.COMPLETE
            else "The reader sees an incomplete response."
        )
        found.append(Note(f"The app raised after {_count(app.stats.chunks)}: {error}. {effect}"))
    elif measured.outcome is Outcome.CUT:
        found.append(Note(f"{line} was cut after {measured.stats.bytes} B: {measured.end.reason}."))
    elif measured.outcome is Outcome.COMPLETE and response is not None:
        found += _not_a_stream(line, measured, app)
    return found


def _not_ok(line: str, measured: Trace, log: str) -> Note:
    assert measured.response is not None
    status = measured.response.status
    answer = f"{line} answered {status} {reason(status)}".rstrip()
    if status < 400:
        where = header(measured.response.headers, "location")
        return Note(f"{answer}, a redirect to {where}. Expected a streamed response. Is that the path to check?")
    if status >= 500 and (error := _exception(log)) is not None:
        return Note(f"{answer}: the app raised before the response started: {error}.")
    guess = {
        404: " Is the path correct?",
        405: " Is the method correct (-X)?",
        401: " Is a header missing (-H)?",
        403: " Is a header missing (-H)?",
    }.get(status, "")
    body = b"".join(chunk.data or b"" for chunk in measured.chunks)
    text = body[:200].decode("utf-8", "replace").strip()
    plain = "<" not in text and text.isprintable() and bool(text)
    return Note(f"{answer}{f' ({text})' if plain else ''}. Expected a streamed response.{guess}")


def _not_a_stream(line: str, measured: Trace, app: Trace | None) -> list[Note]:
    assert measured.response is not None
    stats = measured.stats if app is None else app.stats
    if stats.chunks > 1:
        return []
    if stats.chunks == 0:
        return [Note(f"{line} has no body ({measured.response.status}). Expected a body. Is the method correct (-X)?")]
    length = header(measured.response.headers, "content-length")
    how = "in one chunk" if length is None else f"in one chunk with Content-Length {length}"
    return [
        Note(
            f"{line} is not a stream: the body came {how}, {stats.first_byte or 0.0:.3f} s after the request. "
            "Expected several chunks. Does the view collect the body before it returns?"
        )
    ]


def left(measured: Trace, app: Trace | None, after: float | None, waited: float) -> Note:
    """Whether the app noticed that the reader left. ``after``: in how many seconds, None when not while we waited."""
    gone = f"The reader left at {measured.end.at:.2f} s ({measured.end.reason})."
    if after is None:
        state = "" if app is None else " It ran until its server was stopped."
        return Note(f"{gone} The app did not notice within {waited:g} s.{state}", finding=False)
    outcome = Outcome.COMPLETE if app is None else app.outcome
    if outcome is Outcome.COMPLETE:
        return Note(f"{gone} The app did not notice and ran to its end, {after:.2f} s later.", finding=False)
    return Note(f"{gone} The app noticed {max(after, 0.0):.2f} s later ({outcome}).", finding=False)


def _exception(log: str) -> str | None:
    """The last line of the last traceback in the log."""
    if "Traceback (most recent call last)" not in log:
        return None
    found = _RAISED.findall(log.rpartition("Traceback (most recent call last)")[2])
    return found[-1].strip().rstrip(".") if found else None


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _count(chunks: int) -> str:
    return f"{chunks} chunk" if chunks == 1 else f"{chunks} chunks"
