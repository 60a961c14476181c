"""A loopback proxy that runs a chain of hops on real sockets: :class:`Relay`.

Carries bytes with sockets, timers and TLS; the hops decide the rest. Each request opens one connection to the upstream.
The client's connection stays open where HTTP/1.1 allows it. A large request body is in a temporary file; of a
response the relay has in memory what its hops hold, up to a limit. The relay listens on loopback only. HTTP/1 is in
``exchange.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from ..profiles import Profile, Via, resolve
from ..sansio.errors import ConfigurationError
from ..sansio.hop import Chain
from ..sansio.machine import Cut, Data, End, Event, Head
from ..sansio.trace import Request
from .exchange import BadRequest, ClientSide, ReaderSide, UpstreamSide, own_answer

HOST = "127.0.0.1"
READ_SIZE = 1 << 20  # bytes per read at most; no emulated hop reads more at once
WRITE_SIZE = 1 << 18  # bytes per write at most; what the peer has not read yet is not copied
SPOOL_SIZE = 1 << 20  # bytes of a request's body in memory; a larger body is in a temporary file
MAX_HELD = 1 << 28  # bytes of one response's body that the hops hold at most
_LINGER = 1.0  # seconds in which a refused client can read the answer before the close
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
    chain: Chain | None  # None once the response has ended, so that nothing that it held stays in memory
    status: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    ended_at: float | None = None
    outcome: str = "open"

    @property
    def held(self) -> int:
        """Body bytes inside the hops now."""
        return 0 if self.chain is None else self.chain.held

    def holds(self) -> list[tuple[str, str, int]]:
        """The rules that hold body bytes now, each as (hop, rule in words, bytes)."""
        if self.chain is None:
            return []
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
    called in the relay's thread when an exchange starts, moves bytes or ends; it must return quickly. A response of
    which the hops hold more than ``max_held`` bytes is answered with 507, or cut if its head has left.
    """

    via: Via
    upstream: tuple[str, int]
    port: int = 0
    tls: ssl.SSLContext | None = None
    on_change: Callable[[Exchange], None] | None = None
    max_held: int = MAX_HELD
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
        except OSError:
            pass  # the client's connection broke
        except asyncio.CancelledError:
            pass  # the relay stops; before Python 3.12 asyncio logs a cancelled connection as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
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
            with tempfile.SpooledTemporaryFile(SPOOL_SIZE) as body:
                try:
                    client = await self._request(body)
                except BadRequest as error:
                    self._writer.write(own_answer(error.status, str(error)))
                    await self._linger()
                    return
                if client is None or not await self._exchange(client, body):
                    return

    async def _request(self, body: IO[bytes]) -> ClientSide | None:
        """Read one request and put its body into ``body``; None when the client closed before one."""
        client = ClientSide()
        while not client.complete:
            data = await self._reader.read(READ_SIZE)
            for piece in client.receive(data):
                try:
                    body.write(piece)
                except OSError as error:
                    raise BadRequest(f"The request's body cannot be stored: {error.strerror}.", 507) from None
            if not client.complete and (not data or client.gone):
                return None
            if client.expects_continue:
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return client

    async def _linger(self) -> None:
        """Let the client read the answer: a close over bytes that were not read is a reset, which discards it."""
        await self._writer.drain()
        if self._writer.can_write_eof():
            self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(READ_SIZE):
                    pass

    async def _exchange(self, client: ClientSide, body: IO[bytes]) -> bool:
        """Relay one response; return True when the client's connection can be used again."""
        assert client.request is not None
        _Connection._count += 1
        now = time.monotonic()
        chain = self._relay.via.start(client.request, now)
        exchange = Exchange(_Connection._count, client.request, now, chain)
        response = _Response(self._relay, exchange, chain, self._reader, self._writer)
        try:
            reusable = await response.run(body)
            # The bytes of a pipelined request are lost, so the connection closes.
            return reusable and client.keep_alive and not client.pipelined
        finally:
            exchange.ended_at = time.monotonic()
            if exchange.outcome == "open":
                exchange.outcome = "client_gone"
            exchange.chain = None
            self._report(exchange)

    def _report(self, exchange: Exchange) -> None:
        if self._relay.on_change is not None:
            self._relay.on_change(exchange)


class _Response:
    """One response on its way through the chain."""

    def __init__(
        self,
        relay: Relay,
        exchange: Exchange,
        chain: Chain,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._relay, self._exchange, self._chain = relay, exchange, chain
        self._reader, self._writer = reader, writer
        self._out = ReaderSide(exchange.request)
        self._over = False

    async def run(self, body: IO[bytes]) -> bool:
        host, port = self._relay.upstream
        size = body.tell()
        body.seek(0)
        side = UpstreamSide(self._chain.request, size, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        try:
            upstream, sender = await asyncio.open_connection(host, port, limit=READ_SIZE)
        except (OSError, UnicodeError, OverflowError) as error:  # the last two: a name or a port that cannot exist
            return await self._unreachable(side, error)
        try:
            sender.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sender.write(side.first_bytes + body.read(WRITE_SIZE))
            sending = asyncio.ensure_future(_send_rest(body, sender))
            gone = asyncio.ensure_future(self._reader.read(1))
            try:
                await self._carry(upstream, side, gone)
            finally:
                for task in (gone, sending):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, OSError):
                        await task
            # A client that sent another request before this response pipelines. Its first byte is lost here, so the
            # connection closes.
            pipelined = gone.done() and not gone.cancelled()
            return not pipelined and not self._out.close and self._exchange.outcome == "complete"
        finally:
            if sender.transport.get_write_buffer_size():
                sender.transport.abort()  # a close would wait for an upstream that reads no more of the request
            sender.close()
            with contextlib.suppress(OSError):
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
                    await self._received(done, side)
                now = time.monotonic()
                deadline = self._chain.deadline
                if deadline is not None and deadline <= now and not self._over:
                    await self._send(self._chain.wake(max(deadline, now)))
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await reading

    async def _received(self, done: asyncio.Task[bytes], side: UpstreamSide) -> None:
        now = time.monotonic()
        events: Iterable[Event]
        if done.exception() is None:
            events = side.receive(done.result())
        else:
            cut = side.reset()
            events = () if cut is None else (cut,)
        out: list[Event] = []
        for event in events:
            if type(event) is Data:
                self._exchange.bytes_in += len(event.data)
            out += self._chain.receive(event, now)
            if self._chain.held > self._relay.max_held:
                await self._send(out)
                self._give_up()
                return
        await self._send(out)

    async def _send(self, events: Sequence[Event]) -> None:
        """Send the events that left the last hop at one moment, in one write when they are small."""
        exchange, written = self._exchange, bytearray()
        for event in events:
            if self._over:
                break
            for piece in self._out.write(event):
                if len(piece) <= WRITE_SIZE:
                    written += piece
                if len(written) > WRITE_SIZE or len(piece) > WRITE_SIZE:
                    self._writer.write(bytes(written))
                    written.clear()
                    await self._writer.drain()
                if len(piece) > WRITE_SIZE:
                    await self._send_large(piece)
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
        await self._writer.drain()

    async def _send_large(self, data: bytes | memoryview) -> None:
        """Send ``data`` no faster than the client reads, without a copy of the whole."""
        view = memoryview(data)
        for start in range(0, len(view), WRITE_SIZE):
            self._writer.write(view[start : start + WRITE_SIZE])
            await self._writer.drain()

    def _give_up(self) -> None:
        """End a response of which the hops hold more than the relay keeps in memory."""
        if self._over:
            return
        most = self._relay.max_held
        hop, why, _ = max(self._exchange.holds(), key=lambda hold: hold[2])
        self._exchange.outcome = f"cut by the relay: {hop} holds more than {most} B"
        if self._exchange.status is None:
            self._answer(
                507,
                f"{hop} holds more than {most} bytes of this response ({why}), and the relay keeps them in memory. "
                "Expected a smaller response, or a larger --max-held.",
            )
        else:
            self._reset()

    def _cut(self, event: Cut, before: bytes) -> None:
        exchange = self._exchange
        exchange.outcome = "cut" + (f" by {event.by}: {event.reason}" if event.by else "")
        if exchange.status is None and event.by is None and event.reason is not None:  # no hop answers the fault
            self._answer(502, f"No response: {event.reason}. Does another protocol or a broken app use this port?")
            return
        if before:
            self._writer.write(before)
        if event.how == "rst":
            self._reset()
        self._out.close = True

    def _reset(self) -> None:
        """Make the close of the client's connection a reset."""
        self._over = self._out.close = True
        with contextlib.suppress(OSError):
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)

    async def _unreachable(self, side: UpstreamSide, error: Exception) -> bool:
        """Send the hop's answer to an unreachable upstream, or the relay's own where no hop answers."""
        events = self._chain.receive(Cut("fin"), time.monotonic())
        if any(type(event) is Head for event in events):
            await self._send(events)
            await self._carry(None, side, None)
        if not self._over:
            host, port = self._relay.upstream
            words = getattr(error, "strerror", None) or error
            self._answer(502, f"No upstream at {host}:{port}: {words}. Is the app server running?")
        return False

    def _answer(self, status: int, text: str) -> None:
        """Send the relay's own answer."""
        self._writer.write(own_answer(status, text))
        self._over = self._out.close = True
        self._exchange.status = status


async def _send_rest(body: IO[bytes], sender: asyncio.StreamWriter) -> None:
    """Send the rest of a request's body while the response is read: an upstream may answer before it has read all."""
    with contextlib.suppress(ConnectionError):  # the answer, if there is one, is still read
        await sender.drain()
        while piece := body.read(WRITE_SIZE):
            sender.write(piece)
            await sender.drain()


@contextlib.contextmanager
def relaying(
    via: str | Profile | Via,
    upstream: tuple[str, int],
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    on_change: Callable[[Exchange], None] | None = None,
    max_held: int = MAX_HELD,
) -> Iterator[tuple[str, int]]:
    """Run a relay in a thread of its own while the block runs; yield the address (host, port) it listens on.

    Raises ConfigurationError for an invalid via and for one that needs TLS when ``tls`` is None, OSError when the port
    is in use.
    """
    relay = Relay(resolve(via), upstream, port, tls, on_change, max_held)
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
