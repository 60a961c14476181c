"""What a via does to common streams: a small set of sample streams, replayed in virtual time.

Every result is computed by replay. Used to explain one profile, to show what an option changes, and to compare vias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..analysis.diagnosis import diagnose
from ..profiles import Profile, Via, resolve
from ..sansio.errors import ConfigurationError
from ..sansio.http import Framing, Headers
from ..sansio.trace import Chunk, How, Outcome, Request, Response, StreamEnd, Trace

_TEXT: Headers = (("Content-Type", "text/plain; charset=utf-8"),)
_EVENTS: Headers = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"))
_HTML: Headers = (("Content-Type", "text/html; charset=utf-8"),)
_GZIP: Headers = (("Accept-Encoding", "gzip"),)
_UNBUFFERED: Headers = (("X-Accel-Buffering", "no"),)


@dataclass(frozen=True, slots=True)
class Sample:
    """A named stream."""

    name: str
    trace: Trace


def _stream(
    size: int,
    count: int,
    every: float,
    *,
    headers: Headers = _TEXT,
    framing: Framing | None = None,
    request_headers: Headers = (),
    dies: How | None = None,
) -> Trace:
    line = b"%06d sensor ok\n"
    chunks = []
    for index in range(count):
        data = (line % index * (size // 17 + 1))[:size]
        chunks.append(Chunk(index * every, size, index * every, data))
    if framing == "length":
        headers = (*headers, ("Content-Length", str(size * count)))
    end = StreamEnd(count * every, Outcome.APP_ERROR if dies else Outcome.COMPLETE, dies)
    return Trace(Request(headers=request_headers), Response(200, headers, 0.0, 150, framing), tuple(chunks), end)


SAMPLES = (
    Sample("events, 20 B every 0.5 s", _stream(20, 20, 0.5, headers=_EVENTS)),
    Sample("events, with X-Accel-Buffering: no", _stream(20, 20, 0.5, headers=(*_EVENTS, *_UNBUFFERED))),
    Sample("events, close-delimited", _stream(20, 20, 0.5, headers=_EVENTS, framing="close")),
    Sample("events, to a reader who accepts gzip", _stream(20, 20, 0.5, headers=_EVENTS, request_headers=_GZIP)),
    Sample("text, 1 KiB every 0.5 s, accepts gzip", _stream(1024, 20, 0.5, request_headers=_GZIP)),
    Sample("a page, 1 KiB every 0.5 s, accepts gzip", _stream(1024, 20, 0.5, headers=_HTML, request_headers=_GZIP)),
    Sample("an export, 8 KiB every 0.1 s", _stream(8192, 40, 0.1)),
    Sample("an export of known length", _stream(8192, 40, 0.1, framing="length")),
    Sample("a silence of 45 s", _stream(20, 3, 45.0, headers=_EVENTS)),
    Sample("a silence of 90 s", _stream(20, 3, 90.0, headers=_EVENTS)),
    Sample("an hour of events", _stream(20, 360, 10.0, headers=_EVENTS)),
    Sample("the app dies in mid-stream", _stream(1024, 10, 0.5, dies="fin")),
)


def behavior(via: str | Profile | Via) -> dict[str, str]:
    """For each sample, what happens to it behind ``via``, in a few words. Raises ConfigurationError."""
    chain = resolve(via)
    return {sample.name: _words(sample, chain) for sample in SAMPLES}


def _words(sample: Sample, via: Via) -> str:
    seen = diagnose(sample.trace, via)
    word = seen.verdict.word
    end = seen.delivery.end
    if word == "cut" and end.by is None:
        return "the reader sees the cut"
    if word == "cut":
        return f"cut at {end.at:.0f} s"
    if word == "refused" and seen.delivery.response is not None:
        return f"answered {seen.delivery.response.status} at {seen.delivery.response.at:.0f} s"
    if word == "streams" and sample.trace.outcome is Outcome.APP_ERROR:
        return "the reader sees the cut"
    if word in ("late", "in blocks"):
        return f"{word}, up to {seen.worst_lag:.1f} s"
    return word


def changes(profile: Profile) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """For each non-default value of each option: ``option=value``, and (sample, before, after) for what it changes."""
    before = behavior(profile)
    for option in profile.options.values():
        for value in option.values or _TYPICAL_VALUES.get(option.kind, ()):
            if value == option.default:
                continue
            text = f"{option.name}={value}"
            try:
                after = behavior(f"{profile.name}:{text}")
            except ConfigurationError:
                continue
            yield text, [(name, before[name], after[name]) for name in before if before[name] != after[name]]


#: Values to try for an option that has no list of values.
_TYPICAL_VALUES = {
    "time": ("10s", "2h"),
    "size": ("1k", "64k"),
    "list": ("text/plain text/event-stream",),
}
