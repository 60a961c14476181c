"""Real servers for tests: :class:`LiveServers` boots one for an app, in a process of its own, and stops it.

This file finds the name by which another process can import an app object; ``server.py`` boots.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from ..sansio.errors import ConfigurationError
from .server import Server, serve


class LiveServers:
    """Boots servers and stops them all at the end of its ``with`` block. Equal arguments return the same server.

    Called with an app (or ``"module:app"``), it returns the running :class:`~streamproof.serving.Server`.
    """

    def __init__(self, *, via: str | None = None) -> None:
        self._via = via
        self._stack = ExitStack()
        self._running: dict[tuple[object, ...], Server] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __call__(
        self, app: Any, *, server: str | None = None, via: str | None = None, options: Sequence[str] = ()
    ) -> Server:
        """The server that serves ``app``. It is booted if it is not running yet.

        Args:
            app: An app that some module holds under a name, or ``"module:app"``.
            server: ``"gunicorn"``, ``"uvicorn"`` …; by default gunicorn for WSGI, uvicorn for ASGI.
            via: Hops to emulate in the server's process.
            options: More arguments for the server's command line.

        Raises:
            ServingError: It did not boot.
            ConfigurationError: The app has no importable name, or ``server`` or ``via`` is not known.
        """
        target, folder = target_of(app)
        via = via or self._via
        key = (target, folder, server, via, tuple(options))
        running = self._running.get(key)
        if running is None or not running.running:
            booting = serve(target, server=server, via=via, app_dir=folder, options=options)
            running = self._running[key] = self._stack.enter_context(booting)
        return running

    def stop(self) -> None:
        """Stop every server."""
        self._running.clear()
        self._stack.close()


def target_of(app: Any) -> tuple[str, str | None]:
    """``module:name`` of ``app``, and the folder that its module is imported from (None: the current one)."""
    if isinstance(app, str):
        module = sys.modules.get(app.partition(":")[0])
        return app, None if module is None else _folder(module)
    home = sys.modules.get(getattr(app, "__module__", None) or "")
    named = getattr(app, "__name__", None)
    if home is not None and named is not None and getattr(home, named, None) is app:
        return f"{home.__name__}:{named}", _folder(home)
    for module in tuple(sys.modules.values()):
        if not isinstance(module, ModuleType) or not getattr(module, "__file__", None):
            continue
        for name, value in tuple(vars(module).items()):
            if value is app and not name.startswith("_"):
                return f"{module.__name__}:{name}", _folder(module)
    raise ConfigurationError(
        f"{app!r} has no name that another process can import. Expected an app at the top of a module, or "
        "'module:app'. Was it made inside the test?"
    )


def _folder(module: ModuleType) -> str | None:
    """The folder that ``module`` was imported from."""
    if not module.__file__:
        return None
    path = Path(module.__file__).resolve().parent
    up = module.__name__.count(".")
    if path.joinpath("__init__.py") == Path(module.__file__).resolve():
        up += 1
    return str(path.parents[up - 1] if up else path)
