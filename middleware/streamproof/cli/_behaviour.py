"""What a via does to the streams that people have: a small set of schedules, replayed.

Knows the schedules and asks the replay; says nothing that was not computed from the profile. Virtual time, so an hour
costs nothing. Used to explain one profile, to show what an option changes, and to compare several.
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
    """A stream with a name that says what is special about it."""

    name: str
    trace: Trace


def _stream(
    size: int,
    count: int,
    every: float,
    *,
    headers: Headers = _TEXT,
    framing: Framing | None = None,
    asks: Headers = (),
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
    return Trace(Request(headers=asks), Response(200, headers, 0.0, 150, framing), tuple(chunks), end)


SAMPLES = (
    Sample("events, 20 B every 0.5 s", _stream(20, 20, 0.5, headers=_EVENTS)),
    Sample("events, with X-Accel-Buffering: no", _stream(20, 20, 0.5, headers=(*_EVENTS, *_UNBUFFERED))),
    Sample("events, close-delimited", _stream(20, 20, 0.5, headers=_EVENTS, framing="close")),
    Sample("events, to a reader who accepts gzip", _stream(20, 20, 0.5, headers=_EVENTS, asks=_GZIP)),
    Sample("text, 1 KiB every 0.5 s, accepts gzip", _stream(1024, 20, 0.5, asks=_GZIP)),
    Sample("a page, 1 KiB every 0.5 s, accepts gzip", _stream(1024, 20, 0.5, headers=_HTML, asks=_GZIP)),
    Sample("an export, 8 KiB every 0.1 s", _stream(8192, 40, 0.1)),
    Sample("an export of known length", _stream(8192, 40, 0.1, framing="length")),
    Sample("a silence of 45 s", _stream(20, 3, 45.0, headers=_EVENTS)),
    Sample("a silence of 90 s", _stream(20, 3, 90.0, headers=_EVENTS)),
    Sample("an hour of events", _stream(20, 360, 10.0, headers=_EVENTS)),
    Sample("the app dies in mid-stream", _stream(1024, 10, 0.5, dies="fin")),
)


def behaviour(via: str | Profile | Via) -> dict[str, str]:
    """Per sample, what becomes of it behind ``via``, in a few words. Raises ConfigurationError."""
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
    """For each option's other values: the option as written, and (sample, before, after) where it changes something."""
    before = behaviour(profile)
    for option in profile.options.values():
        for value in option.values or _TRIED.get(option.kind, ()):
            if value == option.default:
                continue
            text = f"{option.name}={value}"
            try:
                after = behaviour(f"{profile.name}:{text}")
            except ConfigurationError:
                continue
            yield text, [(name, before[name], after[name]) for name in before if before[name] != after[name]]


#: Values that show what an option without a list of values does.
_TRIED = {
    "time": ("10s", "2h"),
    "size": ("1k", "64k"),
    "list": ("text/plain text/event-stream",),
}
