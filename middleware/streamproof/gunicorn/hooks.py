"""What the gunicorn hooks do: read the user's own configuration, wrap the app of a worker, tell what a worker leaves.

Knows gunicorn 25 to 27: which attribute holds the app (``asgi`` on the native ASGI worker, ``wsgi`` on all others, ASGI
apps under uvicorn's worker included), that a ``python:`` module is imported once and then cached, that ``child_exit``
runs in the master and ``worker_exit`` in the worker. Each use has its reason beside it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .. import live
from ..sansio.errors import ConfigurationError, StreamProofError
from ..sansio.trace import Outcome
from ..settings.assembly import Assembly, check, listen_to_log
from ..settings.loading import Settings, load
from . import user_config

#: Seconds between two looks whether the worker was told to stop; gunicorn has no hook for SIGTERM.
LOOK_EVERY = 0.25
_COUNTS = "PROMETHEUS_MULTIPROC_DIR"
#: The files of prometheus_client's multiprocess mode: type, gauge mode, process (values.py, MultiProcessValue).
_COUNT_FILE = re.compile(
    r"(?:counter|histogram|summary|gauge_(?:live)?(?:all|min|max|sum|mostrecent))_([1-9][0-9]{0,6})\.db", re.ASCII
)
_assembly: Assembly | None = None
_own_counts: tuple[int, str] | None = None  # the process that made the folder, and the folder
_hooks: dict[str, Any] = {}  # the user's


def boot(module: dict[str, Any]) -> None:
    """Check the settings, and take over the user's configuration into ``module``: only when gunicorn is reading it.

    Raises SystemExit with one sentence when a setting is wrong: gunicorn stops with it.
    """
    reader = user_config.reader()
    if reader is None:
        return
    try:
        settings = load()
        if settings.prometheus or settings.metrics_path:
            _share_counts(settings)
        check(settings)
    except StreamProofError as error:
        raise SystemExit(f"streamproof: {error}") from None
    if reader == "directly":
        _hooks.clear()
        for name, value in user_config.users(settings.gunicorn_conf).items():
            if not callable(module.get(name)):
                module[name] = value
            elif value is not module[name]:
                _hooks[name] = value


def _theirs(name: str, *arguments: Any) -> None:
    """Call the user's hook ``name``, if there is one."""
    if (hook := _hooks.get(name)) is not None:
        hook(*arguments)


def read_again_next_time(module: str) -> None:
    """Make SIGHUP read the configuration again, which gunicorn only does for files."""
    sys.modules.pop(module, None)


def wrap_worker(worker: Any) -> None:
    """Wrap the app that ``worker`` has loaded; does nothing the second time."""
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
    """Tell what is still open just before ``graceful_timeout`` is over: then the master kills, and nobody can."""
    server = None
    while worker.alive and not getattr(server, "should_exit", False):
        time.sleep(LOOK_EVERY)
        if server is None and hasattr(worker, "config"):
            server = _uvicorn_server()
    time.sleep(max(0.0, worker.cfg.graceful_timeout - 2 * LOOK_EVERY))
    leaving(worker)


def _stop_all(sentence: str) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201  # before the logger can be trusted
    return 3  # gunicorn's Arbiter.WORKER_BOOT_ERROR: the master gives up and does not try for ever


def _is_tornado(app: Any) -> bool:
    """Is it what the tornado worker serves as it is, and no WSGI app?"""
    return any(f"{kind.__module__}.{kind.__name__}" in _TORNADO for kind in type(app).__mro__)


def _uvicorn_server() -> Any:
    """The server of uvicorn's worker, which keeps it in a local variable and leaves ``worker.alive`` as it is."""
    for found in gc.get_objects():
        if type(found).__module__ == "uvicorn.server" and hasattr(found, "should_exit"):
            return found
    return None


_TORNADO = frozenset(("tornado.web.Application", "tornado.wsgi.WSGIContainer"))


def stopping(worker: Any) -> None:
    """The worker was asked to quit at once."""
    live.set_all_outcomes(Outcome.SHUTDOWN, "gunicorn", "the worker was stopped")


def timed_out(worker: Any) -> None:
    """The worker did not report for ``timeout`` seconds; SystemExit is about to be raised in its stream."""
    live.set_all_outcomes(Outcome.CUT, "gunicorn", f"worker timeout {worker.cfg.timeout:g} s")


def leaving(worker: Any) -> None:
    """The worker ends. Streams that are open now (graceful_timeout is over) will not be seen to end."""
    if _assembly is not None and worker.pid == os.getpid():  # gunicorn calls the hook in the master, too
        live.end_all(Outcome.SHUTDOWN, "gunicorn", f"graceful timeout {worker.cfg.graceful_timeout:g} s")
        _assembly.flush()


def _share_counts(settings: Settings) -> None:
    """Give the processes a folder to share counts in, before anything imports prometheus_client."""
    global _own_counts
    if _COUNTS in os.environ:
        return
    folder = settings.prometheus_dir
    if folder is None:
        folder = tempfile.mkdtemp(prefix="streamproof-counts-")
        _own_counts = (os.getpid(), folder)
    else:
        os.makedirs(folder, exist_ok=True)
        _empty(folder)
    os.environ[_COUNTS] = folder


def prepare_counts(server: Any) -> None:
    """Nothing is left to do at the start, unless the folder was lost meanwhile."""
    if (folder := os.environ.get(_COUNTS)) and _assembly is None:
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)


def _empty(folder: str) -> None:
    """Delete the counts that dead processes left in ``folder``. Any other file stays."""
    for path in Path(folder).iterdir():
        if (found := _COUNT_FILE.fullmatch(path.name)) and not _is_alive(int(found[1])):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    """Does the process ``pid`` count into its file? This one does not before it has imported the client."""
    if pid == os.getpid():
        return "prometheus_client" in sys.modules
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True


def worker_died(worker: Any) -> None:
    """Take the dead worker's gauges out of the sum."""
    if _COUNTS in os.environ:
        try:
            from ..exporters.prometheus import process_died

            process_died(worker.pid)
        except (ImportError, OSError):  # the folder may be the application's own matter
            worker.log.exception("streamproof: the counts of a dead worker could not be tidied up")


def tidy_up(server: Any) -> None:
    """Remove the folder of counts if this process made it."""
    if _own_counts is not None and _own_counts[0] == os.getpid():
        shutil.rmtree(_own_counts[1], ignore_errors=True)
