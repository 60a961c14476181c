"""One thread owns the app: no run-ahead, context carried, closed where it ran, never left over."""

from __future__ import annotations

import contextvars
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from streamproof.adapters.wsgi.pump import Pump, Step, alive, refused, stuck

LIMIT = 5.0  # seconds that no step takes


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("streamproof-pump")}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("streamproof-pump"):
            thread.join(LIMIT)
    assert threads() == set()
    assert stuck() == 0
    assert alive() == 0


def pulled(pump: Pump) -> tuple[Step, object]:
    brought = pump.pull(LIMIT)
    assert brought is not None
    return brought.step, brought.value


def test_a_pull_brings_one_thing_and_the_app_makes_no_more() -> None:
    made: list[int] = []

    def blocks() -> Iterator[bytes]:
        for number in range(2):
            made.append(number)
            yield b"%d" % number

    pump = Pump(lambda write: blocks(), "GET /")
    assert made == []
    assert pulled(pump)[0] is Step.RETURNED
    assert made == []
    assert pulled(pump) == (Step.BLOCK, b"0")
    assert made == [0]
    assert pulled(pump) == (Step.BLOCK, b"1")
    assert pulled(pump) == (Step.EXHAUSTED, None)
    assert pulled(pump) == (Step.EXHAUSTED, None)
    pump.close()
    pump.close()


def test_write_is_a_block_that_waits_to_be_pulled() -> None:
    steps: list[str] = []

    def app(write: Any) -> Iterable[bytes]:
        write(b"a")
        steps.append("taken")
        return [b"b"]

    pump = Pump(app, "GET /")
    assert pulled(pump) == (Step.WRITTEN, b"a")
    assert steps == []
    assert pulled(pump)[0] is Step.RETURNED
    assert steps == ["taken"]
    pump.close()


def test_an_app_that_writes_after_the_close_is_stopped() -> None:
    pump = Pump(lambda write: [write(b"a"), write(b"b")], "GET /")  # type: ignore[list-item]
    assert pulled(pump) == (Step.WRITTEN, b"a")
    pump.close()


def test_the_app_runs_in_one_thread_with_the_context_of_the_request() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("request")
    seen: list[tuple[int, str]] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            seen.append((threading.get_ident(), variable.get()))
            yield b""

        def close(self) -> None:
            seen.append((threading.get_ident(), variable.get()))

    def app(write: Any) -> Body:
        seen.append((threading.get_ident(), variable.get()))
        return Body()

    pump = Pump(app, "GET /")
    for _ in range(3):
        pulled(pump)
    pump.close()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0][0] != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1)])
def test_an_exception_is_brought_and_the_iterable_still_closed(error: BaseException) -> None:
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            raise error

        def close(self) -> None:
            closed.append(True)

    pump = Pump(lambda write: Body(), "GET /")
    pulled(pump)
    brought = pump.pull(LIMIT)
    assert brought is not None
    assert brought.step is Step.RAISED
    assert brought.value is error
    pump.close()
    assert closed == [True]


def test_what_close_raises_is_raised_in_the_servers_thread() -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter(())

        def close(self) -> None:
            raise RuntimeError("in close")

    pump = Pump(lambda write: Body(), "GET /")
    pulled(pump)
    with pytest.raises(RuntimeError, match="in close"):
        pump.close()


def test_a_late_block_is_still_coming_and_a_stuck_app_is_counted_and_named() -> None:
    go, closed = threading.Event(), threading.Event()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            go.wait(LIMIT)
            yield b"late"

        def close(self) -> None:
            closed.set()

    pump = Pump(lambda write: Body(), "GET /slow")
    pulled(pump)
    assert pump.pull(0.01) is None
    assert pump.pull(0.0) is None
    pump.close()
    assert stuck() == 1
    assert threads() == {"streamproof-pump GET /slow"}
    assert not closed.is_set()
    go.set()
    assert closed.wait(LIMIT)


@pytest.mark.parametrize("pulls", [0, 1, 2])
def test_a_forgotten_pump_ends_its_thread(pulls: int) -> None:
    closed = threading.Event()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"

        def close(self) -> None:
            closed.set()

    pump = Pump(lambda write: Body(), "GET /")
    for _ in range(pulls):
        pulled(pump)
    del pump
    gc.collect()
    if pulls:
        assert closed.wait(LIMIT)


@pytest.mark.parametrize("queues", [True, False], ids=["all", "queues left alone"])
def test_it_works_with_threads_that_gevent_has_replaced(queues: bool) -> None:
    pytest.importorskip("gevent")
    program = f"""
from gevent import monkey; monkey.patch_all(queue={queues})
import gevent, time
from streamproof.adapters.wsgi.pump import Pump, Step
def blocks():
    time.sleep(0.05)
    yield b"late"
pump = Pump(lambda write: blocks(), "GET /")
assert pump.pull(5).step is Step.RETURNED
ticks = []
def tick():
    ticks.append(1)
gevent.spawn(tick)
assert pump.pull(0.001) is None
assert ticks, "the wait held the hub"
assert pump.pull(5).value == b"late"
pump.close()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=30)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_a_signal_is_handled_while_the_main_thread_waits_and_may_end_the_wait() -> None:
    class Called(BaseException):
        pass

    def handle(number: int, frame: Any) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise Called

    go, calls, before = threading.Event(), list[int](), signal.signal(signal.SIGALRM, handle)
    pump = Pump(lambda write: [b"" for _ in range(1) if go.wait(LIMIT)], "GET /")
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        with pytest.raises(Called):
            pump.pull(LIMIT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        go.set()
        pump.close()
    assert len(calls) == 2


def test_many_pumps_at_once_lose_nothing() -> None:
    """More threads than processors, which change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        pumps = [Pump(lambda write: (b"%d" % number for number in range(50)), "GET /") for _ in range(16)]
        for pump in pumps:
            assert pulled(pump)[0] is Step.RETURNED
        for number in range(50):
            for pump in pumps:
                assert pulled(pump) == (Step.BLOCK, b"%d" % number)
        for pump in pumps:
            pump.close()
    finally:
        sys.setswitchinterval(before)


def test_no_more_threads_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproof.adapters.wsgi.pump.MOST_THREADS", 2)
    before = refused["pump"]
    pumps = [Pump.start(lambda write: [b"a"], "GET /") for _ in range(3)]
    assert [pump is None for pump in pumps] == [False, False, True]
    assert refused["pump"] == before + 1
    for pump in pumps:
        if pump is not None:
            pump.close()
    again = Pump.start(lambda write: [b"a"], "GET /")
    assert again is not None, "a thread that ended makes room"
    again.close()
