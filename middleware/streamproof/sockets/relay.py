"""A loopback proxy that runs a chain of hops on real sockets: :class:`Relay`.

Carries bytes with sockets, timers and TLS; the hops decide the rest. Each request opens one connection to the upstream.
The client's connection stays open where HTTP/1.1 allows it. The relay listens on loopback only. HTTP/1 is in
``exchange.py``.
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
READ_SIZE = 1 << 20  # bytes per read at most; no emulated hop reads more at once
_LINGER_NONE = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0: close() sends RST (socket(7))


def needs_tls(via: Via) -> bool:
    """True when the hop next to the reader speaks TLS."""
    return any(rule.tls for rule in via.plans[-1].rules)


@dataclass(eq=False)
class Exchange:
    """The state of one request and its response in the relay, for ``on_change``. Times are monotonic seconds."""

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
        """The rules that hold body bytes now, each as (hop, rule in words, bytes)."""
        return [
            (hop.plan.name, rule.why or type(rule.settings).__name__, stage.held)
            for hop in self.chain.hops
            for rule, stage in hop.stages
            if stage.held
        ]


@dataclass(frozen=True)
class Relay:
    """The settings of a relay that runs the hops of ``via`` in front of ``upstream`` (host, port).

    ``port`` 0 means a free port. ``tls`` is the context for the reader's side, None for plain HTTP. ``on_change`` is
    called in the relay's thread when an exchange starts, moves bytes or ends; it must return quickly.
    """

    via: Via
    upstream: tuple[str, int]
    port: int = 0
    tls: ssl.SSLContext | None = None
    on_change: Callable[[Exchange], None] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> asyncio.Server:
        """Start to listen; the first socket of the server has the port. Raises OSError when the port is in use."""
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
            pass  # the relay stops; before Python 3.12 asyncio logs a cancelled connection as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def stop(self, server: asyncio.Server) -> None:
        """Stop listening and close all open connections."""
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
                received = await self._request(client)
            except BadRequest as error:
                self._writer.write(own_answer(400, str(error)))
                return
            if received is None or not await self._exchange(*received) or not client.keep_alive:
                return

    async def _request(self, client: ClientSide) -> tuple[Request, bytes] | None:
        while True:
            data = await self._reader.read(READ_SIZE)
            request = client.receive(data)
            if request is not None:
                return request
            if not data or client.gone:
                return None
            if client.expects_continue:
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _exchange(self, request: Request, body: bytes) -> bool:
        """Relay one response; return True when the client's connection can be used again."""
        _Connection._count += 1
        now = time.monotonic()
        exchange = Exchange(_Connection._count, request, now, self._relay.via.start(request, now))
        try:
            return await _Response(self._relay, exchange, self._reader, self._writer).run(body)
        finally:
            exchange.ended_at = time.monotonic()
            if exchange.outcome == "open":
                exchange.outcome = "client_gone"
            self._report(exchange)

    def _report(self, exchange: Exchange) -> None:
        if self._relay.on_change is not None:
            self._relay.on_change(exchange)


class _Response:
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
                await self._carry(upstream, side, gone)
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await gone
            # A client that sent another request before this response pipelines. Its first byte is lost here, so the
            # connection closes.
            pipelined = gone.done() and not gone.cancelled()
            return not pipelined and not self._out.close and self._exchange.outcome == "complete"
        finally:
            sender.close()
            with contextlib.suppress(ConnectionError):
                await sender.wait_closed()

    async def _carry(
        self, upstream: asyncio.StreamReader | None, side: UpstreamSide, gone: asyncio.Future[bytes] | None
    ) -> None:
        """Carry the upstream's bytes and wake the chain at its deadlines, until nothing more can leave."""
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
                    self._send(self._chain.wake(max(deadline, now)))
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
            self._send([] if cut is None else self._chain.receive(cut, now))
            return
        out: list[Event] = []
        for event in side.receive(done.result()):
            if type(event) is Data:
                self._exchange.bytes_in += len(event.data)
            out += self._chain.receive(event, now)
        self._send(out)

    def _send(self, events: Sequence[Event]) -> None:
        """Send the events that left the last hop at one moment, in one write."""
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
        """Send the hop's answer to an unreachable upstream, or the relay's own where no hop answers."""
        events = self._chain.receive(Cut("fin"), time.monotonic())
        if any(type(event) is Head for event in events):
            self._send(events)
            await self._carry(None, side, None)
        if not self._over:
            host, port = self._relay.upstream
            self._answer(502, f"No upstream at {host}:{port}: {error.strerror}. Is the app server running?")
        return False

    def _answer(self, status: int, text: str) -> None:
        """Send the relay's own answer."""
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
    """Run a relay in a thread of its own while the block runs; yield the address (host, port) it listens on.

    Raises ConfigurationError for an invalid via and for one that needs TLS when ``tls`` is None, OSError when the port
    is in use.
    """
    relay = Relay(resolve(via), upstream, port, tls, on_change)
    if needs_tls(relay.via) and tls is None:
        raise ConfigurationError(
            f"The via {relay.via.text!r} speaks TLS to the reader, and tls is None. Expected an SSLContext with a "
            "certificate. `streamproof proxy` makes a temporary one."
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
