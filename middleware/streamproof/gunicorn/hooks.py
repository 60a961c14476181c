"""The work of the gunicorn hooks: read the user's configuration, wrap a worker's app, export what a worker leaves open.

For gunicorn 25 to 27. The native ASGI worker keeps its app in ``asgi``, every other worker in ``wsgi`` (uvicorn's
worker included). A ``python:`` module is imported once and then cached. ``child_exit`` runs in the master,
``worker_exit`` in the worker. The folder of counts is in ``counts_folder.py``.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from typing import Any

from .. import live
from ..sansio.errors import ConfigurationError, StreamProofError
from ..sansio.trace import Outcome
from ..settings.assembly import Assembly, check, listen_to_log
from ..settings.loading import load
from . import counts_folder, user_config

#: Seconds between two checks whether the worker is stopping; gunicorn has no hook for SIGTERM.
LOOK_EVERY = 0.25
_assembly: Assembly | None = None
_user_hooks: dict[str, Any] = {}


def boot(module: dict[str, Any]) -> None:
    """Check the settings and copy the user's configuration into ``module``. Does nothing unless gunicorn reads it.

    Raises SystemExit with one sentence if a setting is wrong; gunicorn ends with it.
    """
    reader = user_config.reader()
    if reader is None:
        return
    try:
        settings = load()
        check(settings)
    except StreamProofError as error:
        raise SystemExit(f"streamproof: {error}") from None
    shared = counts_folder.share(settings)
    try:
        user_settings = user_config.read(settings.gunicorn_conf) if reader == "directly" else {}
    except BaseException:
        if shared:
            counts_folder.unshare()
        raise
    if reader == "directly":
        _user_hooks.clear()
        for name, value in user_settings.items():
            if not callable(module.get(name)):
                module[name] = value
            elif value is not module[name]:
                _user_hooks[name] = value


def call_user_hook(name: str, *arguments: Any) -> None:
    """Call the user's hook ``name``, if there is one."""
    if (hook := _user_hooks.get(name)) is not None:
        hook(*arguments)


def read_again_next_time(module: str) -> None:
    """Make the next SIGHUP read the configuration again; by itself, gunicorn does so only for files."""
    sys.modules.pop(module, None)


def wrap_worker(worker: Any) -> None:
    """Wrap the app that ``worker`` has loaded. Does nothing the second time."""
    global _assembly
    attribute = "asgi" if "asgi" in vars(worker) else "wsgi"
    app = getattr(worker, attribute)
    if getattr(worker, "_streamproof", False) or _is_tornado(app):
        return
    try:
        _assembly = Assembly(load())  # again: raw_env is set by now
    except StreamProofError as error:
        raise SystemExit(_stop_all(f"streamproof: {error}")) from None
    listen_to_log(list(getattr(getattr(worker.log, "error_log", None), "handlers", ())))
    try:
        setattr(worker, attribute, _assembly.wrap(app))
    except ConfigurationError as error:
        worker.log.error("streamproof leaves the app alone: %s", error)
    worker._streamproof = True
    threading.Thread(target=_watch, args=(worker,), daemon=True, name="streamproof-stop").start()


def _watch(worker: Any) -> None:
    """Export what is still open shortly before ``graceful_timeout`` ends, when the master kills the worker."""
    server = None
    while worker.alive and not getattr(server, "should_exit", False):
        time.sleep(LOOK_EVERY)
        if server is None and hasattr(worker, "config"):
            server = _uvicorn_server()
    time.sleep(max(0.0, worker.cfg.graceful_timeout - 2 * LOOK_EVERY))
    leaving(worker)


def _stop_all(sentence: str) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201  # before the logger can be trusted
    return 3  # gunicorn's Arbiter.WORKER_BOOT_ERROR: the master ends instead of booting workers for ever


def _is_tornado(app: Any) -> bool:
    """Is it a tornado application, which the tornado worker serves directly, and not a WSGI app?"""
    return any(f"{kind.__module__}.{kind.__name__}" in _TORNADO for kind in type(app).__mro__)


def _uvicorn_server() -> Any:
    """The server of uvicorn's worker, which keeps it in a local variable and does not update ``worker.alive``."""
    for found in gc.get_objects():
        if type(found).__module__ == "uvicorn.server" and hasattr(found, "should_exit"):
            return found
    return None


_TORNADO = frozenset(("tornado.web.Application", "tornado.wsgi.WSGIContainer"))


def stopping(worker: Any) -> None:
    """Record that the worker quits at once."""
    live.set_all_outcomes(Outcome.SHUTDOWN, "gunicorn", "the worker was stopped")


def timed_out(worker: Any) -> None:
    """Record that the worker exceeded ``timeout``; gunicorn is about to raise SystemExit in its stream."""
    live.set_all_outcomes(Outcome.CUT, "gunicorn", f"worker timeout {worker.cfg.timeout:g} s")


def leaving(worker: Any) -> None:
    """Export the streams that are still open when the worker ends, because nobody will see their end."""
    if _assembly is not None and worker.pid == os.getpid():  # gunicorn calls the hook in the master, too
        live.end_all(Outcome.SHUTDOWN, "gunicorn", f"graceful timeout {worker.cfg.graceful_timeout:g} s")
        _assembly.flush()
