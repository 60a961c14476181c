"""``streamproof proxy``: runs the hops of a via on a real loopback socket and prints what they hold now."""

from __future__ import annotations

import argparse
import json
import signal
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ..extras import need
from ..profiles import Via, resolve
from ..sansio.decode.fault import shown
from ..sansio.errors import ConfigurationError
from ._arguments import address, size
from ._live import preview

if TYPE_CHECKING:
    from ..sockets.relay import Exchange

REFRESH = 0.1  # seconds between two drawings, which looks continuous
MOST_SHOWN = 12  # responses on the screen at most

EPILOG = """\
A request body above 1 MiB is in a temporary file. Of a response the proxy has in memory what the hops hold: above
--max-held it answers 507, or resets the connection if the head has left.

The proxy listens on 127.0.0.1 only. If the last hop speaks TLS, the proxy makes a temporary certificate: use curl -k,
or accept the browser's warning. Ctrl-C stops the proxy.

exit status: 0 stopped by Ctrl-C, 2 cannot run (unknown via, port in use)

examples:
  streamproof proxy http://127.0.0.1:8000 --via gae-standard
  streamproof proxy 127.0.0.1:8000 --via nginx:tls=on --via heroku --port 9000   (two proxies, on 9000 and 9001)
  curl -N http://127.0.0.1:9001/stream
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "proxy",
        help="run the emulated hops as a real proxy in front of a server",
        description="Run the hops of a via as a real proxy on loopback, and show what each rule holds now.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("upstream", metavar="UPSTREAM", help="the app server: http://host:port, host:port or a port")
    parser.add_argument(
        "--via", action="append", required=True, metavar="VIA", help="the hops; repeat for more proxies"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the port of the first proxy (default: free)")
    parser.add_argument(
        "--max-held",
        type=size,
        default=1 << 28,
        metavar="SIZE",
        help="the most of one response that the hops may hold: 64k, 256m, 1g (default 256m)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per proxy and per response")
    parser.add_argument("--no-color", action="store_true", help="print without color, as NO_COLOR=1 does")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    need("h11", "The proxy", "proxy")
    from ..sockets.relay import needs_tls, relaying

    upstream = _upstream(arguments.upstream)
    vias = [resolve(text) for text in arguments.via]
    board = _board(arguments)
    with ExitStack() as stack:
        for index, via in enumerate(vias):
            secure = needs_tls(via)
            port = arguments.port + index if arguments.port else 0
            try:
                host, bound = stack.enter_context(
                    relaying(
                        via,
                        upstream,
                        port=port,
                        tls=_temporary_tls() if secure else None,
                        on_change=board.dispatcher(via),
                        max_held=arguments.max_held,
                    )
                )
            except OSError as error:
                raise ConfigurationError(
                    f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}. Expected a free port. "
                    "Does another proxy still use it?"
                ) from None
            except OverflowError:
                raise ConfigurationError(f"{port} is not a port (1 to 65535).") from None
            board.opened(via, f"http{'s' * secure}://{host}:{bound}", upstream)
        with _until_interrupted() as stopped, board.drawn():
            while not stopped.wait(REFRESH):
                board.refresh()
    return 0


def _upstream(text: str) -> tuple[str, int]:
    if text.isnumeric():
        if not text.isascii():
            raise ConfigurationError(f"{shown(text)} is not a port (1 to 65535). Expected the digits 0 to 9.")
        text = f"127.0.0.1:{text}"
    place = address(text if "://" in text else f"http://{text}")
    if place.secure:
        raise ConfigurationError(
            f"The upstream {shown(text)} uses TLS. Expected the plain http://host:port of an app server."
        )
    return place.host, place.port


def _temporary_tls() -> ssl.SSLContext:
    """A TLS context with a new self-signed certificate."""
    need("trustme", "A proxy that speaks TLS", "proxy")
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets, so that the proxies close in order."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _board(arguments: argparse.Namespace) -> _Lines:
    if arguments.json:
        return _JsonLines()
    if sys.stdout.isatty():
        need("rich", "Drawing", "proxy")
        return _Screen(no_color=arguments.no_color)
    return _Lines()


class _Lines:
    """Prints lines: one per proxy, and per response one at its start, at each tenfold hold, and at its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._printed: dict[int, int] = {}  # the held bytes last printed, by the number of the exchange

    def opened(self, via: Via, url: str, upstream: tuple[str, int]) -> None:
        """Print that a proxy listens."""
        note = " by users only" if via.grade == "reported" else ""
        self._print(f"{via.text} at {url} in front of {upstream[0]}:{upstream[1]} (facts: {via.grade}{note})")

    def dispatcher(self, via: Via) -> Any:
        """The callback for the relay of ``via``, called in the relay's thread on every change."""
        return lambda exchange: self._changed(via, exchange)

    def _changed(self, via: Via, exchange: Exchange) -> None:
        number = exchange.number
        with self._lock:
            printed = self._printed.get(number)
            held = exchange.held
            if exchange.ended_at is not None:
                self._printed.pop(number, None)
                seconds = exchange.ended_at - exchange.started_at
                self._print(f"{_name(exchange)}  {exchange.outcome} after {seconds:.2f} s, {exchange.bytes_out} B")
            elif printed is None and exchange.bytes_in:
                self._printed[number] = max(held, 1)
                self._print(f"{_name(exchange)}  {_hold(exchange)}")
            elif printed is not None and held >= printed * 10:
                self._printed[number] = held
                self._print(f"{_name(exchange)}  {_hold(exchange)}")

    def refresh(self) -> None:
        """Draw what changes with time alone."""

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Keep the drawing on the screen while the block runs."""
        yield

    def _print(self, text: str) -> None:
        print(text, flush=True)


class _JsonLines(_Lines):
    """Prints JSON: one object per proxy and one per ended response."""

    def opened(self, via: Via, url: str, upstream: tuple[str, int]) -> None:
        host, port = upstream
        self._print(json.dumps({"via": via.text, "url": url, "upstream": f"{host}:{port}", "grade": via.grade}))

    def _changed(self, via: Via, exchange: Exchange) -> None:
        if exchange.ended_at is not None:
            facts = {
                "via": via.text,
                "method": exchange.request.method,
                "target": exchange.request.target,
                "status": exchange.status,
                "bytes_in": exchange.bytes_in,
                "bytes_out": exchange.bytes_out,
                "seconds": round(exchange.ended_at - exchange.started_at, 3),
                "outcome": exchange.outcome,
            }
            with self._lock:
                self._print(json.dumps(facts))


class _Screen(_Lines):
    """Draws a live table."""

    def __init__(self, *, no_color: bool) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._console = Console(no_color=no_color or None)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._rows: dict[int, tuple[Via, Exchange]] = {}

    def _changed(self, via: Via, exchange: Exchange) -> None:
        with self._lock:
            self._rows[exchange.number] = (via, exchange)
            for number in list(self._rows)[:-MOST_SHOWN]:
                del self._rows[number]

    @contextmanager
    def drawn(self) -> Iterator[None]:
        with self._live:
            yield
            self.refresh()

    def refresh(self) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, expand=True)
        for heading, style in (("via", "cyan"), ("request", ""), ("age", "dim"), ("in", ""), ("out", "green")):
            table.add_column(
                heading, style=style, no_wrap=True, justify="right" if heading in ("age", "in", "out") else "left"
            )
        table.add_column("held by")
        with self._lock:
            rows = list(self._rows.values())
        now = time.monotonic()
        for via, exchange in rows:
            age = (exchange.ended_at or now) - exchange.started_at
            table.add_row(
                Text(via.text),
                Text(f"{exchange.request.method} {_shown(exchange.request.target)}"),
                f"{age:.1f} s",
                f"{exchange.bytes_in} B",
                f"{exchange.bytes_out} B",
                Text(exchange.outcome if exchange.ended_at else _hold(exchange)),
            )
        self._live.update(table, refresh=True)


def _name(exchange: Exchange) -> str:
    status = "-" if exchange.status is None else str(exchange.status)
    return f"#{exchange.number} {exchange.request.method} {_shown(exchange.request.target)} {status}"


def _shown(target: str) -> str:
    """The target, escaped so that it cannot control the terminal."""
    return preview(target.encode(), width=40)[1:-1]


def _hold(exchange: Exchange) -> str:
    holds = exchange.holds()
    if not holds:
        return "streaming, nothing held"
    hop, why, held = max(holds, key=lambda hold: hold[2])
    return f"{held} B held by {hop}: {why}"
