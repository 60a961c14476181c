"""The compiled counting behaves as the Python it stands in for: as an iterator, as a coroutine, when things break."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from types import coroutine
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction

from streamproof import Outcome, Trace, wrap
from streamproof.adapters import compiled

from ..support import countings

UNCOMPILED = "TESTS_UNCOMPILED"  # CI runs one Python without the extension module (tests/__init__.py)
PIECE = {"type": "http.response.body", "body": b"piece", "more_body": True}

Send = Callable[[Any], Awaitable[None]]


def test_ci_has_it() -> None:
    if compiled.counting is None and not (os.environ.get("CI") == "true" and UNCOMPILED not in os.environ):
        pytest.skip("the compiled counting was not built here: is there a C compiler?")
    assert compiled.counting is not None


def test_without_it_the_import_is_quiet() -> None:
    code = (
        "import sys; sys.modules['streamproof.adapters._counting'] = None\nfrom streamproof.adapters import compiled\n"
    )
    code += "assert compiled.counting is None"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True).stderr == b""


@pytest.fixture(params=countings.BOTH)
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs with both: what holds for one holds for the other."""
    countings.count(request.param, monkeypatch)


BOTH = pytest.mark.usefixtures("counting")


# ---- WSGI


def recorded(body: Any, told: list[Trace]) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    return wrap(app, on_trace=told.append)({}, lambda *head: None)


def blocks_of(*blocks: bytes) -> Iterator[bytes]:
    yield from blocks


@BOTH
def test_blocks_pass_as_the_objects_they_are() -> None:
    told, blocks = list[Trace](), [b"one", b"", b"three"]
    body = recorded(blocks_of(*blocks), told)
    assert all(found is given for found, given in zip(body, blocks, strict=True))
    body.close()
    assert (told[0].stats.chunks, told[0].stats.empty_chunks, told[0].stats.bytes) == (2, 1, 8)
    assert told[0].outcome is Outcome.COMPLETE


@BOTH
def test_what_the_app_raises_comes_through_and_is_told() -> None:
    def body() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("gone")

    told = list[Trace]()
    found = recorded(body(), told)
    blocks = iter(found)
    assert next(blocks) == b"one"
    with pytest.raises(KeyError) as raised:
        next(blocks)
    assert raised.traceback[-1].name == "body"
    assert next(blocks, None) is None
    found.close()
    assert (told[0].outcome, told[0].end.reason, told[0].stats.chunks) == (Outcome.APP_ERROR, "KeyError", 1)


@BOTH
def test_an_iterable_that_cannot_be_iterated_is_told() -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise OSError("no file")

    told = list[Trace]()
    body = recorded(Broken(), told)
    with pytest.raises(OSError, match="no file"):
        next(iter(body))
    body.close()
    assert (told[0].outcome, told[0].end.reason) == (Outcome.APP_ERROR, "OSError")


@BOTH
def test_closed_with_a_block_at_hand_that_block_is_counted_and_nobody_took_it() -> None:
    told = list[Trace]()
    body = recorded(blocks_of(b"one", b"two", b"three"), told)
    blocks = iter(body)
    next(blocks), next(blocks)
    body.close()
    assert (told[0].outcome, told[0].stats.chunks, told[0].stats.bytes) == (Outcome.CLIENT_GONE, 2, 6)
    assert next(blocks, None) is None


@BOTH
def test_dropped_without_a_close_it_is_told_at_once() -> None:
    told = list[Trace]()
    body = recorded(blocks_of(b"one", b"two"), told)
    next(iter(body))
    gc.disable()
    try:
        del body
        assert (told[0].outcome, told[0].stats.chunks) == (Outcome.ABANDONED, 1)
    finally:
        gc.enable()


@BOTH
def test_asked_for_a_block_inside_a_block_it_raises_as_a_generator_does() -> None:
    told = list[Trace]()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            return bytes(next(blocks))

    found = recorded(Body(), told)
    blocks = iter(found)
    with pytest.raises(ValueError, match="Another thread|already executing"):
        next(blocks)
    found.close()


@BOTH
def test_a_block_that_is_no_bytes_reaches_the_server() -> None:
    told = list[Trace]()
    body = recorded(iter([3]), told)
    assert next(iter(body)) == 3
    body.close()
    assert told[0].stats.bytes == 0


@BOTH
def test_blocks_in_a_cycle_are_collected() -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            return b"again"

    told, source = list[Trace](), Body()
    body = recorded(source, told)
    source.found = body, iter(body)  # type: ignore[attr-defined]
    gone = weakref.ref(source)
    next(iter(body))
    del body, source
    gc.collect()
    assert gone() is None
    assert told[0].outcome is Outcome.ABANDONED


# ---- ASGI


def serve(app: Callable[[Send], Awaitable[object]], server: Any, told: list[Trace]) -> Any:
    async def started(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await app(send)
        await send({"type": "http.response.body", "body": b""})

    return wrap(started, on_trace=told.append)({"type": "http", "method": "GET", "path": "/"}, receive, server)


async def receive() -> Any:
    await asyncio.Event().wait()


class Gate:
    """A server whose send of a piece waits until it is opened."""

    def __init__(self) -> None:
        self.open, self.waiting, self.ended = asyncio.Event(), asyncio.Event(), list[str]()

    async def __call__(self, message: Any) -> None:
        if not message.get("more_body"):
            return
        self.waiting.set()
        try:
            await self.open.wait()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("sent")


@BOTH
def test_messages_pass_as_the_objects_they_are_and_wait_for_the_server() -> None:
    told, seen = list[Trace](), []

    async def server(message: Any) -> None:
        await asyncio.sleep(0)
        seen.append(message)

    async def app(send: Send) -> None:
        for _ in range(3):
            answer = await send(PIECE)  # type: ignore[func-returns-value]
            assert answer is None

    asyncio.run(serve(app, server, told))
    assert [message is PIECE for message in seen] == [False, True, True, True, False]
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.COMPLETE, 3)


@BOTH
def test_a_cancelled_send_is_cancelled_inside_the_server_and_its_chunk_was_not_taken() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(serve(lambda send: send(PIECE), gate, told))
        await gate.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    told, gate = list[Trace](), Gate()
    asyncio.run(main())
    assert gate.ended == ["CancelledError"]
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.SHUTDOWN, 1)


@BOTH
def test_a_server_may_swallow_the_cancellation() -> None:
    async def server(message: Any) -> None:
        if message.get("more_body"):
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    async def main() -> None:
        task = asyncio.ensure_future(serve(lambda send: send(PIECE), server, told))
        await waiting.wait()
        task.cancel()
        await task

    told, waiting = list[Trace](), asyncio.Event()
    asyncio.run(main())
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.COMPLETE, 1)


@BOTH
def test_what_the_server_raises_comes_through_and_is_told() -> None:
    async def server(message: Any) -> None:
        if message.get("more_body"):
            raise ConnectionResetError("gone")

    async def app(send: Send) -> None:
        with pytest.raises(ConnectionResetError, match="gone"):
            await send(PIECE)
        raise ConnectionResetError("still gone")

    told = list[Trace]()
    with pytest.raises(ConnectionResetError, match="still gone"):
        asyncio.run(serve(app, server, told))
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.CLIENT_GONE, 1)


@BOTH
def test_sends_may_overlap() -> None:
    async def app(send: Send) -> None:
        await asyncio.gather(*(send(PIECE) for _ in range(5)))

    async def server(message: Any) -> None:
        await asyncio.sleep(0)

    told = list[Trace]()
    asyncio.run(serve(app, server, told))
    assert (told[0].stats.chunks, told[0].stats.bytes) == (5, 25)


@BOTH
def test_a_send_may_be_a_task() -> None:
    async def app(send: Send) -> None:
        await asyncio.create_task(send(PIECE))  # type: ignore[arg-type]

    async def server(message: Any) -> None:
        await asyncio.sleep(0)

    told = list[Trace]()
    asyncio.run(serve(app, server, told))
    assert told[0].stats.chunks == 1


@BOTH
def test_it_is_awaited_once() -> None:
    async def app(send: Send) -> None:
        sending = send(PIECE)
        await sending
        with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
            await sending

    async def server(message: Any) -> None: ...

    asyncio.run(serve(app, server, []))


@BOTH
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_send_that_is_never_awaited_sends_nothing() -> None:
    async def app(send: Send) -> None:
        send(PIECE)

    async def server(message: Any) -> None:
        assert message is not PIECE

    told = list[Trace]()
    asyncio.run(serve(app, server, told))
    assert told[0].stats.chunks == 0


class OwnAwaitable:
    """A server's own awaitable, no coroutine."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(0).__await__()


@coroutine
def old_style(message: Any) -> Generator[Any, Any, None]:
    yield from asyncio.sleep(0).__await__()


def future(message: Any) -> Any:
    found = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(found.set_result, "ignored")
    return found


@BOTH
@pytest.mark.parametrize(
    "server", [lambda message: OwnAwaitable(), old_style, future], ids=["own", "generator", "future"]
)
def test_any_awaitable_of_the_server_will_do(server: Any) -> None:
    told = list[Trace]()
    asyncio.run(serve(lambda send: send(PIECE), server, told))
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.COMPLETE, 1)


@BOTH
def test_a_server_that_gives_no_awaitable_is_told_so() -> None:
    async def head_only(message: Any) -> None: ...

    def server(message: Any) -> Any:
        return head_only(message) if message is not PIECE else 3

    with pytest.raises(TypeError, match="can't be used in 'await' expression"):
        asyncio.run(serve(lambda send: send(PIECE), server, []))


@BOTH
def test_an_app_that_is_closed_closes_the_servers_send() -> None:
    async def server(message: Any) -> None:
        if message.get("more_body"):
            try:
                await Pause()
            except GeneratorExit:
                closed.append(True)
                raise

    closed, told = list[bool](), list[Trace]()
    serving = serve(lambda send: send(PIECE), server, told)
    serving.send(None)
    serving.close()
    assert closed == [True]
    assert told[0].stats.chunks == 1
    with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
        serving.send(None)


@BOTH
def test_an_app_that_is_dropped_closes_the_servers_send() -> None:
    async def server(message: Any) -> None:
        if message.get("more_body"):
            try:
                await Pause()
            finally:
                closed.append(True)

    closed, told = list[bool](), list[Trace]()
    serving = serve(lambda send: send(PIECE), server, told)
    serving.send(None)
    del serving
    gc.collect()
    assert closed == [True]
    assert told[0].stats.chunks == 1


class Pause:
    """Suspends for ever."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield


@BOTH
def test_bodies_of_any_kind_are_counted_and_the_last_message_ends_the_response() -> None:
    async def app(send: Send) -> None:
        for body in (bytearray(b"1234"), memoryview(b"56"), b""):
            await send({**PIECE, "body": body})
        await send({**PIECE, "more_body": 1})
        await send({"type": "http.response.debug", "info": {}})

    async def server(message: Any) -> None: ...

    told = list[Trace]()
    asyncio.run(serve(app, server, told))
    assert (told[0].stats.chunks, told[0].stats.empty_chunks, told[0].stats.bytes) == (3, 2, 11)


def test_fields_that_can_be_read_once_reach_the_server() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = ((name, b"1") for name in (b"a", b"b"))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b""})

    async def server(message: Any) -> None:
        seen.extend(message.get("headers", ()))

    told, seen = list[Trace](), list[Any]()
    asyncio.run(wrap(app, on_trace=told.append)({"type": "http", "method": "GET", "path": "/"}, receive, server))
    assert seen == [(b"a", b"1"), (b"b", b"1")]
    assert told[0].response is not None
    assert told[0].response.headers == (("a", "1"), ("b", "1"))


@BOTH
def test_a_message_may_be_changed_while_it_is_sent() -> None:
    async def server(message: Any) -> None:
        if message.get("more_body"):
            message["body"] = b""

    told = list[Trace]()
    asyncio.run(serve(lambda send: send(dict(PIECE)), server, told))
    assert told[0].stats.bytes == 5


@BOTH
def test_async_generators_hold_it_without_leaving_anything_behind() -> None:
    async def pieces() -> AsyncIterator[Any]:
        for _ in range(50):
            yield PIECE

    async def app(send: Send) -> None:
        async for message in pieces():
            await send(message)

    async def server(message: Any) -> None: ...

    told, before = list[Trace](), counting_objects()
    for _ in range(3):
        asyncio.run(serve(app, server, told))
    assert counting_objects() <= before


def counting_objects() -> int:
    gc.collect()
    return sum(type(found).__name__ in ("Sending", "Sender", "Blocks", "RunningStats") for found in gc.get_objects())


@BOTH
def test_one_message_on_its_way_looks_like_a_coroutine() -> None:
    async def app(send: Send) -> None:
        assert iscoroutinefunction(send)
        sending = send(PIECE)
        assert inspect.isawaitable(sending)
        assert asyncio.iscoroutine(sending)
        await sending

    async def server(message: Any) -> None: ...

    asyncio.run(serve(app, server, []))


# ---- what cannot be read is passed on, and recorded as unknown


@BOTH
@pytest.mark.parametrize("body", [None, "", "text", 7, object()])
def test_a_body_that_is_not_bytes_reaches_the_server(body: Any) -> None:
    async def app(send: Send) -> None:
        await send(message)
        await send({**PIECE, "more_body": True})

    async def server(message: Any) -> None:
        seen.append(message)

    told, seen, message = list[Trace](), list[Any](), {**PIECE, "body": body}
    asyncio.run(serve(app, server, told))
    assert seen[1] is message
    assert (told[0].outcome, told[0].stats.bytes) == (Outcome.COMPLETE, 5)


@BOTH
def test_a_message_may_be_given_by_its_name() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message={"type": "http.response.start", "status": 200, "headers": []})
        await send(message=PIECE)
        await send(message={"type": "http.response.body", "body": None})

    async def server(message: Any) -> None:
        seen.append(message["type"])

    told, seen = list[Trace](), list[str]()
    asyncio.run(wrap(app, on_trace=told.append)({"type": "http", "method": "GET", "path": "/"}, receive, server))
    assert len(seen) == 3
    assert (told[0].outcome, told[0].stats.bytes) == (Outcome.COMPLETE, 5)


@BOTH
def test_a_send_without_a_message_is_refused_as_any_function_refuses_it() -> None:
    async def app(send: Any) -> None:
        with pytest.raises(TypeError, match="message"):
            send()
        with pytest.raises(TypeError):
            send(PIECE, PIECE)

    async def server(message: Any) -> None: ...

    asyncio.run(serve(app, server, []))


@BOTH
def test_a_key_that_cannot_be_compared_is_the_servers_to_refuse() -> None:
    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    message = {Key("type"): "http.response.body", Key("body"): b"", Key("more_body"): True}

    async def app(send: Send) -> None:
        await send(message)

    async def server(message: Any) -> None:
        seen.append(message)

    told, seen = list[Trace](), list[Any]()
    asyncio.run(serve(app, server, told))
    assert seen[1] is message
    assert (told[0].outcome, told[0].stats.chunks) == (Outcome.COMPLETE, 0)


@BOTH
@pytest.mark.parametrize(
    "head",
    [
        {"status": "200", "headers": []},
        {"headers": []},
        {"status": 200, "headers": None},
        {"status": 200, "headers": 5},
        {"status": 200, "headers": [(b"a",), None]},
    ],
    ids=["text", "no status", "no fields", "a number", "no pairs"],
)
def test_a_head_that_cannot_be_read_reaches_the_server(head: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": b"all"})

    async def server(message: Any) -> None:
        seen.append(message)

    told, seen, start = list[Trace](), list[Any](), {"type": "http.response.start", **head}
    asyncio.run(wrap(app, on_trace=told.append)({"type": "http", "method": "GET", "path": "/"}, receive, server))
    assert seen[0] is start
    assert (told[0].outcome, told[0].stats.bytes) == (Outcome.COMPLETE, 3)
    response = told[0].response
    assert (response.status, response.headers) == (200, ()) if head.get("status") == 200 else response is None  # type: ignore[union-attr]


def call(status: Any, headers: Any, body: Any, told: list[Trace], **options: Any) -> tuple[list[Any], list[Any]]:
    """What the server sees of a WSGI response."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, headers)
        return body

    heads = list[Any]()
    result = wrap(app, on_trace=told.append, **options)({}, lambda *head: heads.append(head))
    blocks = list(result)
    result.close()
    return heads, blocks


@BOTH
@pytest.mark.parametrize("status", ["²²²", "²²² OK", "", "20", "twenty", b"200 OK", None])
def test_a_status_that_is_not_a_number_reaches_the_server(status: Any) -> None:
    told = list[Trace]()
    heads, blocks = call(status, [], blocks_of(b"body"), told)
    assert (heads, blocks) == ([(status, [])], [b"body"])
    assert (told[0].response, told[0].stats.bytes) == (None, 4)


@BOTH
@pytest.mark.parametrize("length", ["9" * 4300, "9" * 4301, "9" * 20, str(2**63)])
@pytest.mark.parametrize("close", [False, True])
def test_a_content_length_of_any_length_reaches_the_server(length: str, close: bool) -> None:
    told, headers = list[Trace](), [("Content-Length", length)]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return blocks_of(b"body")

    seen = list[Any]()
    result = wrap(app, on_trace=told.append)({}, lambda *head: seen.append(head))
    if not close:
        assert list(result) == [b"body"]
    result.close()
    assert seen == [("200 OK", headers)]
    assert told[0].outcome is (Outcome.CLIENT_GONE if close else Outcome.COMPLETE)


@BOTH
@pytest.mark.parametrize("headers", [[("a",)], [None], [(1, 2)], [3]])
def test_fields_that_are_not_pairs_of_text_reach_the_server(headers: Any) -> None:
    told = list[Trace]()
    assert call("200 OK", headers, blocks_of(b"body"), told) == ([("200 OK", headers)], [b"body"])
    assert told[0].stats.bytes == 4


@BOTH
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("body", [["text", b"four"], (None, b"four"), blocks_of], ids=["list", "tuple", "iterator"])
def test_blocks_that_are_not_bytes_reach_the_server(body: Any, keep: bool) -> None:
    told = list[Trace]()
    blocks = iter(["text", b"four"]) if callable(body) else body
    heads, found = call("200 OK", [], blocks, told, keep_chunks=keep)
    assert found == (["text", b"four"] if callable(body) else list(body))
    assert told[0].stats.bytes == 4


def test_only_the_stable_abi_is_used() -> None:
    """One build serves every Python: the file's name says so, and no private function is asked for."""
    if compiled.counting is None:
        pytest.skip("the compiled counting was not built here: is there a C compiler?")
    assert compiled.counting.__file__.endswith(".abi3.so")
    source = (Path(compiled.__file__).parent / "_counting.c").read_text()
    assert "#define Py_LIMITED_API 0x030B0000" in source
    assert not re.search(r"\b_Py", source)
    assert source.count("\n") < 600
