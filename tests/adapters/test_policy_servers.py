"""What a policy does on real servers, over real sockets; each behavior has a twin that must fail the same check.

Nothing here is timed but the one thing that is promised in seconds: how soon an app hears that its reader left.
"""

from __future__ import annotations

import itertools
import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamproof.sansio.trace import Request
from streamproof.sockets.http1 import Conversation
from tests.support.live_support import LIMIT, Booted, boot, eventually, free_port, need
from tests.support.policy_apps import BEAT, EVENT, HUGE, LAST, MAX_SIZE, TINY

pytestmark = pytest.mark.servers

APPS = "tests.support.policy_apps"
ROOT = Path(__file__).resolve().parents[2]
PATIENT, IMPATIENT = 10.0, 0.3  # seconds that an app waits for its reader
BEATS = b":\n\n"


@dataclass(frozen=True)
class Kind:
    """A server and how it is started; ``{port}`` is filled in."""

    name: str
    package: str
    command: tuple[str, ...]

    @property
    def asgi(self) -> bool:
        return self.command[-1].endswith("asgi")


def _gunicorn(name: str, *options: str, app: str = "wsgi", package: str = "gunicorn") -> Kind:
    fixed = ("gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket", "-w", "1", "--graceful-timeout", "1")
    return Kind(name, package, (*fixed, *options, f"{APPS}:{app}"))


def _uvicorn(name: str, *options: str, package: str = "uvicorn") -> Kind:
    return Kind(name, package, ("uvicorn", "--port", "{port}", "--no-access-log", *options, f"{APPS}:asgi"))


def _granian(interface: str, *options: str) -> Kind:
    fixed = ("granian", "--interface", interface, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
    return Kind(f"granian-{interface}", "granian", (*fixed, *options, f"{APPS}:{interface}"))


KINDS = [
    _gunicorn("gunicorn-sync", "-k", "sync"),
    _gunicorn("gunicorn-gthread", "-k", "gthread", "--threads", "4"),
    _gunicorn("gunicorn-gevent", "-k", "gevent", package="gevent"),
    Kind("waitress", "waitress", ("waitress", "--listen=127.0.0.1:{port}", f"{APPS}:wsgi")),
    _granian("wsgi", "--blocking-threads", "4"),
    _uvicorn("uvicorn-h11", "--http", "h11", package="h11"),
    _uvicorn("uvicorn-httptools", "--http", "httptools", package="httptools"),
    Kind("hypercorn", "hypercorn", ("hypercorn", "--bind", "127.0.0.1:{port}", f"asgi:{APPS}:asgi")),
    _granian("asgi"),
    Kind("daphne", "daphne", ("daphne", "-b", "127.0.0.1", "-p", "{port}", f"{APPS}:asgi")),
    _gunicorn("gunicorn-asgi", "-k", "asgi", app="asgi"),
]

#: What each server does when the app breaks off after its head and some of its body: whether the reader can see it.
#: Granian's WSGI interface writes the last chunk all the same; daphne leaves the connection open.
BLIND = {"granian-wsgi": "looks complete", "daphne": "stays open"}

#: Servers that close a WSGI app whose reader left without a write that fails.
WATCHFUL = {"granian-wsgi"}

#: Servers that keep the head until there are bytes of the body, whatever they are asked.
HEAD_WAITS = {"waitress", "gunicorn-asgi"}


@dataclass
class Running:
    """A server that runs."""

    kind: Kind
    booted: Booted


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    kind: Kind = request.param
    need(kind.command[0], kind.package)
    port = free_port()
    command = [part.format(port=port) for part in kind.command]
    with boot(tmp_path_factory.mktemp(kind.name), command, port, {"PYTHONPATH": str(ROOT)}) as booted:
        yield Running(kind, booted)


_names = itertools.count()


class Held(AssertionError):
    """The app lost patience before its reader had what it was to have."""


class Reader:
    """One request, read piece by piece."""

    def __init__(self, server: Booted, behavior: str, variant: str, *, patience: float = PATIENT) -> None:
        self._server, self.name = server, f"r{next(_names)}"
        headers = (("Host", "test"), ("Accept-Encoding", "gzip" if behavior == "compress" else "identity"))
        request = Request(target=f"/{behavior}/{variant}/{self.name}?patience={patience}", headers=headers)
        self._talk = Conversation(request)
        self._sock = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        self._sock.sendall(self._talk.first_bytes)
        self.raw = self.body = b""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._sock.close()

    @property
    def sizes(self) -> list[int]:
        """The sizes of the chunks on the wire."""
        rest, sizes = self.raw.partition(b"\r\n\r\n")[2], []
        while b"\r\n" in rest:
            line, rest = rest.split(b"\r\n", 1)
            sizes.append(int(line, 16))
            rest = rest[sizes[-1] + 2 :]
        return [size for size in sizes if size]

    @property
    def events(self) -> bytes:
        """The body without heartbeats."""
        return self.body.replace(BEATS, b"")

    @property
    def head(self) -> dict[str, str]:
        assert self._talk.head is not None
        return {name.lower(): value for name, value in self._talk.head.headers}

    @property
    def has_head(self) -> bool:
        return self._talk.head is not None

    @property
    def complete(self) -> bool:
        return self._talk.complete

    def noted(self, what: str) -> Path:
        return self._server.folder / f"{self.name}.{what}"

    def receive(self) -> bool:
        """Read once more; False at the end."""
        try:
            data = self._sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.raw += data
        self.body += self._talk.receive(data)
        return bool(data) and not self._talk.complete

    def until(self, enough: Any) -> None:
        """Read until ``enough()``, which must be so while the app waits. Raises Held otherwise."""
        while not enough():
            assert self.receive(), f"the end came first: {self.raw[-300:]!r}\n{self._server.log[-2000:]}"
        if self.noted("held").exists():
            raise Held

    def finish(self) -> None:
        """Let the app go on, and read to the end."""
        self._server.pass_gate(self.name)
        while self.receive():
            pass

    def silent(self) -> bool:
        """Does nothing more come for now, not even an end?"""
        self._sock.settimeout(0.2)
        try:
            self._sock.recv(65536)
        except TimeoutError:
            return True
        return False

    def let_go(self) -> None:
        """Let the app go on, and wait until it has ended."""
        self._server.pass_gate(self.name)
        eventually(lambda: self.noted("ended").exists(), "the app's end")

    def close(self) -> None:
        self._sock.close()


def heartbeat(reader: Reader) -> None:
    reader.until(lambda: reader.body.count(BEATS) >= 2)
    assert reader.body.startswith(EVENT + BEATS)
    reader.finish()
    assert reader.complete
    assert reader.events == EVENT + LAST


def coalesce(reader: Reader) -> None:
    reader.until(lambda: reader.body == b"".join(TINY))
    assert len(reader.sizes) < len(TINY), "some went together"
    reader.finish()
    assert reader.body == b"".join(TINY) + LAST


def split(reader: Reader) -> None:
    reader.until(lambda: reader.body == HUGE)
    reader.finish()
    assert reader.body == HUGE + LAST
    assert max(reader.sizes) <= MAX_SIZE


def compress(reader: Reader) -> None:
    def decoded() -> bytes:
        assert reader.head.get("content-encoding") == "gzip"
        return zlib.decompressobj(31).decompress(reader.body)

    reader.until(lambda: reader.body and decoded() == EVENT)
    reader.finish()
    assert zlib.decompress(reader.body, 31) == EVENT + LAST


def error(reader: Reader) -> None:
    reader.until(lambda: reader.body == EVENT)
    assert reader.head["x-accel-buffering"] == "no"
    reader.finish()
    assert reader.complete
    assert reader.body.startswith(EVENT + b"event: error\n")


def head(reader: Reader) -> None:
    reader.until(lambda: reader.has_head)
    assert reader.head["content-type"] == "text/event-stream"
    reader.finish()
    assert reader.body == LAST


CHECKS = {check.__name__: check for check in (heartbeat, coalesce, split, compress, error, head)}


@pytest.mark.parametrize("name", CHECKS)
def test_a_policy_does_what_it_says(running: Running, name: str) -> None:
    if name == "head" and running.kind.name in HEAD_WAITS:
        with Reader(running.booted, name, "policy", patience=IMPATIENT) as reader, pytest.raises(AssertionError):
            head(reader)
        return
    with Reader(running.booted, name, "policy") as reader:
        CHECKS[name](reader)


@pytest.mark.parametrize("name", CHECKS)
def test_the_same_check_fails_where_a_layer_buffers(running: Running, name: str) -> None:
    with Reader(running.booted, name, "buffered", patience=IMPATIENT) as reader, pytest.raises(AssertionError):
        CHECKS[name](reader)


def test_an_unclean_end_is_seen_by_the_reader(running: Running) -> None:
    with Reader(running.booted, "cut", "policy") as reader:
        reader.until(lambda: reader.body == EVENT)
        if BLIND.get(running.kind.name) == "stays open":
            reader.let_go()
            assert reader.silent()
            return
        reader.finish()
        assert reader.body == EVENT
        assert reader.complete is (running.kind.name in BLIND)


def notices(reader: Reader, seconds: float) -> bool:
    """Leave after the first event; did the app end within ``seconds``?"""
    from time import monotonic

    reader.until(lambda: EVENT in reader.body)
    left = monotonic()
    reader.close()
    eventually(lambda: reader.noted("ended").exists() or reader.noted("unaware").exists(), "the app's end")
    return reader.noted("ended").exists() and float(reader.noted("ended").read_text()) - left <= seconds


def test_an_app_ends_within_a_second_after_its_reader_left(running: Running) -> None:
    """WSGI: two heartbeats, since the first write after the end still succeeds; the rest is a busy machine."""
    names = ["leaves", "cancelled"] if running.kind.asgi else ["leaves"]
    for name in names:
        with Reader(running.booted, name, "policy") as reader:
            assert notices(reader, 1.0 if running.kind.asgi else 2 * BEAT + 0.5)


def test_without_the_policy_it_does_not(running: Running) -> None:
    with Reader(running.booted, "leaves", "bare") as reader:
        assert notices(reader, 1.0) is (running.kind.name in WATCHFUL)
