"""A real server in a process of its own, whose app stays in each pause until the test lets it go on."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Self

from .demo_support import PAUSE, PAUSES_OF_THE_APPS, ROOT, Headers, real_sleep, real_sleep_async


class PausedServer:
    """A real server in a process of its own whose app stays in each pause until the test lets it go on."""

    def __init__(self, server: str, target: str) -> None:
        self._arguments = [server, target]

    def __enter__(self) -> Self:
        # The listening socket is ours: no port to guess, and requests may come before the server is up.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._control, control = socket.socketpair()
        self._control.settimeout(30)
        self._log = tempfile.TemporaryFile()
        descriptors = (self._listener.fileno(), control.fileno())
        with control:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.paused_server", *map(str, descriptors), *self._arguments],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=os.environ | PAUSES_OF_THE_APPS,
                cwd=ROOT,
                start_new_session=True,  # so that the server's workers can be stopped with it
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._control.close()
        self._listener.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._log.close()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    @contextlib.contextmanager
    def request(self, path: str, headers: Headers = ()) -> Iterator["Connection"]:
        """A connection on which `path` was asked for."""
        with socket.create_connection(self._listener.getsockname(), timeout=30) as connection:
            lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            yield Connection(connection)

    def wait_for_pause(self) -> None:
        """Return when the app is in its next pause."""
        if not self._control.recv(1):
            self._log.seek(0)
            raise RuntimeError(f"the server stopped: {self._log.read().decode(errors='replace')}")

    def resume(self) -> None:
        """Let the app leave its pause."""
        self._control.sendall(b".")

    def finish(self) -> None:
        """Let the app run to its end without another pause."""
        self._control.close()


class Connection:
    """A raw reader: what has arrived, framing and all."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.received = b""

    def read_until(self, wanted: bytes) -> None:
        """Return when `wanted` has arrived."""
        while wanted not in self.received:
            block = self._connection.recv(65536)
            if not block:
                raise EOFError(f"{wanted!r} never came, only {self.received!r}")
            self.received += block

    def read_arrived(self) -> bytes:
        """All that has arrived by now, without waiting for more."""
        self._connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while block := self._connection.recv(65536):
                self.received += block
        self._connection.settimeout(30)
        return self.received


def main(listener: str, control: str, server: str, target: str) -> None:
    """Run `server` on the inherited socket `listener`; the app's pauses end when `control` says so."""
    turns = socket.socket(fileno=int(control))

    def pause() -> None:
        # The test has ended, or wants no more turns: pauses are over.
        with contextlib.suppress(OSError):
            turns.sendall(b".")
            turns.recv(1)

    async def idle() -> None:
        await asyncio.get_running_loop().run_in_executor(None, pause)

    def sleep(seconds: float) -> None:
        pause() if seconds == PAUSE else real_sleep(seconds)

    async def sleep_async(seconds: float, result: object = None) -> object:
        return await (idle() if seconds == PAUSE else real_sleep_async(seconds, result))

    time.sleep = sleep  # type: ignore[assignment]
    asyncio.sleep = sleep_async  # type: ignore[assignment]

    match server:
        case "uvicorn":
            import uvicorn

            config = uvicorn.Config(target, lifespan="off", log_level="warning")
            uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(listener))])
        case "daphne":
            from daphne.cli import CommandLineInterface

            CommandLineInterface().run(["--verbosity", "0", "--fd", listener, target])
        case "gunicorn":
            from gunicorn.app.wsgiapp import run

            sys.argv[1:] = ["--bind", f"fd://{listener}", "--no-control-socket", target]
            run()
        case _:
            raise SystemExit(f"no way to run {server}")


if __name__ == "__main__":
    main(*sys.argv[1:])
