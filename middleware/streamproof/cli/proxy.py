"""``streamproof proxy``: the hops of a via on a real loopback socket, and what they hold right now."""

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
from ..sansio.errors import ConfigurationError
from ._arguments import address
from ._live import preview

if TYPE_CHECKING:
    from ..sockets.relay import Exchange

REFRESH = 0.1  # seconds between two drawings; an eye takes less than that for motion
MOST_SHOWN = 12  # responses on the screen at once

EPILOG = """\
The proxy listens on 127.0.0.1 only. Where the profile's reader side speaks TLS it makes a throw-away certificate for
this run: use curl -k, or click the warning away. Stop it with Ctrl-C.

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
        description="Run the hops of a via as a real proxy on loopback, and show what each rule holds right now.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("upstream", metavar="UPSTREAM", help="http://host:port, host:port or a port: the app server")
    parser.add_argument("--via", action="append", required=True, metavar="VIA", help="the hops; again: one more proxy")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the first proxy's port (default: a free one)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: each proxy, each ended response")
    parser.add_argument("--no-color", action="store_true", help="no colour; so does NO_COLOR in the environment")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it; return the exit status."""
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
                        via, upstream, port=port, tls=_throw_away() if secure else None, on_change=board.dispatcher(via)
                    )
                )
            except OSError as error:
                raise ConfigurationError(
                    f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}. Expected a free one, or none named. "
                    "Is another proxy still running there?"
                ) from None
            except OverflowError:
                raise ConfigurationError(f"Port {port} is none. Expected 1 to 65535. Is it a typing mistake?") from None
            board.opened(via, f"http{'s' * secure}://{host}:{bound}", upstream)
        with _until_interrupted() as stopped, board.drawn():
            while not stopped.wait(REFRESH):
                board.refresh()
    return 0


def _upstream(text: str) -> tuple[str, int]:
    if text.isascii() and text.isdigit():
        text = f"127.0.0.1:{text}"
    place = address(text if "://" in text else f"http://{text}")
    if place.secure:
        raise ConfigurationError(
            f"The upstream {text!r} speaks TLS. Expected an app server's plain http://host:port. "
            "Is it a hop that belongs into --via?"
        )
    return place.host, place.port


def _throw_away() -> ssl.SSLContext:
    """A certificate that nobody trusts, made for this run."""
    need("trustme", "A proxy that speaks TLS", "proxy")
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that everything is closed in order."""
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
    """Tells in plain lines: each proxy, then each response when it began, when a hold grew tenfold, when it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[int, int] = {}

    def opened(self, via: Via, url: str, upstream: tuple[str, int]) -> None:
        """A proxy listens."""
        note = ", by users' reports only" if via.grade == "reported" else ""
        self._print(f"{via.text} at {url} in front of {upstream[0]}:{upstream[1]} (facts: {via.grade}{note})")

    def dispatcher(self, via: Via) -> Any:
        """What the relay of ``via`` calls when something changed; in the relay's thread."""
        return lambda exchange: self._changed(via, exchange)

    def _changed(self, via: Via, exchange: Exchange) -> None:
        number = exchange.number
        with self._lock:
            told = self._told.get(number)
            held = exchange.chain.held
            if exchange.ended_at is not None:
                self._told.pop(number, None)
                seconds = exchange.ended_at - exchange.started_at
                self._print(f"{_name(exchange)}  {exchange.outcome} after {seconds:.2f} s, {exchange.bytes_out} B")
            elif told is None and exchange.bytes_in:
                self._told[number] = max(held, 1)
                self._print(f"{_name(exchange)}  {_hold(exchange)}")
            elif told is not None and held >= told * 10:
                self._told[number] = held
                self._print(f"{_name(exchange)}  {_hold(exchange)}")

    def refresh(self) -> None:
        """Draw again what only time changes."""

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """While it is on the screen."""
        yield

    def _print(self, text: str) -> None:
        print(text, flush=True)


class _JsonLines(_Lines):
    """The same as data."""

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
    """A table that is drawn again and again."""

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
    """The target so that a terminal cannot be driven by it."""
    return preview(target.encode(), width=40)[1:-1]


def _hold(exchange: Exchange) -> str:
    holds = exchange.holds()
    if not holds:
        return "streaming, nothing held"
    hop, why, held = max(holds, key=lambda hold: hold[2])
    return f"{held} B held by {hop}: {why}"
