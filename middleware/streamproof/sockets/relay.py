"""A loopback proxy that runs a chain of hops on real sockets: :class:`Relay`.

Knows sockets, timers and TLS; the hops decide everything else. One exchange with the upstream per request, the
client's connection kept where HTTP/1.1 allows it. Listens on loopback only: it emulates, it does not serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..profiles import Profile, Via, resolve
from ..sansio.errors import ConfigurationError
from ..sansio.hop import Chain
from ..sansio.machine import Cut, Data, End, Event, Head
from ..sansio.trace import Request
from .exchange import BadRequest, ClientSide, ReaderSide, UpstreamSide, own_answer

HOST = "127.0.0.1"
READ_SIZE = 1 << 20  # bytes a read at most; more than any hop that is emulated reads at once
_LINGER_NONE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() resets (socket(7))


def needs_tls(via: Via) -> bool:
    """Does the hop on the reader's side speak TLS?"""
    return any(rule.tls for rule in via.plans[-1].rules)


@dataclass(eq=False)
class Exchange:
    """One request and its response passing the relay, for whoever watches. Seconds on the monotonic clock, bytes."""

    number: int
    request: Request
    started_at: float
    chain: Chain
    status: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    ended_at: float | None = None
    outcome: str = "open"

    def holds(self) -> list[tuple[str, str, int]]:
        """Which rule holds how many body bytes right now: (hop, rule in words, bytes)."""
        return [
            (hop.plan.name, rule.why or type(rule.settings).__name__, stage.held)
            for hop in self.chain.hops
            for rule, stage in hop.stages
            if stage.held
        ]


@dataclass(frozen=True)
class Relay:
    """Settings of a relay in front of ``upstream`` (host, port): the hops of ``via``, and who watches.

    ``port`` 0 takes a free one. ``tls`` is the context for the reader's side, None for plain text. ``on_change`` is
    called in the relay's thread whenever an exchange began, moved or ended; it must be quick.
    """

    via: Via
    upstream: tuple[str, int]
    port: int = 0
    tls: ssl.SSLContext | None = None
    on_change: Callable[[Exchange], None] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> asyncio.Server:
        """Listen; the server's first socket tells the port. Raises OSError when the port is taken."""
        return await asyncio.start_server(self._accept, HOST, self.port, ssl=self.tls, limit=READ_SIZE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _Connection(self, reader, writer).run()
        except (ConnectionError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass  # the relay stops; asyncio before 3.12 would log a cancelled connection as a fault
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def stop(self, server: asyncio.Server) -> None:
        """Stop listening and end what is open."""
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()


class _Connection:
    """One connection of a client."""

    _count = 0

    def __init__(self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._relay, self._reader, self._writer = relay, reader, writer

    async def run(self) -> None:
        while True:
            client = ClientSide()
            try:
                asked = await self._request(client)
            except BadRequest as refused:
                self._writer.write(own_answer(400, str(refused)))
                return
            if asked is None or not await self._exchange(*asked) or not client.keep_alive:
                return

    async def _request(self, client: ClientSide) -> tuple[Request, bytes] | None:
        while True:
            received = await self._reader.read(READ_SIZE)
            asked = client.receive(received)
            if asked is not None:
                return asked
            if not received or client.gone:
                return None
            if client.expects_continue:
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _exchange(self, request: Request, body: bytes) -> bool:
        """Relay one response; True when the client's connection may be used again."""
        _Connection._count += 1
        now = time.monotonic()
        exchange = Exchange(_Connection._count, request, now, self._relay.via.start(request, now))
        try:
            return await _Passage(self._relay, exchange, self._reader, self._writer).run(body)
        finally:
            exchange.ended_at = time.monotonic()
            if exchange.outcome == "open":
                exchange.outcome = "client_gone"
            self._tell(exchange)

    def _tell(self, exchange: Exchange) -> None:
        if self._relay.on_change is not None:
            self._relay.on_change(exchange)


class _Passage:
    """One response on its way through the chain."""

    def __init__(
        self, relay: Relay, exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._relay, self._exchange, self._chain = relay, exchange, exchange.chain
        self._reader, self._writer = reader, writer
        self._out = ReaderSide(exchange.request)
        self._over = False

    async def run(self, body: bytes) -> bool:
        side = UpstreamSide(self._chain.request, body)
        try:
            upstream, sender = await asyncio.open_connection(*self._relay.upstream, limit=READ_SIZE)
        except OSError as error:
            return await self._unreachable(side, error)
        try:
            sender.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sender.write(side.first_bytes)
            gone = asyncio.ensure_future(self._reader.read(1))
            try:
                await self._drain_deadlines(upstream, side, gone)
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await gone
            # A client that sent more before it had its answer pipelines; the byte read ahead ends that.
            ahead = gone.done() and not gone.cancelled()
            return not ahead and not self._out.close and self._exchange.outcome == "complete"
        finally:
            sender.close()
            with contextlib.suppress(ConnectionError):
                await sender.wait_closed()

    async def _drain_deadlines(
        self, upstream: asyncio.StreamReader | None, side: UpstreamSide, gone: asyncio.Future[bytes] | None
    ) -> None:
        """Carry what the upstream sends and wake the chain in time, until nothing more can leave."""
        reading: asyncio.Task[bytes] | None = None
        try:
            while not self._over:
                deadline = self._chain.deadline
                if reading is None and upstream is not None and not side.over:
                    reading = asyncio.ensure_future(upstream.read(READ_SIZE))
                waiting = [task for task in (reading, gone) if task is not None]
                if reading is None and deadline is None:
                    return
                timeout = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                if waiting:
                    await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                elif timeout:
                    await asyncio.sleep(timeout)
                if gone is not None and gone.done() and (gone.exception() is not None or not gone.result()):
                    raise ConnectionResetError("the client left")
                if gone is not None and gone.done():
                    gone = None
                if reading is not None and reading.done():
                    done, reading = reading, None
                    self._received(done, side)
                now = time.monotonic()
                deadline = self._chain.deadline
                if deadline is not None and deadline <= now and not self._over:
                    self._leave(self._chain.wake(max(deadline, now)))
                await self._writer.drain()
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await reading

    def _received(self, done: asyncio.Task[bytes], side: UpstreamSide) -> None:
        now = time.monotonic()
        if done.exception() is not None:
            cut = side.reset()
            self._leave([] if cut is None else self._chain.receive(cut, now))
            return
        out: list[Event] = []
        for event in side.receive(done.result()):
            if type(event) is Data:
                self._exchange.bytes_in += len(event.data)
            out += self._chain.receive(event, now)
        self._leave(out)

    def _leave(self, events: Sequence[Event]) -> None:
        """Write what left the last hop, in one write a moment."""
        exchange, written = self._exchange, bytearray()
        for event in events:
            if self._over:
                break
            written += self._out.write(event)
            if type(event) is Head:
                exchange.status = event.status
            elif type(event) is Data:
                exchange.bytes_out += len(event.data)
            elif type(event) is End:
                self._over, exchange.outcome = True, "complete"
            elif type(event) is Cut:
                self._over = True
                self._cut(event, bytes(written))
                written.clear()
        if written:
            self._writer.write(bytes(written))
        if self._relay.on_change is not None:
            self._relay.on_change(exchange)

    def _cut(self, event: Cut, before: bytes) -> None:
        exchange = self._exchange
        exchange.outcome = "cut" + (f" by {event.by}: {event.reason}" if event.by else "")
        if before:
            self._writer.write(before)
        if event.how == "rst":
            with contextlib.suppress(OSError):
                sock = self._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._out.close = True

    async def _unreachable(self, side: UpstreamSide, error: OSError) -> bool:
        """What a hop answers when nobody listens behind it; the relay's own answer where no hop has one."""
        events = self._chain.receive(Cut("fin"), time.monotonic())
        if any(type(event) is Head for event in events):
            self._leave(events)
            await self._drain_deadlines(None, side, None)
        if not self._over:
            host, port = self._relay.upstream
            self._answer(502, f"No upstream at {host}:{port}: {error.strerror}. Is the app server running there?")
        return False

    def _answer(self, status: int, text: str) -> None:
        """The relay's own answer, where no hop had one."""
        self._writer.write(own_answer(status, text))
        self._over = self._out.close = True
        self._exchange.status = status


@contextlib.contextmanager
def relaying(
    via: str | Profile | Via,
    upstream: tuple[str, int],
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    on_change: Callable[[Exchange], None] | None = None,
) -> Iterator[tuple[str, int]]:
    """A relay in a thread of its own, for as long as the block runs; yields the address (host, port) it listens on.

    Raises ConfigurationError for a via that cannot be used, or one that needs TLS when ``tls`` is None; OSError when
    the port is taken.
    """
    relay = Relay(resolve(via), upstream, port, tls, on_change)
    if needs_tls(relay.via) and tls is None:
        raise ConfigurationError(
            f"The reader's side of {relay.via.text!r} speaks TLS, and no certificate was given. "
            "Expected tls=SSLContext. Was `streamproof proxy` meant, which makes a throw-away one?"
        )
    loop = asyncio.new_event_loop()
    try:
        server = loop.run_until_complete(relay.start())
        thread = threading.Thread(target=loop.run_forever, name="streamproof-relay", daemon=True)
        thread.start()
        try:
            address = server.sockets[0].getsockname()
            yield address[0], address[1]
        finally:
            asyncio.run_coroutine_threadsafe(relay.stop(server), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
    finally:
        loop.close()
