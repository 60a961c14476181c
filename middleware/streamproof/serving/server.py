"""Boot a real app server in a process of its own and collect its recordings: :func:`serve`.

The server is chosen and started in the child process, by ``child/launch.py``, so the user's app is never imported here.
Recordings come as notes in a folder, the inbox. At the end the whole process group is stopped and the folder removed,
whatever happened. Process groups need POSIX.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ..app_kind import Kind
from ..sansio.errors import StreamProofError
from ..sansio.trace import Trace
from .child import servers as _servers
from .child import target as _target
from .child.orders import ORDERS

HOST = "127.0.0.1"
BOOT_TIMEOUT = 60.0  # seconds; an app may load a model
GRACE = 2.0  # seconds from the first SIGINT to SIGKILL, the second SIGINT half way
POLL = 0.01  # seconds


class ServingError(StreamProofError):
    """The server did not boot, or a recording did not come."""


class Traces:
    """The recordings of a server, in the order in which they were finished.

    ``last_at`` is when the last one taken was finished, ``last_started_at`` when its request reached the app, both in
    seconds on this machine's monotonic clock.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: list[tuple[float, float, Trace]] = []
        self.last_at: float | None = None
        self.last_started_at: float | None = None

    def get(self, timeout: float = 5.0) -> Trace:
        """The next recording. Raises ServingError if none came within ``timeout`` seconds."""
        limit = time.monotonic() + timeout
        while True:
            self._server.look()
            if self._waiting:
                self.last_at, self.last_started_at, trace = self._waiting.pop(0)
                return trace
            if time.monotonic() >= limit:
                raise ServingError(
                    f"No recording came within {timeout:g} s. Expected one per response, when the app has ended it. "
                    "Is the app still busy with it?"
                )
            time.sleep(POLL)

    def __iter__(self) -> Iterator[Trace]:
        """The recordings that have come, without waiting."""
        self._server.look()
        while self._waiting:
            yield self.get(0)

    def add(self, at: float, started_at: float, trace: Trace) -> None:
        """Keep a recording for :meth:`get`."""
        self._waiting.append((at, started_at, trace))


class Server:
    """A running server: ``url``, ``host``, ``port``, ``kind``, ``name``, ``traces`` and its log."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, port: int) -> None:
        self.host, self.port = HOST, port
        self.url = f"http://{HOST}:{port}"
        self.kind: Kind | None = None
        self.name = "server"
        self.traces = Traces(self)
        self._process, self._folder = process, folder
        self._loaded = self._stopped = False
        self._failed: str | None = None

    def __repr__(self) -> str:
        return f"<Server {self.name} ({self.kind}) at {self.url}>"

    @property
    def log(self) -> str:
        """Its output, standard error included."""
        return (self._folder / "log").read_text(errors="replace")

    def tail(self, lines: int = 8) -> str:
        """The last ``lines`` lines of its log that are not empty."""
        return "\n".join([line for line in self.log.splitlines() if line.strip()][-lines:])

    @property
    def running(self) -> bool:
        """Is its process alive?"""
        return self._process.poll() is None

    def look(self) -> None:
        """Read the notes that have come."""
        for note in sorted((self._folder / "inbox").glob("*.json")):
            self._take(json.loads(note.read_text()))
            note.unlink()

    def _take(self, note: dict[str, Any]) -> None:
        match note["kind"]:
            case "launched":
                self.kind, self.name = cast(Kind, note["app_kind"]), note["server"]
            case "loaded":
                self._loaded = True
            case "failed":
                self._failed = note["message"]
            case _:
                trace = Trace.from_dict(note["trace"])
                named = trace if trace.server else replace(trace, server=self.name)
                self.traces.add(note["at"], note["started"], named)

    def wait_until_ready(self, timeout: float) -> None:
        """Return when it listens and has loaded the app. Raises ServingError if that fails."""
        limit = time.monotonic() + timeout
        while not (self._loaded and self._listens()):
            running = self.running  # before the notes are read, so that the last one is not missed
            self.look()
            if self._failed is not None:
                raise ServingError(self._failed)
            if not running:
                raise self._boot_error(f"stopped before it served (exit status {self._process.returncode})")
            if time.monotonic() >= limit:
                raise self._boot_error(f"did not serve within {timeout:g} s")
            time.sleep(POLL)

    def _boot_error(self, fact: str) -> ServingError:
        last = "".join(f"\n  {line}" for line in self.tail().splitlines()) or " nothing"
        return ServingError(
            f"The {self.name} process {fact}. Expected it to listen on {HOST}:{self.port}. "
            f"Does the end of its log show why?{last}"
        )

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self, grace: float = GRACE) -> None:
        """Stop its process group: two SIGINTs, then SIGKILL, ``grace`` seconds later. May be called again.

        After the first SIGINT uvicorn waits for the running responses, after the second it ends them, so that the app
        notices and its recording is finished. After a SIGTERM uvicorn would end before its tasks.
        """
        if self._stopped:
            return  # the number may belong to another group by now
        self._stopped = True
        for number in (signal.SIGINT, signal.SIGINT):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace / 2)
        limit = time.monotonic() + GRACE  # in a container, dead grandchildren may stay uncollected
        while self._signal(signal.SIGKILL) and time.monotonic() < limit:
            self._process.poll()
            time.sleep(POLL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> bool:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: EPERM when only zombies are left
            return False
        return True


@contextmanager
def serve(
    target: str,
    *,
    server: str | None = None,
    port: int = 0,
    app_dir: str | os.PathLike[str] | None = None,
    wrap: bool = True,
    via: str | None = None,
    options: Sequence[str] = (),
    boot_timeout: float = BOOT_TIMEOUT,
) -> Iterator[Server]:
    """Serve ``target`` (``module:app`` or ``module:factory()``) with a real server while the block runs.

    Args:
        server: A name in ``child/servers.py``; by default gunicorn for WSGI, uvicorn for ASGI.
        port: A loopback port; 0 chooses a free one.
        app_dir: The folder that is searched first for the module; by default the current one.
        wrap: Record every response in ``traces``.
        via: Hops to emulate in the process, between the app and the server.
        options: More arguments for the server's own command line.
        boot_timeout: Seconds in which it must begin to listen.

    Raises:
        ServingError: The app cannot be loaded, the server is not installed or did not start, the port is taken.
        ConfigurationError: ``target`` has a wrong form, or ``server`` is not known.
    """
    _target.parse(target)
    if server is not None:
        _servers.server_named(server)
    port = _free_port(port)
    with tempfile.TemporaryDirectory(prefix="streamproof-") as name:
        folder = Path(name)
        (folder / "inbox").mkdir()
        orders = {
            "target": target,
            "app_dir": os.path.abspath(app_dir or os.curdir),
            "inbox": str(folder / "inbox"),
            "wrap": wrap or via is not None,
            "via": via,
            "server": server,
            "host": HOST,
            "port": port,
            "options": list(options),
        }
        environment = {**os.environ, ORDERS: json.dumps(orders), "PYTHONUNBUFFERED": "1"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "streamproof.serving.child.launch"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        booted = Server(process, folder, port)
        try:
            booted.wait_until_ready(boot_timeout)
            yield booted
        finally:
            booted.stop()


def _free_port(port: int) -> int:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError as error:
            raise ServingError(
                f"The port {port} cannot be used: {error.strerror}. Expected a free port on {HOST}, or no port. "
                "Is a server still running there?"
            ) from None
        return cast(int, sock.getsockname()[1])
