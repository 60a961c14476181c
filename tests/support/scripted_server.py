"""A server for one connection that does exactly what a script says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Script = Callable[[socket.socket, bytes], None]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def scripted(script: Script) -> Iterator[int]:
    """A server for one connection: reads the request head, runs ``script``, closes. Yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            script(connection, head)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with listener:
            yield listener.getsockname()[1]
    finally:
        thread.join(10)


def saying(said: bytes) -> Script:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(said)

    return script
