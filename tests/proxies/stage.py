"""A running configuration with an origin in front of it, and the takes that are played through both.

A take carries how late each party was; whether that makes it void is decided in :mod:`tests.proxies.judge`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from streamproof.sansio.trace import Trace

from . import waits
from .configurations import Configuration
from .origin import Origin
from .products import family_of
from .reader import read
from .schedules import Schedule
from .tls import trusting

#: Seconds. Two arrivals are a burst below twice this, and a byte's lag may err by as much (tests.proxies.compare):
#: a party that was later than this can make a difference by itself.
PUNCTUAL = 0.005


@dataclass(frozen=True, slots=True)
class Lateness:
    """By how much each party came too late in one take, in seconds.

    ``origin``: its latest write, against the schedule. ``reader``: its longest wait for a processor before an arrival.
    ``hops``: the waits of all threads of their processes together, as nobody knows which of them counts.
    """

    origin: float = 0.0
    reader: float = 0.0
    hops: float = 0.0

    @property
    def excessive(self) -> bool:
        """Can it be the reason why the take differs from its replay?"""
        return max(self.origin, self.reader, self.hops) > PUNCTUAL

    def __str__(self) -> str:
        each = (("origin", self.origin), ("reader", self.reader), ("hops", self.hops))
        return ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in each)


@dataclass(frozen=True, slots=True)
class Take:
    """One play: what the origin put on the wire, what the reader got, how late everybody was."""

    origin: Trace
    real: Trace
    late: Lateness = Lateness()


class Stage:
    """A running configuration with its origin; ``play`` plays one schedule through it.

    ``hops`` are the processes between the two, those that this one started if it is left out.
    """

    def __init__(
        self,
        origin: Origin,
        port: int,
        tls: ssl.SSLContext | None = None,
        http_version: str | None = None,
        *,
        hops: set[int] | None = None,
    ) -> None:
        self._origin, self._port, self._tls, self._http_version = origin, port, tls, http_version
        self._hops = family_of(os.getpid()) - {os.getpid()} if hops is None else hops

    def play(self, schedule: Schedule) -> Take:
        """What one play of ``schedule`` gave. A play that the origin never saw has an origin trace without a head."""
        play = self._origin.expect(schedule)
        request = schedule.request(play.target, self._http_version)
        before = waits.of_processes(self._hops)
        started, real, reader_late = read(self._port, request, self._tls)
        play.over.wait(2)
        if not play.answers:
            raise AssertionError(f"The proxy answered {schedule.name} without asking the origin: {real}")
        answer = play.answers[-1]
        late = Lateness(answer.late, reader_late, waits.of_processes(self._hops) - before)
        return Take(answer.trace(request, schedule.status, started), real, late)


@contextlib.contextmanager
def staged(configuration: Configuration, *, buffers: bool = False) -> Iterator[Stage]:
    """The configuration at work in front of an origin of its own."""
    with Origin(buffers=buffers) as origin, configuration.running(origin.port) as site:
        context = trusting(site.certificate, configuration.reads or "")
        yield Stage(origin, site.port, context, configuration.http_version)


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
    with no_collection(), ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, schedules))


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """No garbage is collected inside."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
