"""What the ASGI driver owes whoever cancels, leaves or fails: no byte lost in silence, an honest end, nothing left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproof import Outcome, Trace
from streamproof.adapters import recording
from streamproof.adapters.asgi import chain, driver, event_loop, outgoing
from streamproof.adapters.asgi import recording as asgi_recording
from streamproof.asgi import StreamMiddleware
from streamproof.sansio.flush import FlushPolicy
from streamproof.testing.clocks import VirtualClock, VirtualLoop
from tests.support.asgi_messages import DISCONNECT, SCOPE, never, piece
from tests.support.hop_doubles import BodyHeld, Cutting, TimedStraight, Ways

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
LAST = {"type": "http.response.body", "body": b"", "more_body": False}


def event(number: int) -> bytes:
    return b"data: %d\n\n" % number


@contextmanager
def virtual(clock: VirtualClock) -> Iterator[None]:
    """The driver's clock is the loop's."""
    with ExitStack() as patches:
        for module in (recording, asgi_recording, chain, driver, outgoing, event_loop):
            patches.enter_context(patch.object(module, "clock", lambda: clock.now))
        yield


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run ``main`` in virtual time; no task and no timer of ours is left."""
    clock = VirtualClock()

    async def checked() -> None:
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert event_loop._loops == {}

    with virtual(clock), asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.run(checked())


class Server:
    """Takes messages, each after ``delays`` (as uvicorn waits before it writes), and says when a reader left."""

    def __init__(self, delays: list[float] | None = None) -> None:
        self.sent: list[Any] = []
        self.traces: list[Trace] = []
        self.gone = asyncio.Event()
        self.waiting = 0
        self._delays = delays or [0.0]
        self._requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Any:
        if self._requests:
            return self._requests.pop()
        self.waiting += 1
        try:
            await self.gone.wait()
        finally:
            self.waiting -= 1
        return DISCONNECT

    async def send(self, message: Any) -> None:
        delay = self._delays[len(self.sent) % len(self._delays)]
        if delay:
            await asyncio.sleep(delay)
        self.sent.append(message)

    async def serve(self, app: Any, **options: Any) -> Any:
        wrapped = StreamMiddleware(app, **{"on_trace": self.traces.append, **options})
        return await wrapped(dict(SCOPE), self.receive, self.send)

    @property
    def numbers(self) -> list[int]:
        """The app's events that arrived."""
        return [int(found) for found in re.findall(rb"data: (\d+)\n\n", self.body)]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def clean(self) -> bool:
        """Was the end sent?"""
        return bool(self.sent) and self.sent[-1]["type"].endswith("body") and not self.sent[-1].get("more_body")


OWNED = {
    "size": FlushPolicy(max_size=5),
    "delay": FlushPolicy(max_delay=0.2),
    "coded": FlushPolicy(max_delay=0.2, max_size=7, align_to_boundaries=True, heartbeat=1.0),
}


@pytest.mark.parametrize("name", OWNED)
def test_a_cancelled_send_loses_nothing_that_a_machine_has_taken(name: str) -> None:
    server_of: list[Server] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(40):
            try:
                async with asyncio.timeout(0.05 if number % 3 else None):
                    await send(piece(event(number)))
            except TimeoutError:
                pass
        await send(LAST)

    async def main() -> None:
        server_of.append(Server([0.0, 0.03, 0.3]))
        await server_of[0].serve(app, policy=OWNED[name])

    run(main)
    (server,) = server_of
    assert server.numbers == list(range(40))
    assert [trace.outcome for trace in server.traces] == [Outcome.COMPLETE]


def test_a_write_that_takes_too_long_ends_the_stream_and_nothing_follows_it() -> None:
    """The app goes on for a while; without the rule its next heartbeat would follow the lost chunk."""

    async def main() -> None:
        server = Server()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(piece(event(1)))
            server._delays = [100.0]
            with pytest.raises(OSError, match="took nothing"):
                await send(piece(event(2)))
            server._delays = [0.0]
            await asyncio.sleep(30)
            with pytest.raises(OSError, match="took nothing"):
                await send(piece(event(3)))

        await server.serve(app, policy=FlushPolicy(send_timeout=2.0, heartbeat=1.0))
        assert server.body == event(1)
        assert [trace.outcome for trace in server.traces] == [Outcome.CLIENT_GONE]

    run(main)


@pytest.mark.parametrize("options", [{"policy": FlushPolicy.for_sse()}, {"via": Ways(lambda now: Cutting(now, 60))}])
def test_a_call_cancelled_twice_leaves_no_receive_behind(options: Any) -> None:
    async def main() -> None:
        server = Server()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(piece(event(1)))
            if "via" in options:
                await receive()
                await receive()
            await never()

        call = asyncio.ensure_future(server.serve(app, **options))
        await asyncio.sleep(1)
        assert server.waiting == 1
        call.cancel()
        asyncio.get_running_loop().call_soon(call.cancel)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert server.waiting == 0
        assert [trace.outcome for trace in server.traces] == [Outcome.SHUTDOWN]

    run(main)


def test_all_streams_of_a_loop_share_one_timer_and_it_ends_with_the_last() -> None:
    async def main() -> None:
        servers = [Server() for _ in range(50)]
        loop = asyncio.get_running_loop()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(piece(event(1)))
            await never()

        with patch.object(loop, "call_later", wraps=loop.call_later) as timers:
            calls = [asyncio.ensure_future(server.serve(app, policy=FlushPolicy.for_sse())) for server in servers]
            await asyncio.sleep(14.9)
            assert timers.call_count < 10
        await asyncio.sleep(0.2)
        assert {server.body for server in servers} == {event(1) + b":\n\n"}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    run(main)


def test_the_watch_for_a_blocked_loop_costs_no_callback_a_chunk() -> None:
    async def main() -> None:
        server, loop = Server(), asyncio.get_running_loop()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            for number in range(1000):
                await send(piece(event(number)))
            await send(LAST)

        with patch.object(loop, "call_soon", wraps=loop.call_soon) as callbacks:
            await server.serve(app, policy=FlushPolicy.for_sse())
        assert callbacks.call_count < 50
        assert server.numbers == list(range(1000))

    run(main)


#: What bare uvicorn completes although the specification has it otherwise.
ODD: dict[str, list[dict[str, Any]]] = {
    "none": [{"type": "http.response.body", "body": None, "more_body": True}, LAST],
    "text": [{"type": "http.response.body", "body": "", "more_body": True}, LAST],
    "none at the end": [piece(event(1)), {"type": "http.response.body", "body": None}],
    "text at the end": [piece(event(1)), {"type": "http.response.body", "body": ""}],
}
LAYERS: dict[str, dict[str, Any]] = {
    "policy": {"policy": FlushPolicy()},
    "for_sse": {"policy": FlushPolicy.for_sse()},
    "for_tokens": {"policy": FlushPolicy.for_tokens()},
    "via": {"via": Ways(lambda now: TimedStraight())},
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("odd", ODD)
def test_what_a_server_completes_is_completed(odd: str, layer: str) -> None:
    async def main() -> None:
        server = Server()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            for message in (START, *ODD[odd]):
                await send(message=dict(message))

        await server.serve(app, on_trace=(), **LAYERS[layer])
        assert server.clean
        assert b"".join(message.get("body") or b"" for message in server.sent if message is not server.sent[0]) == (
            event(1) if "end" in odd else b""
        )

    run(main)


def test_policy_recording_and_hops_are_one_row() -> None:
    """A trace shows what left the policy; the reader gets what left the hops, once the app has gone, too."""

    async def main() -> None:
        server = Server()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            for number in range(4):
                await send(piece(event(number)))
            raise ValueError("in the middle")

        policy = FlushPolicy(max_delay=5.0, on_error="event")
        with pytest.raises(ValueError, match="in the middle"):
            await server.serve(app, policy=policy, via=Ways(lambda now: BodyHeld()))
        assert server.numbers == [0, 1, 2, 3]
        assert b"event: error" in server.body
        assert server.clean
        (trace,) = server.traces
        assert (trace.outcome, trace.end.reason) == (Outcome.APP_ERROR, "ValueError")
        assert trace.stats.bytes == len(server.body)

    run(main)


POLICIES = st.sampled_from(
    [
        None,
        FlushPolicy(),
        FlushPolicy.for_sse(heartbeat=0.5),
        FlushPolicy.for_sse(heartbeat=0.5, on_disconnect="cancel"),
        FlushPolicy.for_sse(heartbeat=0.3, send_timeout=0.4),
        FlushPolicy.for_tokens(heartbeat=0.5),
        FlushPolicy(max_size=5, on_error="event"),
        FlushPolicy(max_delay=0.1, min_size=30, on_disconnect="ignore"),
        FlushPolicy(head_first=True, before_first_byte=True, heartbeat=0.2),
    ]
)
VIAS = st.sampled_from([None, None, "straight", "held", "cutting"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "send", "impatient", "sleep", "spawn"]), st.sampled_from([0.0, 0.01, 0.2, 0.7])),
    max_size=12,
)
ENDS = st.sampled_from(["complete", "raise", "return"])
TIMES = st.one_of(st.none(), st.sampled_from([0.0, 0.05, 0.3, 1.1]))


def way(name: str | None) -> Any:
    stages: dict[str, Any] = {
        "straight": lambda now: TimedStraight(),
        "held": lambda now: BodyHeld(),
        "cutting": lambda now: Cutting(now, 0.6),
    }
    return None if name is None else Ways(stages[name])


@settings(deadline=None)
@given(
    POLICIES, VIAS, STEPS, ENDS, st.lists(st.sampled_from([0.0, 0.0, 0.02, 0.5]), min_size=1, max_size=4), TIMES, TIMES
)
def test_whatever_happens_acknowledged_bytes_arrive_or_the_end_is_unclean(
    policy: FlushPolicy | None,
    via: str | None,
    steps: list[tuple[str, float]],
    end: str,
    delays: list[float],
    leaves: float | None,
    cancelled: float | None,
) -> None:
    async def main() -> None:
        server = Server(delays)
        acknowledged: list[int] = []
        tried: list[int] = []

        async def chunk(send: Any, number: int) -> None:
            tried.append(number)
            await send(piece(event(number)))
            acknowledged.append(number)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            for number, (step, seconds) in enumerate(steps):
                if step == "sleep":
                    await asyncio.sleep(seconds)
                elif step == "send":
                    await chunk(send, number)
                elif step == "spawn":
                    await asyncio.gather(chunk(send, number), asyncio.sleep(0))
                else:
                    try:
                        async with asyncio.timeout(seconds):
                            await chunk(send, number)
                    except TimeoutError:
                        pass
            if end == "raise":
                raise ValueError("in the middle")
            if end == "complete":
                await send(LAST)

        loop = asyncio.get_running_loop()
        call = asyncio.ensure_future(server.serve(app, policy=policy, via=way(via)))
        if leaves is not None:
            loop.call_later(leaves, server.gone.set)
        if cancelled is not None:
            loop.call_later(cancelled, call.cancel)
        await asyncio.wait((call,))
        error = None if call.cancelled() else call.exception()
        assert error is None or isinstance(error, ValueError | OSError), error
        assert server.waiting == 0
        arrived = server.numbers
        assert arrived == sorted(set(arrived))
        assert set(arrived) <= set(tried)
        (trace,) = server.traces
        if server.clean:
            assert set(acknowledged) <= set(arrived)
        if trace.outcome is Outcome.COMPLETE:
            assert end == "complete"
            assert via in ("cutting", "held") or server.clean
        rest = re.sub(rb"data: \d+\n\n|:\n\n|event: error\ndata: .*\n\n", b"", server.body)
        assert not server.clean or rest == b""

    run(main)
