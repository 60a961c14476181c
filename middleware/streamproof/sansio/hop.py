"""Run the stages of a hop as one stage (:class:`Hop`), and several hops as one machine (:class:`Chain`).

A :class:`HopPlan` is a profile with its options set. When the head comes, the hop decides once which of its stages
apply to the response. The stages are in ``stages/``.
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
    """One stage of a hop, when it applies, and how a verdict describes it.

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
        """Whether the stage ever sets a deadline."""
        return getattr(self.settings, "timed", False)

    @property
    def cuts(self) -> bool:
        """Whether the stage ends a response that its upstream did not end."""
        return getattr(self.settings, "cuts", False)

    @property
    def tls(self) -> bool:
        """Whether the stage writes TLS records, so that the reader must speak TLS."""
        return getattr(self.settings, "tls", False)

    def applies(self, request: Request, head: Head) -> bool:
        """Return whether this stage applies to this response."""
        return all(_matches(key, values, request, head) for key, values in self.when.items()) and not any(
            _matches(key, values, request, head) for key, values in self.unless.items()
        )


#: The conditions of a rule. NAME stands for any header field.
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
    """Return whether ``key`` is one of :data:`CONDITIONS`."""
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
    """What one hop does, fixed before the request: name, own requests, stages from upstream to downstream.


    ``ask`` is the HTTP version of its requests. ``gets_head``: it sends GET for a HEAD, to learn GET's head.
    """

    name: str
    ask: Ask = "1.1"
    rules: tuple[Rule, ...] = ()
    adds_request: tuple[tuple[str, str], ...] = ()
    grade: str = "measured"
    gets_head: bool = False

    def request_upstream(self, request: Request) -> Request:
        """Return the request that this hop sends upstream."""
        version = self.ask if self.ask != "same" else "1.0" if request.http_version == "1.0" else "1.1"
        method = "GET" if self.gets_head and request.method == "HEAD" else request.method
        headers = (*request.headers, *self.adds_request)
        return request._replace(method=method, http_version=version, headers=headers)

    def start(self, request: Request, now: float) -> Hop:
        """Return the hop for one response, which its reader requested with ``request`` at ``now``."""
        return Hop(self, request, now)


class Hop(Stage):
    """Run one hop on one response."""

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
    """Return ``events`` as the next hop sees them: a cut by this hop is an abort by its upstream."""
    return [event._replace(own=False, discard=False) if type(event) is Cut else event for event in events]


class Chain:
    """Run hops in a row, app side first, on one response."""

    def __init__(self, plans: Sequence[HopPlan], request: Request, now: float) -> None:
        hops = []
        for plan in reversed(plans):
            hops.append(plan.start(request, now))
            request = plan.request_upstream(request)
        self.request = request
        """The request that reaches the app."""
        self.hops: tuple[Hop, ...] = tuple(reversed(hops))
        self._row = Row(self.hops)

    @property
    def timed(self) -> bool:
        """Whether this chain may ever set a deadline."""
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
        """Take ``event`` from the app's side. Return what leaves toward the reader."""
        out = self._row.receive(event, now)
        if type(event) is Head:
            self._row.prune()
        return out

    def wake(self, now: float) -> Events:
        """Act on the deadline that has come. Return what leaves toward the reader."""
        return self._row.wake(now)
