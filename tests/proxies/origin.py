"""An origin on a raw socket: plays each expected schedule to whoever asks for it, and keeps the log.

Knows connections and threads. What is written, and when, is :mod:`tests.proxies.answer`'s.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from itertools import count
from types import TracebackType
from typing import Self

from streamproof.sansio.trace import Outcome

from .answer import Answer, Emissions
from .schedules import Schedule

READY = "/ready"
_READY_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nready\n"


class Play:
    """One schedule that waits for its request. A proxy may ask more than once: each answer is logged."""

    def __init__(self, schedule: Schedule, target: str) -> None:
        self.schedule, self.target = schedule, target
        self.answers: list[Emissions] = []
        self.over = threading.Event()


class Origin:
    """Serves each expected play under a target of its own, and :data:`READY`, until closed. A context manager.

    ``buffers`` makes it dishonest, for tests of the comparison: it keeps every other write back for the next one, and
    logs it as if it had not.
    """

    def __init__(self, *, buffers: bool = False) -> None:
        self._buffers = buffers
        self._plays: dict[str, Play] = {}
        self._numbers = count(1)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def expect(self, schedule: Schedule) -> Play:
        """The play of ``schedule`` under a target that nobody asked for before, so that no cache has it."""
        play = Play(schedule, f"/{schedule.name}/{next(self._numbers)}")
        self._plays[play.target] = play
        return play

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: tuple[type[BaseException], BaseException, TracebackType] | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in tuple(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while True:
                while b"\r\n\r\n" not in received:
                    more = sock.recv(65536)
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                if not self._answer(sock, head.decode("latin-1")):
                    return
        except OSError:
            pass  # the proxy left, or this origin is closed
        finally:
            self._open.discard(sock)
            sock.close()

    def _answer(self, sock: socket.socket, head: str) -> bool:
        """Answer one request; False when the connection is to be closed."""
        line, *rest = head.split("\r\n")
        method, target, version = line.split(" ")
        path = target if target.startswith("/") else "/" + target.split("/", 3)[3]
        play = self._plays.get(path)
        if play is None:
            sock.sendall(_READY_ANSWER)
            return False
        pairs = tuple((name, value.strip()) for name, _, value in (each.partition(":") for each in rest))
        answer = Emissions(version.removeprefix("HTTP/"))
        try:
            return Answer(sock, play.schedule, answer, method, pairs, self._buffers).play()
        finally:
            if answer.end_at is None:  # the proxy left before the end
                answer.end_at, answer.outcome = time.monotonic(), Outcome.CLIENT_GONE
            play.answers.append(answer)
            play.over.set()
