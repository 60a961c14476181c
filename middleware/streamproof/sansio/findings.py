"""Find faults in a trace, each with a stable code, a number and a hint.

There are two kinds: faults in any case (the app broke off, the body is not as long as its Content-Length), and budgets
that the stream overran. Where the trace was recorded does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .delivery import bursts, compare
from .errors import ConfigurationError
from .http import HOP_BY_HOP, content_length, has_body, media_type, tokens
from .trace import NEVER_CLOSED, Outcome, Trace


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a stream; None for no limit. Durations are in seconds.

    ``first_byte``: until the first byte; ``max_silence``: the longest silence; ``max_backpressure``: the longest wait
    of one chunk for downstream; ``min_bursts``: how many separate bursts must arrive; ``max_hold``: the longest lag of
    a byte (needs the production beside the delivery); ``closes_within``: from the last byte to the end.
    """

    first_byte: float | None = None
    max_silence: float | None = None
    max_hold: float | None = None
    min_bursts: int | None = None
    max_backpressure: float | None = None
    closes_within: float | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value: Any = getattr(self, entry.name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                expected = "a whole number" if entry.name == "min_bursts" else "a number of seconds"
                raise ConfigurationError(
                    f"Budget({entry.name}={value!r}) cannot be used. Expected {expected}, 0 or more, or None. "
                    "Is the unit mistaken?"
                )


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: a stable ``code``, its ``title``, the measured ``value`` against the ``limit``, a ``hint``."""

    code: str
    title: str
    text: str
    hint: str
    value: float | None = None
    limit: float | None = None

    def __str__(self) -> str:
        return f"{self.code} {self.title}: {self.text}. {self.hint}"


def examine(trace: Trace, budget: Budget | None = None, *, production: Trace | None = None) -> list[Finding]:
    """Return the faults of ``trace``, in the order of their codes.

    SP1xx are overrun budgets, SP2xx unclean ends, SP3xx heads that contradict the stream. If ``trace`` is a delivery,
    ``production`` is the app's own recording; ``max_hold`` is examined only with it. The head of a delivery belongs to
    the hops, so a delivery has no SP3xx.
    """
    found = [*_over_budget(trace, budget or Budget(), production), *_ends(trace)]
    if production is None:
        found += _heads(trace)
    return sorted(found, key=lambda finding: finding.code)


def _over_budget(trace: Trace, budget: Budget, production: Trace | None) -> Iterator[Finding]:
    stats = trace.stats
    checks: list[tuple[str, str, float | None, float | None, str]] = [
        (
            "SP101",
            "late-first-byte",
            trace.end.at if stats.first_byte is None else stats.first_byte,
            budget.first_byte,
            "Does the app work before its first yield?",
        ),
        (
            "SP102",
            "stall",
            stats.longest_silence,
            budget.max_silence,
            "Would a heartbeat bridge the silence?",
        ),
        (
            "SP103",
            "backpressure",
            stats.longest_backpressure,
            budget.max_backpressure,
            "Is the reader slow, or a layer downstream busy?",
        ),
        (
            "SP106",
            "slow-close",
            trace.end.at - (stats.last_byte or 0.0) if stats.chunks else None,
            budget.closes_within,
            "Does the app work on after its last yield?",
        ),
    ]
    if production is not None and trace.whole and production.whole:
        hint = "Which hop holds it? streamproof check names the holder."
        checks.append(("SP104", "held", compare(production, trace).worst_lag, budget.max_hold, hint))
    for code, title, value, limit, hint in checks:
        if value is not None and limit is not None and value > limit:
            text = f"{value:.3f} s, the budget is {limit:g} s"
            yield Finding(code, title, text, hint, value, limit)
    if budget.min_bursts is not None and trace.whole:
        count = len(bursts(trace.chunks))
        if count < budget.min_bursts:
            hint = "Is the body collected before it is sent?"
            text = f"{count} bursts, the budget is at least {budget.min_bursts}"
            yield Finding("SP105", "few-bursts", text, hint, count, budget.min_bursts)


def _ends(trace: Trace) -> Iterator[Finding]:
    end, size = trace.end, trace.stats.bytes
    why = f" ({end.reason})" if end.reason else ""
    at = f"after {size} B at {end.at:.3f} s"
    if end.outcome is Outcome.APP_ERROR:
        yield Finding("SP201", "app-error", f"the app broke off {at}{why}", "Did the generator raise?")
    elif end.outcome is Outcome.CUT:
        by = end.by or "a hop"
        yield Finding("SP202", "cut", f"{by} cut it {at}{why}", "Is a time limit of that hop too short?")
    elif end.outcome is Outcome.ABANDONED:
        hint = "Does a layer drop the iterable without calling close()?"
        yield Finding("SP203", "abandoned", f"it was collected without close() {at}", hint)
    elif end.reason == NEVER_CLOSED:
        hint = "Does a bridge or a server leave it to the garbage collector?"
        yield Finding("SP205", "never-closed", f"the app's iterable was not closed {at}", hint)
    elif end.outcome is Outcome.SHUTDOWN:
        hint = "Is the graceful timeout shorter than the stream?"
        yield Finding("SP204", "shutdown", f"the server stopped {at}", hint)


def _heads(trace: Trace) -> Iterator[Finding]:
    response = trace.response
    if response is None or not has_body(trace.request.method, response.status):
        return
    headers, stats = response.headers, trace.stats
    length = content_length(headers)
    if length is not None and trace.outcome is Outcome.COMPLETE and length != stats.bytes:
        yield Finding(
            "SP301",
            "wrong-length",
            f"Content-Length says {length} B, the body has {stats.bytes} B",
            "Was the body changed after its length was set?",
            stats.bytes,
            length,
        )
    if hop_by_hop := sorted({name for name, _ in headers if name.lower() in HOP_BY_HOP - {"transfer-encoding"}}):
        yield Finding(
            "SP302",
            "hop-by-hop",
            f"the response carries {', '.join(hop_by_hop)}",
            "Should that be left to the server (RFC 9110 section 7.6.1)?",
        )
    kept = {"no-cache", "no-store"}.isdisjoint(tokens(headers, "cache-control"))
    if kept and media_type(headers) == "text/event-stream":
        yield Finding(
            "SP303",
            "cacheable-events",
            "an event stream without Cache-Control: no-cache",
            "May a cache in between keep it (HTML standard, server-sent events)?",
        )
