"""The app servers that ``streamproof check`` and the tests can boot, and the command line of each.

Each runs with one worker on one address and its own defaults for everything else. ``serving/server.py`` and the process
that it starts read this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from ...app_kind import Kind
from ...sansio.errors import ConfigurationError

#: The recorded app, as the servers' command lines name it.
APP = "streamproof.serving.child.served:app"


@dataclass(frozen=True, slots=True)
class AppServer:
    """One server: the name of its module and distribution, the kinds of app that it serves, its arguments."""

    name: str
    kinds: tuple[Kind, ...]
    arguments: Callable[[Kind, str, int], list[str]]

    @property
    def installed(self) -> bool:
        """Is it in this environment?"""
        return find_spec(self.name) is not None

    def command(self, kind: Kind, host: str, port: int, options: Sequence[str] = ()) -> list[str]:
        """The command that serves the recorded app. ``options`` are the user's and come before the app.

        Raises ConfigurationError if the server is not installed or does not serve this kind.
        """
        if not self.installed:
            raise ConfigurationError(
                f"The server {self.name} is not installed. Expected it in this environment: pip install {self.name}. "
                f"Or did you mean one that is here: {', '.join(s.name for s in SERVERS.values() if s.installed)}?"
            )
        if kind not in self.kinds:
            others = ", ".join(server.name for server in SERVERS.values() if kind in server.kinds)
            raise ConfigurationError(
                f"The server {self.name} serves {self.kinds[0].upper()} apps, and this one is {kind.upper()}. "
                f"Expected one of: {others}. Is it the right app?"
            )
        module = "streamproof.serving.child.launch" if self.name == "werkzeug" else self.name
        fixed = self.arguments(kind, host, port)
        return [sys.executable, "-m", module, *fixed[:-1], *options, fixed[-1]]


def _gunicorn(kind: Kind, host: str, port: int) -> list[str]:
    # The control socket has one path for every master of a user, so two runs would disturb each other.
    worker = ["-k", "asgi"] if kind == "asgi" else ["--threads", "1"]
    return ["-b", f"{host}:{port}", "-w", "1", *worker, "--no-control-socket", APP]


def _uvicorn(kind: Kind, host: str, port: int) -> list[str]:
    interface = "wsgi" if kind == "wsgi" else "auto"
    return ["--host", host, "--port", str(port), "--interface", interface, "--no-access-log", APP]


def _hypercorn(kind: Kind, host: str, port: int) -> list[str]:
    return ["--bind", f"{host}:{port}", f"{kind}:{APP}"]


def _granian(kind: Kind, host: str, port: int) -> list[str]:
    return ["--interface", kind, "--host", host, "--port", str(port), "--workers", "1", APP]


def _waitress(kind: Kind, host: str, port: int) -> list[str]:
    return [f"--listen={host}:{port}", APP]


def _daphne(kind: Kind, host: str, port: int) -> list[str]:
    return ["-b", host, "-p", str(port), APP]


def _werkzeug(kind: Kind, host: str, port: int) -> list[str]:
    return ["werkzeug", host, str(port)]


_BOTH: tuple[Kind, ...] = ("wsgi", "asgi")
SERVERS = {
    server.name: server
    for server in (
        AppServer("gunicorn", _BOTH, _gunicorn),
        AppServer("uvicorn", ("asgi", "wsgi"), _uvicorn),
        AppServer("hypercorn", ("asgi", "wsgi"), _hypercorn),
        AppServer("granian", ("asgi", "wsgi"), _granian),
        AppServer("waitress", ("wsgi",), _waitress),
        AppServer("daphne", ("asgi",), _daphne),
        AppServer("werkzeug", ("wsgi",), _werkzeug),
    )
}
#: The default server of each kind.
DEFAULT: dict[Kind, str] = {"wsgi": "gunicorn", "asgi": "uvicorn"}


def server_named(name: str) -> AppServer:
    """Return the server called ``name``. Raises ConfigurationError with the known names."""
    if name not in SERVERS:
        raise ConfigurationError(f"{name!r} is not a known server. Expected one of {', '.join(SERVERS)}.")
    return SERVERS[name]
