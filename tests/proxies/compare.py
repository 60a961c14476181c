"""Two deliveries of the same response: do they agree?

Knows when two deliveries are the same to a reader: status, outcome, framing, the origin's fields kept and dropped, the
body, the bursts, the lag of each byte. Does not know which proxy is meant nor who is right. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from streamproof.sansio.http import HOP_BY_HOP, has_body
from streamproof.sansio.trace import Outcome, Trace

MERGED = 0.005  # arrivals closer than this are one burst
LATE = 0.010  # the largest error of a byte's lag

#: Their values name a moment or a product's release; what is compared is that they are there, and how often.
_VALUES_OF_THEIR_OWN = frozenset(("date", "server", "age"))
#: RFC 9110 section 5.3: these are lists, in one field or in several.
_LISTS = frozenset(("vary", "accept-ranges", "cache-control", "content-encoding", "content-language"))

#: Fields that delimit or encode the body: compared whether the origin sent them or not.
_OF_THE_BODY = frozenset(("content-length", "content-encoding", "vary"))


class Burst(NamedTuple):
    """Arrivals that a reader takes for one: when the first came, and how many body bytes there were after the last."""

    at: float
    upto: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two deliveries differ: what, and as each has it."""

    what: str
    real: str
    predicted: str

    @property
    def of_time(self) -> bool:
        """Is it only that something came at another time?"""
        return self.what.startswith(("lag", "head"))

    def __str__(self) -> str:
        return f"{self.what}: real {self.real}, replay {self.predicted}"


def bursts(trace: Trace) -> list[Burst]:
    """The arrivals of body bytes; one that is closer than :data:`MERGED` to the one before it is merged into it."""
    out: list[Burst] = []
    total, before = 0, float("-inf")
    for chunk in trace.chunks:
        if not chunk.size:
            continue
        total += chunk.size
        out.append(Burst(out.pop().at if chunk.at - before < MERGED else chunk.at, total))
        before = chunk.at
    return out


def lag_error(real: Trace, predicted: Trace) -> float:
    """The largest difference of arrival times among the bytes that came in both, in seconds."""
    ours, theirs = _steps(real), _steps(predicted)
    worst, i, j = 0.0, 0, 0
    while i < len(ours) and j < len(theirs):
        worst = max(worst, abs(ours[i].at - theirs[j].at))
        i, j = i + (ours[i].upto <= theirs[j].upto), j + (theirs[j].upto <= ours[i].upto)
    return worst


def _steps(trace: Trace) -> list[Burst]:
    out, total = [], 0
    for chunk in trace.chunks:
        if chunk.size:
            total += chunk.size
            out.append(Burst(chunk.at, total))
    return out


def differences(origin: Trace, real: Trace, predicted: Trace) -> list[Difference]:
    """In what the ``real`` delivery of ``origin`` differs from the ``predicted`` one; empty when they agree.

    Where a hop answered instead of the origin, only the status and the outcome are of interest.
    """
    statuses = _status(real), _status(predicted)
    out = _differ("status", *statuses) + _differ("outcome", _outcome(real), _outcome(predicted))
    if out or origin.response is None or real.response is None or predicted.response is None:
        return out
    if real.response.status != origin.response.status:
        return out
    out += _differ("framing", _framing(real), _framing(predicted))
    out += _differ("fields", *_fields(origin, real, predicted))
    lag = abs(real.response.at - predicted.response.at)
    if lag > LATE:
        out.append(Difference("head", _ms(real.response.at), _ms(predicted.response.at)))
    if [burst.upto for burst in bursts(real)] != [burst.upto for burst in bursts(predicted)]:
        out.append(Difference("bursts", picture(real), picture(predicted)))
    elif (lag := lag_error(real, predicted)) > LATE:
        out.append(Difference(f"lag, {_ms(lag)}", picture(real), picture(predicted)))
    if real.body != predicted.body:
        out.append(Difference("body", f"{len(real.body)} B", f"{len(predicted.body)} B, or other ones"))
    return out


def lateness(one: Trace, other: Trace) -> float:
    """By how much the worst byte, or the head, came at another time, in seconds."""
    heads = (0.0, 0.0)
    if one.head_at is not None and other.head_at is not None:
        heads = one.head_at, other.head_at
    return max(lag_error(one, other), abs(heads[0] - heads[1]))


def noisy(first: Trace, second: Trace, by: float = LATE) -> bool:
    """Do two repetitions of the same thing differ: in how they ended, in bursts, or in time by more than ``by`` s?"""
    if _outcome(first) != _outcome(second) or _status(first) != _status(second):
        return True
    partitions = ([burst.upto for burst in bursts(trace)] for trace in (first, second))
    return next(partitions) != next(partitions) or lateness(first, second) > by


def picture(trace: Trace, most: int = 10) -> str:
    """The bursts as text: ``25ms:1000 50ms:2000``, when and up to which byte."""
    all_of_them = bursts(trace)
    shown = " ".join(f"{burst.at * 1e3:.0f}ms:{burst.upto}" for burst in all_of_them[:most])
    left = len(all_of_them) - most
    return (shown or "nothing") + (f" … {left} more, last {all_of_them[-1].at * 1e3:.0f}ms" if left > 0 else "")


def _differ(what: str, real: str, predicted: str) -> list[Difference]:
    return [] if real == predicted else [Difference(what, real, predicted)]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def _status(trace: Trace) -> str:
    return "none" if trace.response is None else str(trace.response.status)


def _outcome(trace: Trace) -> str:
    """All that a reader can tell: complete, cut, or nothing more came and no end."""
    if trace.outcome in (Outcome.COMPLETE, Outcome.CLIENT_GONE):
        return str(trace.outcome)
    return "cut"


def _framing(trace: Trace) -> str:
    assert trace.response is not None
    if not has_body(trace.request.method, trace.response.status):
        return "none"
    if trace.request.http_version == "2" and trace.response.framing != "length":
        return "frames"
    return str(trace.response.framing)


def _fields(origin: Trace, real: Trace, predicted: Trace) -> tuple[str, str]:
    """The fields of interest as each delivery has them, only where they differ."""
    assert origin.response is not None and real.response is not None and predicted.response is not None
    sent = {name.lower() for name, _ in origin.response.headers}
    names = (sent | _OF_THE_BODY) - HOP_BY_HOP
    ours, theirs = _values(real, names), _values(predicted, names)
    differing = sorted(name for name in names if ours.get(name) != theirs.get(name))
    return tuple(  # type: ignore[return-value]  # two of them
        ", ".join(f"{name}={'|'.join(have[name]) if name in have else '-'}" for name in differing)
        for have in (ours, theirs)
    )


def _values(trace: Trace, names: frozenset[str] | set[str]) -> dict[str, list[str]]:
    """Per field of interest its values, as far as they are compared."""
    assert trace.response is not None
    out: dict[str, list[str]] = {}
    for name, value in trace.response.headers:
        if (low := name.lower()) not in names:
            continue
        if low == "via":
            out[low] = ["…"]  # each hop names itself there, in whatever words
        elif low in _VALUES_OF_THEIR_OWN:
            out.setdefault(low, []).append("…")
        elif low in _LISTS:
            out[low] = sorted({*out.get(low, []), *(member.strip().lower() for member in value.split(","))})
        else:
            out.setdefault(low, []).append(value)
    return out
