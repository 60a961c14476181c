"""Stepped clocks step for their thread alone, loops jump, and all of it is undone."""

import asyncio
import queue
import sys
import threading
import time
import types
from time import sleep as sleep_taken_by_name

import pytest

from streamproof.testing.clocks import ClockError, VirtualClock, VirtualLoop, is_virtual, stepped

REAL = {name: getattr(time, name) for name in ("sleep", "monotonic", "monotonic_ns", "perf_counter", "time", "time_ns")}


def test_sleeps_step_every_clock_of_the_time_module() -> None:
    with stepped() as clock:
        before = time.monotonic(), time.perf_counter(), time.time(), time.monotonic_ns(), time.time_ns()
        time.sleep(3600)
        after = time.monotonic(), time.perf_counter(), time.time(), time.monotonic_ns(), time.time_ns()
        steps = [late - early for early, late in zip(before, after, strict=True)]
        assert steps[:3] == [pytest.approx(3600)] * 3
        assert [step / 1e9 for step in steps[3:]] == [pytest.approx(3600)] * 2
        assert clock.slept == [3600]
        assert repr(clock) == "<SteppedClock at 3600.000 s>"


def test_everything_is_undone_also_after_an_error() -> None:
    with pytest.raises(KeyError), stepped():
        assert time.sleep is not REAL["sleep"]
        raise KeyError
    assert {name: getattr(time, name) for name in REAL} == REAL


def test_other_threads_keep_real_time() -> None:
    seen: queue.Queue[tuple[float, float]] = queue.Queue()

    def other() -> None:
        seen.put((time.monotonic(), REAL["monotonic"]()))
        time.sleep(0)

    with stepped():
        time.sleep(3600)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        told, real = seen.get()
        assert abs(told - real) < 60


def test_overlapping_clocks_of_two_threads_are_undone_by_the_last_to_leave() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with stepped():
            inside.set()
            leave.wait(10)
            time.sleep(3600)

    thread = threading.Thread(target=other)
    with stepped():
        thread.start()
        assert inside.wait(10)
    assert time.sleep is not REAL["sleep"]
    leave.set()
    thread.join(10)
    assert time.sleep is REAL["sleep"]


def test_the_standard_library_keeps_real_time() -> None:
    with stepped():
        time.sleep(3600)
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(timeout=0.001)
        assert not threading.Event().wait(0.001)


def test_names_taken_by_import_step_when_their_module_is_named() -> None:
    module = types.ModuleType("app_module")
    module.sleep = sleep_taken_by_name  # type: ignore[attr-defined]
    with stepped(also=[module]) as clock:
        module.sleep(60)
    assert clock.slept == [60]
    assert module.sleep is REAL["sleep"]
    with stepped(also=[test_names_taken_by_import_step_when_their_module_is_named]) as clock:  # type: ignore[list-item]
        sleep_taken_by_name(60)
    assert clock.slept == [60]
    assert sleep_taken_by_name is REAL["sleep"]


def test_an_endless_sleeper_runs_out_of_virtual_time() -> None:
    with stepped(limit=100), pytest.raises(ClockError, match="Virtual time ran past 100 s"):
        while True:
            time.sleep(1)


def test_negative_sleeps_are_errors_as_they_are_in_real_time() -> None:
    with stepped(), pytest.raises(ValueError, match="non-negative"):
        time.sleep(-1)


def test_one_thread_has_one_clock() -> None:
    with stepped(), pytest.raises(RuntimeError, match="stepped already"), stepped():
        raise AssertionError("not reached")


def test_a_loop_jumps_to_its_next_timer() -> None:
    order: list[tuple[float, str]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((asyncio.get_running_loop().time(), name))

    async def main() -> None:
        assert is_virtual()
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 3600))
            group.create_task(sleeper("early", 60))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.sleep(61)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(VirtualClock(limit=10_000))) as runner:
        runner.run(main())
    assert order == [(60.0, "early"), (3600.0, "late")]


def test_a_loop_waits_for_threads_when_nothing_is_scheduled() -> None:
    async def main() -> int:
        return await asyncio.to_thread(lambda: 7)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == 7


def test_a_loop_that_nothing_can_wake_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproof.testing.clocks.IDLE_LIMIT", 0.01)

    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualLoop()
    task = loop.create_task(main())
    with pytest.raises(ClockError, match="Does the app wait for something that no clock brings"):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_virtual_or_real_is_known_everywhere() -> None:
    assert not is_virtual()
    with stepped():
        assert is_virtual()

    async def real() -> bool:
        return is_virtual()

    assert not asyncio.run(real())
    if "trio" in sys.modules:
        import trio
        import trio.testing

        assert not trio.run(real)
        assert trio.run(real, clock=trio.testing.MockClock())
