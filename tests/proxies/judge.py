"""Plays pairs through a running configuration and judges each, with the noise of the machine in mind.

A pair that disagrees is played again only when its take may be no measurement: somebody was late (such a take is void),
two repetitions of the real proxy differ from each other by more than the comparison allows, or a write meets a timer of
the kernel's. Which disagreements are expected stands in :mod:`tests.proxies.known`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from streamproof import replay
from streamproof.sansio.trace import Trace

from .compare import LATE, Difference, bursts, differences, lateness, noisy, picture
from .configurations import Configuration
from .schedules import Schedule
from .stage import Stage, Take, no_collection, play_all, staged

#: Plays of one pair at most that are not void, the first included, and void ones.
MOST_TRIES, MOST_VOID = 5, 25
#: Pairs that play at the same time: what waits costs nothing, but two that write in the same moment disturb each other.
AT_ONCE = 2


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

    @property
    def void(self) -> int:
        """How many takes say nothing, because somebody was late."""
        return sum(take.late.excessive for take in self.takes)

    def __str__(self) -> str:
        last = self.takes[-1]
        lines = [f"{self.configuration} / {self.schedule} ({len(self.takes)} plays, via {self.via!r})"]
        if last.late.excessive:
            lines.append(f"  not judged: the machine is too busy, {self.void} plays are void")
        lines += [f"  {difference}" for difference in self.differences]
        lines.append(f"  origin sent {picture(last.origin)}")
        lines.append(f"  late: {last.late}")
        lines.append(f"  again: python -m tests.proxies.sweep {self.configuration} -s {self.schedule} --floor 0")
        return "\n".join(lines)


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
                play_again(stage, schedule, verdict, configuration.varies)
            verdicts.append(verdict)
    return verdicts


def against_replay(take: Take, via: str) -> list[Difference]:
    """In what this take differs from the replay of what its origin sent."""
    return differences(take.origin, take.real, replay(take.origin, via))


def punctual(stage: Stage, schedule: Schedule, enough: Callable[[Take], bool]) -> Take:
    """The first take that is ``enough`` or not void. Fails when the machine is too busy for one."""
    for _ in range(MOST_VOID):
        take = stage.play(schedule)
        if enough(take) or not take.late.excessive:
            return take
    raise AssertionError(f"The machine is too busy: all {MOST_VOID} plays are void. In the last one, late: {take.late}")


def on_an_edge(origin: Trace, via: str, varies: float) -> bool:
    """Are there other bursts when the hop's timers run by ``varies``, a share, faster or slower than the origin?"""
    if not varies or origin.response is None:
        return False
    predictions = (bursts(replay(_slower(origin, times), via)) for times in (1 - varies, 1.0, 1 + varies))
    return len({tuple(burst.upto for burst in each) for each in predictions}) > 1


def _slower(origin: Trace, times: float) -> Trace:
    """``origin`` with every moment ``times`` as late."""
    response = origin.response
    return replace(
        origin,
        response=response and response._replace(at=response.at * times),
        chunks=tuple(chunk._replace(at=chunk.at * times) for chunk in origin.chunks),
        end=origin.end._replace(at=origin.end.at * times),
    )


def play_again(stage: Stage, schedule: Schedule, verdict: Verdict, varies: float = 0.0) -> None:
    """Play a pair that disagrees again, alone, as long as lateness or noise can be the reason.

    Lateness can when the take, or the one that it is held against, is void. Noise can when two repetitions differ too
    much in what the reader got or in what the origin did, or in so little that only their replays differ: then one of
    them lies on an edge; it lies on one, too, where a timer that ``varies`` ends as a write comes. Where nothing but a
    byte's time was wrong, they need only differ by what it was beyond the limit. What else comes out the same twice
    stands as it is.
    """
    before = verdict.takes[-1]
    predicted_before = replay(before.origin, verdict.via)
    while len(verdict.takes) - verdict.void < MOST_TRIES and verdict.void < MOST_VOID:
        with no_collection():
            take = stage.play(schedule)
        verdict.takes.append(take)
        predicted = replay(take.origin, verdict.via)
        by = LATE
        if all(difference.of_time for difference in verdict.differences):
            by = min(LATE, lateness(before.real, predicted_before) - LATE)
        explained = (
            before.late.excessive
            or take.late.excessive
            or noisy(before.real, take.real, by)
            or noisy(before.origin, take.origin, by)
            or noisy(predicted_before, predicted, by)
            or on_an_edge(take.origin, verdict.via, varies)
        )
        if not explained:
            return
        verdict.differences = differences(take.origin, take.real, predicted)
        if verdict.agrees:
            return
        before, predicted_before = take, predicted
