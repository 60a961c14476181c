"""What a table cannot say: errors, answers that are no stream, timeouts, and how the app took it when the reader left.

Knows one measured response, the recording of the app when there is one, and its server's log. Each case is a sentence
with the likely cause.
"""

from __future__ import annotations

import re

from ..profiles.servers import explain_log
from ..sansio.http import header, reason
from ..sansio.trace import Outcome, Trace
from ._report import Note

_RAISED = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout|Warning|Iteration)\b.*$", re.M)


def notes(
    measured: Trace, app: Trace | None, silence: str | None, *, server: str = "The server", log: str = ""
) -> list[Note]:
    """The notes about one response; ``silence`` is the sentence of the reader's timeout."""
    out = [] if silence is None else [Note(silence)]
    request, response = measured.request, measured.response
    asked = f"{request.method} {request.target}"
    if (known := explain_log(log)) is not None:
        out.append(Note(known))
    elif response is None and silence is None:
        last = _last_words(log)
        out.append(
            Note(
                f"{asked} was not answered: {measured.end.reason}. Expected a response. "
                f"Did a worker die{f' ({last})' if last else ''}?"
            )
        )
    elif response is not None and response.status >= 300:
        out.append(_not_ok(asked, measured, server, log))
    elif app is not None and app.outcome is Outcome.APP_ERROR:
        said = _raised(log) or app.end.reason or "an exception"
        seen = (
            "the reader sees a complete response, so it cannot know"
            if measured.outcome is Outcome.COMPLETE
            else "the reader sees a response that was broken off"
        )
        out.append(Note(f"The app raised after {_count(app.stats.chunks)}: {said}; {seen}."))
    elif measured.outcome is Outcome.CUT:
        out.append(Note(f"{asked} was cut after {measured.stats.bytes} B: {measured.end.reason}."))
    elif measured.outcome is Outcome.COMPLETE and response is not None:
        out += _not_a_stream(asked, measured, app)
    return out


def _not_ok(asked: str, measured: Trace, server: str, log: str) -> Note:
    assert measured.response is not None
    status = measured.response.status
    answered = f"{asked} answered {status} {reason(status)}".rstrip()
    if status < 400:
        where = header(measured.response.headers, "location")
        return Note(f"{answered}, to {where}. Expected a streamed response. Is that the path to check?")
    if status >= 500 and (said := _raised(log)) is not None:
        return Note(f"{answered}: the app raised before its response began: {said}.")
    guess = {
        404: "Is the path right?",
        405: "Is the method right (-X), or is there data to send (-d)?",
        401: "Is a header missing (-H)?",
        403: "Is a header missing (-H)?",
    }.get(status, "Is something missing in the request?")
    body = b"".join(chunk.data or b"" for chunk in measured.chunks)
    said = body[:200].decode("utf-8", "replace").strip()
    plain = "<" not in said and said.isprintable() and bool(said)
    return Note(f"{answered}{f' ({said})' if plain else ''}. Expected a streamed response. {guess}")


def _not_a_stream(asked: str, measured: Trace, app: Trace | None) -> list[Note]:
    assert measured.response is not None
    stats = measured.stats if app is None else app.stats
    if stats.chunks > 1:
        return []
    if stats.chunks == 0:
        return [Note(f"{asked} has no body ({measured.response.status}). Expected one to stream. Is the method right?")]
    length = header(measured.response.headers, "content-length")
    how = "in one chunk" if length is None else f"in one chunk, its Content-Length {length} known beforehand"
    return [
        Note(
            f"{asked} is not a stream: the body came {how}, {stats.first_byte or 0.0:.3f} s after the request. "
            "Expected chunks. Does the view join what it should yield?"
        )
    ]


def left(measured: Trace, app: Trace | None, after: float | None, waited: float) -> Note:
    """How the app took it that the reader left; ``after`` in seconds, None when it did not notice while we waited."""
    gone = f"The reader left at {measured.end.at:.2f} s ({measured.end.reason}); "
    if after is None:
        state = "" if app is None else " (it went on until its server was stopped)"
        return Note(f"{gone}the app did not notice within {waited:g} s{state}.", finding=False)
    outcome = Outcome.COMPLETE if app is None else app.outcome
    if outcome is Outcome.COMPLETE:
        return Note(f"{gone}the app did not notice and ran to its end, {after:.2f} s later.", finding=False)
    return Note(f"{gone}the app noticed {max(after, 0.0):.2f} s later ({outcome}).", finding=False)


def _raised(log: str) -> str | None:
    """The last line of the last traceback in the log."""
    if "Traceback (most recent call last)" not in log:
        return None
    found = _RAISED.findall(log.rpartition("Traceback (most recent call last)")[2])
    return found[-1].strip().rstrip(".") if found else None


def _last_words(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _count(chunks: int) -> str:
    return f"{chunks} chunk" if chunks == 1 else f"{chunks} chunks"
