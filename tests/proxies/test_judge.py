"""A take in which somebody was late is void and is played again; a punctual one that disagrees stands."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from streamproof import replay
from streamproof.sansio.trace import Chunk, Outcome, Request, Response, StreamEnd, Trace

from . import answer
from .configurations import Configuration
from .judge import MOST_TRIES, MOST_VOID, Verdict, against_replay, play_again, punctual
from .schedules import Schedule, sizes
from .stage import Lateness, Take, staged

SCHEDULE = Schedule("three", sizes(20, 20, 20, every=0.03))
DIRECT = Configuration("direct", ())
VIA = "passthrough"


def sent() -> Trace:
    """What the origin of a scripted take sent."""
    chunks = tuple(Chunk(at, 2, None, b"aa") for at in (0.01, 0.05, 0.09))
    return Trace(Request(), Response(200, (), 0.001, 60, "close"), chunks, StreamEnd(0.1, Outcome.COMPLETE))


def right(late: Lateness = Lateness()) -> Take:  # noqa: B008
    """A take that agrees with its replay."""
    return Take(sent(), replay(sent(), VIA), late)


def wrong(late: Lateness = Lateness(), merged: int = 2) -> Take:  # noqa: B008
    """A take whose reader got the first ``merged`` writes as one."""
    real = replay(sent(), VIA)
    first = Chunk(real.chunks[merged - 1].at, 2 * merged, None, b"aa" * merged)
    return Take(sent(), Trace(real.request, real.response, (first, *real.chunks[merged:]), real.end), late)


LATE = Lateness(origin=0.012)


class Script:
    """Stands for a stage: plays these takes in order, the last one for ever."""

    def __init__(self, *takes: Take) -> None:
        self.takes, self.plays = takes, 0

    def play(self, schedule: Schedule) -> Take:
        self.plays += 1
        return self.takes[min(self.plays, len(self.takes)) - 1]


def judged(first: Take, *more: Take) -> Verdict:
    """The verdict on a pair whose first take is ``first``."""
    verdict = Verdict("direct", VIA, SCHEDULE.name, [first], against_replay(first, VIA))
    play_again(Script(*more), SCHEDULE, verdict)  # type: ignore[arg-type]
    return verdict


def test_a_disagreement_that_comes_out_the_same_twice_stands() -> None:
    verdict = judged(wrong(), wrong(), right())
    assert not verdict.agrees and len(verdict.takes) == 2 and not verdict.void
    assert "too busy" not in str(verdict)


@pytest.mark.parametrize("late", [LATE, Lateness(reader=0.012), Lateness(hops=0.012)], ids=str)
def test_a_void_take_is_played_again(late: Lateness) -> None:
    verdict = judged(wrong(late), wrong(late), right())
    assert verdict.agrees and len(verdict.takes) == 3 and verdict.void == 2


def test_a_disagreement_after_void_takes_stands() -> None:
    verdict = judged(wrong(LATE), wrong(), wrong(), right())
    assert not verdict.agrees and len(verdict.takes) == 3


def test_void_takes_cost_no_tries() -> None:
    """Repetitions that differ are played again as often as without void ones between them."""
    noise = [take for _ in range(MOST_TRIES) for take in (wrong(LATE), wrong(), wrong(merged=3))]
    verdict = judged(wrong(), *noise)
    assert not verdict.agrees and len(verdict.takes) - verdict.void == MOST_TRIES


def test_a_machine_that_is_always_too_busy_is_reported() -> None:
    verdict = judged(wrong(LATE), wrong(LATE))
    assert not verdict.agrees and verdict.void == MOST_VOID
    assert f"not judged: the machine is too busy, {MOST_VOID} plays are void" in str(verdict)
    assert "late: origin 12.0 ms" in str(verdict)


def test_a_control_waits_for_a_punctual_take() -> None:
    script = Script(right(LATE), right(LATE), wrong())
    assert punctual(script, SCHEDULE, lambda take: False) is script.takes[2]  # type: ignore[arg-type]


def test_a_control_takes_what_is_enough_at_once() -> None:
    script = Script(wrong(LATE), right())
    assert punctual(script, SCHEDULE, lambda take: bool(against_replay(take, VIA))) is script.takes[0]  # type: ignore[arg-type]


def test_a_control_without_a_punctual_take_fails() -> None:
    with pytest.raises(AssertionError, match="too busy: all 25 plays are void"):
        punctual(Script(right(LATE)), SCHEDULE, lambda take: False)  # type: ignore[arg-type]


def test_an_origin_that_oversleeps_reports_it_and_keeps_its_writes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writes that come together would be one burst in the log, too, and prove nothing."""
    sleeps: list[float] = []

    def oversleep(seconds: float) -> None:
        sleeps.append(seconds)
        time.sleep(seconds + (0.05 if len(sleeps) == 1 else 0.0))

    monkeypatch.setattr(answer, "time", SimpleNamespace(sleep=oversleep, monotonic=time.monotonic))
    with staged(DIRECT) as stage:
        take = stage.play(SCHEDULE)
    assert take.late.origin >= 0.05 and take.late.excessive
    first, second, third = (chunk.at for chunk in take.origin.chunks)
    assert second - first >= 0.028 and third - second >= 0.028


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="needs /proc/self/schedstat")
def test_a_thread_that_waits_for_its_processor_is_seen() -> None:
    """Two processes on one processor; each waits while the other one runs."""
    script = """
        import os, time
        from tests.proxies import waits
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        child = os.fork()
        deadline = time.monotonic() + 30
        while child == 0:
            pass
        waited = 0.0, 0.0
        while min(waited) < 0.02 and time.monotonic() < deadline:
            waited = waits.of_this_thread(), waits.of_processes([child])
        print(min(waited) >= 0.02, waits.of_processes([os.getpid(), child]) > max(waited))
        os.kill(child, 9)
        os.waitpid(child, 0)
        print(waits.of_processes([child]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.split() == ["True", "True", "0.0"]
