"""Two threads say one word at a time to each other: none is lost, none is early, and who waits can be called away."""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamproof.adapters.wsgi import pump

from ...support import countings

LIMIT = 5.0  # seconds that no step takes


@pytest.fixture(params=countings.BOTH)
def line(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    countings.count(request.param, monkeypatch)
    return pump._line()


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads that change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def answering(line: Any, pause: float = 0.0) -> threading.Thread:
    """A thread that brings numbers until it is ordered to stop."""

    def work() -> None:
        number, order = 0, line.begin()
        while order:
            if pause:
                time.sleep(pause)
            order = line.bring(number)
            number += 1
        line.finish("over")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize(("pause", "words"), [(0.0, 5000), (0.0002, 200)], ids=["watching", "asleep"])
def test_each_order_brings_one_word_in_order(line: Any, pause: float, words: int) -> None:
    thread = answering(line, pause)
    assert [line.ask(True, LIMIT) for _ in range(words)] == list(range(words))
    assert line.ask(False, LIMIT) == "over"
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_a_word_that_is_late_comes_later(line: Any) -> None:
    free = threading.Event()

    def work() -> None:
        line.begin()
        free.wait(LIMIT)
        line.bring("late")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    for timeout in (0.0, 0.001):
        with pytest.raises(queue.Empty):
            line.ask(True, timeout) if not timeout else line.wait(timeout)
    free.set()
    assert line.wait(None) == "late"
    line.order(False)
    thread.join(LIMIT)


@pytest.mark.usefixtures("line")
def test_nobody_is_kept_alive_by_a_word_that_nobody_heard() -> None:
    class Word:
        def __del__(self) -> None:
            gone.append(True)

    gone, line = list[bool](), pump._line()
    line.finish(Word())
    del line
    assert gone == [True]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_a_signal_is_handled_while_the_main_thread_waits_and_may_end_the_wait(line: Any) -> None:
    class Called(BaseException):
        pass

    def handle(number: int, frame: Any) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise Called

    calls, before = list[int](), signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        with pytest.raises(Called):
            line.ask(True, LIMIT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(calls) == 2


def test_many_lines_at_once(line: Any) -> None:
    """More threads than processors: those that wait must let the others run."""

    def ask() -> None:
        mine = pump._line()
        thread = answering(mine)
        found.append([mine.ask(True, LIMIT) for _ in range(200)] == list(range(200)))
        mine.ask(False, LIMIT)
        thread.join(LIMIT)

    found = list[bool]()
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 16
