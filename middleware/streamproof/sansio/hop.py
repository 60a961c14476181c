"""A hop is a row of stages that looks like one stage. A chain of hops looks like one, too.

A :class:`HopPlan` is what a profile says once its options are set. When the head comes, the hop decides once which of
its stages apply to the response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from .http import Headers, header, media_type
from .machine import Cut, Event, Events, Head, Row, Stage, StageSettings
from .trace import Request

Ask = Literal["1.0", "1.1", "same"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One stage of a hop, when it applies, and what to say about it.

    ``when`` maps ``request.version``, ``request.method``, ``request.header.NAME``, ``response.status``,
    ``response.framing``, ``response.type`` or ``response.header.NAME`` to the values (globs, lower case) of which one
    must match; ``unless`` to those of which none may. ``why`` names the rule in a verdict, ``fix`` the cheapest cure.
    ``cures`` are header fields; the rule holds nothing if the app sends one of them. Raises ValueError for a key of
    ``when`` or ``unless`` that is not one of these.
    """

    settings: StageSettings
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""
    fix: str = ""
    cures: Headers = ()

    def __post_init__(self) -> None:
        for key in (*self.when, *self.unless):
            if not is_condition(key):
                raise ValueError(f"{key!r} is not a condition. Expected one of {', '.join(CONDITIONS)}.")

    @property
    def timed(self) -> bool:
        """Does the stage ever set a deadline?"""
        return getattr(self.settings, "timed", False)

    @property
    def cuts(self) -> bool:
        """Does the stage end a response that its upstream did not end?"""
        return getattr(self.settings, "cuts", False)

    @property
    def tls(self) -> bool:
        """Does the stage write TLS records, so that the reader must speak TLS?"""
        return getattr(self.settings, "tls", False)

    def applies(self, request: Request, head: Head) -> bool:
        """Does this stage apply to this response?"""
        return all(_matches(key, values, request, head) for key, values in self.when.items()) and not any(
            _matches(key, values, request, head) for key, values in self.unless.items()
        )


#: What a rule may ask for; NAME stands for any header field.
CONDITIONS = (
    "request.version",
    "request.method",
    "request.header.NAME",
    "response.status",
    "response.framing",
    "response.type",
    "response.header.NAME",
)


def is_condition(key: str) -> bool:
    """Is ``key`` one of :data:`CONDITIONS`?"""
    if key.startswith(("request.header.", "response.header.")):
        return not key.endswith(".")
    return key in CONDITIONS


def _matches(key: str, patterns: Sequence[str], request: Request, head: Head) -> bool:
    side, _, name = key.partition(".")
    kind, _, fieldname = name.partition(".")
    if kind == "header":
        value = header(request.headers if side == "request" else head.headers, fieldname) or ""
    else:
        value = {
            "request.version": request.http_version,
            "request.method": request.method,
            "response.status": str(head.status),
            "response.framing": head.framing,
            "response.type": media_type(head.headers),
        }[key]
    return any(fnmatchcase(value.strip().lower(), pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class HopPlan:
    """What one hop does, settled before the request: its name, how it asks, its stages from upstream to downstream.

    ``gets_head``: it asks GET for a HEAD, to know the head that GET would get.
    """

    name: str
    ask: Ask = "1.1"
    rules: tuple[Rule, ...] = ()
    adds_request: tuple[tuple[str, str], ...] = ()
    grade: str = "measured"
    gets_head: bool = False

    def request_upstream(self, request: Request) -> Request:
        """The request that this hop makes of the one before it."""
        version = self.ask if self.ask != "same" else "1.0" if request.http_version == "1.0" else "1.1"
        method = "GET" if self.gets_head and request.method == "HEAD" else request.method
        headers = (*request.headers, *self.adds_request)
        return request._replace(method=method, http_version=version, headers=headers)

    def start(self, request: Request, now: float) -> Hop:
        """The hop at work on one response; its reader asked for it with ``request`` at ``now``."""
        return Hop(self, request, now)


class Hop(Stage):
    """A hop at work on one response."""

    def __init__(self, plan: HopPlan, request: Request, now: float) -> None:
        self.plan, self._request = plan, request
        self._pairs: list[tuple[Rule, Stage]] = [(rule, rule.settings.start(request, now)) for rule in plan.rules]
        self._row = Row([stage for _, stage in self._pairs])
        self.deadline = self._row.deadline

    @property
    def held(self) -> int:
        return self._row.held

    @property
    def stages(self) -> Sequence[tuple[Rule, Stage]]:
        """The stages that apply to this response, with their rules."""
        return self._pairs

    def receive(self, event: Event, now: float) -> Events:
        if type(event) is Head:
            self._pairs = [pair for pair in self._pairs if pair[0].applies(self._request, event)]
            self._row = Row([stage for _, stage in self._pairs])
            out = self._row.receive(event, now)
            self._row.prune()
            self.transparent = not self._row.machines
        else:
            out = self._row.receive(event, now)
            if type(event) is Cut:
                out = _outside(out)
        self.deadline = self._row.deadline
        return out

    def wake(self, now: float) -> Events:
        out = _outside(self._row.wake(now))
        self.deadline = self._row.deadline
        return out


def _outside(events: Events) -> Events:
    """``events`` as the next hop sees them: what this hop did itself is an upstream's abort there."""
    return [event._replace(own=False, discard=False) if type(event) is Cut else event for event in events]


class Chain:
    """Hops in a row, app side first, at work on one response."""

    def __init__(self, plans: Sequence[HopPlan], request: Request, now: float) -> None:
        hops, asked = [], request
        for plan in reversed(plans):
            hops.append(plan.start(asked, now))
            asked = plan.request_upstream(asked)
        self.request = asked
        """The request that reaches the app."""
        self.hops: tuple[Hop, ...] = tuple(reversed(hops))
        self._row = Row(self.hops)

    @property
    def timed(self) -> bool:
        """May this chain ever want to be woken?"""
        return any(rule.timed for hop in self.hops for rule, _ in hop.stages)

    @property
    def deadline(self) -> float | None:
        """When the chain next wants to be woken, seconds on the driver's clock."""
        return self._row.deadline

    @property
    def held(self) -> int:
        """Body bytes inside the chain right now."""
        return self._row.held

    def receive(self, event: Event, now: float) -> Events:
        """Take ``event`` from the app's side; return what leaves toward the reader."""
        out = self._row.receive(event, now)
        if type(event) is Head:
            self._row.prune()
        return out

    def wake(self, now: float) -> Events:
        """The deadline has come; return what leaves toward the reader."""
        return self._row.wake(now)
