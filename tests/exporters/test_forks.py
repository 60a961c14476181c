"""Locks that another thread holds when a process forks: the child streams all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from streamproof.exporters.background import Background
from streamproof.exporters.counting import Counting
from streamproof.exporters.escape import LabelLimit
from streamproof.exporters.periodic import Periodic

from ..support.exported import trace

#: Seconds after which a child that hangs is killed.
LIMIT = 10


class Counts:
    """An exporter that counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, trace: Any, *, route: str | None = None) -> None:
        raise AssertionError("it has count_trace")

    def count_trace(self, trace: Any, *, route: str | None = None) -> None:
        self.count += 1


def locks(*owners: object) -> list[Any]:
    kinds = (type(threading.Lock()), type(threading.RLock()))
    return [value for owner in owners for value in vars(owner).values() if isinstance(value, kinds)]


@contextmanager
def held(*found: Any) -> Iterator[None]:
    """Another thread holds these locks."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in found:
            lock.acquire()
        holding.set()
        done.wait(LIMIT)
        for lock in found:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(LIMIT)
    try:
        yield
    finally:
        done.set()
        thread.join()


def child(act: Callable[[], bool]) -> int:
    """The exit status of a forked process in which ``act`` returned True, else another number."""
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT)
        try:
            os._exit(0 if act() else 1)
        finally:
            os._exit(2)
    return os.waitpid(pid, 0)[1]


def background() -> tuple[list[Any], Callable[[], bool]]:
    seen: list[Any] = []

    def export(trace: Any, *, route: str | None = None) -> None:
        seen.append(trace)

    counts = Counts()
    made = Background({"seen": export, "counts": counts})

    def act() -> bool:
        made(trace())
        return made.flush(LIMIT / 2) and len(seen) == counts.count == 1

    return locks(made, made.counting), act


def periodic() -> tuple[list[Any], Callable[[], bool]]:
    looked = threading.Event()

    def look() -> bool:
        looked.set()
        return False

    made = Periodic(look, every=0.01)

    def act() -> bool:
        made.opened()
        return looked.wait(LIMIT / 2)

    act.made = made  # type: ignore[attr-defined]
    return locks(made), act


def labels() -> tuple[list[Any], Callable[[], bool]]:
    made = LabelLimit(2)
    return locks(made), lambda: made("/a") == "/a"


def counting() -> tuple[list[Any], Callable[[], bool]]:
    made, seen = Counting(), []

    def act() -> bool:
        made.add(lambda: seen.append(1))
        made.run()
        return seen == [1]

    return locks(made), act


@pytest.mark.parametrize("make", [background, periodic, labels, counting])
def test_a_lock_that_is_held_at_the_fork_does_not_hold_the_child(
    make: Callable[[], tuple[list[Any], Callable[[], bool]]],
) -> None:
    found, act = make()
    assert found
    with held(*found):
        assert child(act) == 0


def test_what_the_parent_has_queued_stays_the_parents() -> None:
    counts = Counts()
    made = Background({"counts": counts})
    made.counting.add(lambda: counts.count_trace(None))

    def act() -> bool:
        made(trace())
        return counts.count == 1

    assert child(act) == 0
    made.counting.run()
    assert counts.count == 1
