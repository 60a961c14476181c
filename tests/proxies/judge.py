"""Plays pairs through a running configuration and judges each, with the noise floor of the machine in mind.

Knows when a pair may be played again: only when two repetitions of the real proxy differ from each other by more than
the comparison allows, or a write meets a timer of the kernel's, so that the one judged is no measurement. Does not know
which disagreements are expected.
"""

from __future__ import annotations

import contextlib
import gc
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from streamproof import replay
from streamproof.sansio.trace import Trace

from .compare import LATE, Difference, bursts, differences, lateness, noisy, picture
from .configurations import Configuration
from .origin import Origin
from .reader import read
from .schedules import Schedule
from .tls import trusting

#: Plays of one pair at most, the first included.
MOST_TRIES = 5
#: Pairs that play at the same time: what waits costs nothing, but two that write in the same moment disturb each other.
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Take:
    """One play: what the origin put on the wire, what the reader got."""

    origin: Trace
    real: Trace


@dataclass(slots=True)
class Verdict:
    """One pair judged: its takes, in order, and in what the last one differs from its replay."""

    configuration: str
    via: str
    schedule: str
    takes: list[Take] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Does replay say what the reader got?"""
        return not self.differences

    def __str__(self) -> str:
        origin = self.takes[-1].origin
        lines = [f"{self.configuration} / {self.schedule} ({len(self.takes)} plays, via {self.via!r})"]
        lines += [f"  {difference}" for difference in self.differences]
        lines.append(f"  origin sent {picture(origin)}")
        lines.append(f"  again: python -m tests.proxies.sweep {self.configuration} -s {self.schedule} --floor 0")
        return "\n".join(lines)


class Stage:
    """A running configuration with its origin; ``play`` plays one schedule through it."""

    def __init__(self, origin: Origin, port: int, tls: ssl.SSLContext | None, http_version: str | None) -> None:
        self._origin, self._port, self._tls, self._http_version = origin, port, tls, http_version

    def play(self, schedule: Schedule) -> Take:
        """What one play of ``schedule`` gave. A play that the origin never saw has an origin trace without a head."""
        play = self._origin.expect(schedule)
        request = schedule.request(play.target, self._http_version)
        started, real = read(self._port, request, self._tls)
        play.over.wait(2)
        if not play.answers:
            raise AssertionError(f"The proxy answered {schedule.name} without asking the origin: {real}")
        return Take(play.answers[-1].trace(request, schedule.status, started), real)


@contextlib.contextmanager
def staged(configuration: Configuration, *, joins: bool = False) -> Iterator[Stage]:
    """The configuration at work in front of an origin of its own."""
    with Origin(joins=joins) as origin, configuration.running(origin.port) as site:
        context = trusting(site.certificate, configuration.reads or "")
        yield Stage(origin, site.port, context, configuration.http_version)


def judge(
    configuration: Configuration,
    schedules: Sequence[Schedule],
    *,
    at_once: int = AT_ONCE,
    played: Callable[[Schedule], None] = lambda schedule: None,
) -> list[Verdict]:
    """Play every schedule through the configuration and judge each pair; ``played`` is called after each.

    Raises Missing and Failed (see :mod:`tests.proxies.products`) and ConfigurationError when the via is unknown.
    """
    verdicts = []
    with staged(configuration) as stage:
        todo = [schedule for schedule in schedules if configuration.plays(schedule)]
        for schedule, take in zip(todo, play_all(stage, todo, at_once, played), strict=True):
            verdict = Verdict(configuration.name, configuration.via, schedule.name, [take])
            verdict.differences = against_replay(take, configuration.via)
            if not verdict.agrees:
                _again(stage, schedule, verdict, configuration.varies)
            verdicts.append(verdict)
    return verdicts


def against_replay(take: Take, via: str) -> list[Difference]:
    """In what this take differs from the replay of what its origin sent."""
    return differences(take.origin, take.real, replay(take.origin, via))


def play_all(
    stage: Stage, schedules: Sequence[Schedule], at_once: int, played: Callable[[Schedule], None]
) -> list[Take]:
    """A take of each schedule. Nothing is computed and nothing collected meanwhile: that would be noise."""

    def one(schedule: Schedule) -> Take:
        take = stage.play(schedule)
        played(schedule)
        return take

    for schedule in schedules:
        assert len(schedule.body) == schedule.size  # made before anything is timed
    with _no_collection(), ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, schedules))


def on_an_edge(origin: Trace, via: str, varies: float) -> bool:
    """Are there other bursts when the hop's timers run by ``varies``, a share, faster or slower than the origin?"""
    if not varies or origin.response is None:
        return False
    told = (bursts(replay(_slower(origin, times), via)) for times in (1 - varies, 1.0, 1 + varies))
    return len({tuple(burst.upto for burst in each) for each in told}) > 1


def _slower(origin: Trace, times: float) -> Trace:
    """``origin`` with every moment ``times`` as late."""
    response = origin.response
    return replace(
        origin,
        response=response and replace(response, at=response.at * times),
        chunks=tuple(chunk._replace(at=chunk.at * times) for chunk in origin.chunks),
        end=replace(origin.end, at=origin.end.at * times),
    )


def _again(stage: Stage, schedule: Schedule, verdict: Verdict, varies: float) -> None:
    """Play a pair that disagrees again, alone, as long as noise can be the reason.

    It can when two repetitions differ too much in what the reader got or in what the origin did, or in so little that
    only their replays differ: then one of them lies on an edge; it lies on one, too, where a timer that ``varies`` ends
    as a write comes. Where nothing but a byte's time was wrong, they need only differ by what it was beyond the limit.
    What else comes out the same twice stands as it is.
    """
    before, told_before = verdict.takes[-1], replay(verdict.takes[-1].origin, verdict.via)
    while len(verdict.takes) < MOST_TRIES:
        with _no_collection():
            take = stage.play(schedule)
        verdict.takes.append(take)
        told = replay(take.origin, verdict.via)
        by = LATE
        if all(difference.of_time for difference in verdict.differences):
            by = min(LATE, lateness(before.real, told_before) - LATE)
        floor_explains = (
            noisy(before.real, take.real, by)
            or noisy(before.origin, take.origin, by)
            or noisy(told_before, told, by)
            or on_an_edge(take.origin, verdict.via, varies)
        )
        if not floor_explains:
            return
        verdict.differences = differences(take.origin, take.real, told)
        if verdict.agrees:
            return
        before, told_before = take, told


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
