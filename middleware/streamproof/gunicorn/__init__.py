"""The gunicorn entry point: ``gunicorn -c python:streamproof.gunicorn app:app`` wraps the app in every worker.

gunicorn reads one configuration only, so this one reads yours, too: the file that the setting ``gunicorn_conf``
(``STREAMPROOF_GUNICORN_CONF``) names, else ``./gunicorn.conf.py``. Hooks that you set there are called beside these.
To keep a configuration of your own instead, import these hooks into it, or call them from yours::

    from streamproof.gunicorn import *  # all hooks, when you have none of these yourself

    import streamproof.gunicorn


    def post_worker_init(worker):
        streamproof.gunicorn.post_worker_init(worker)  # the only one that is needed

Every public name in this module is a hook: gunicorn takes each name that equals one of its settings for that setting.
The work is done in ``hooks.py``.
"""

from __future__ import annotations

from typing import Any as _Any

from . import counts_folder as _counts_folder
from . import hooks as _hooks

__all__ = [
    "child_exit",
    "on_exit",
    "on_reload",
    "on_starting",
    "post_worker_init",
    "worker_abort",
    "worker_exit",
    "worker_int",
]


def on_starting(server: _Any) -> None:
    """Prepare the master, before it listens."""
    _counts_folder.adopt()
    _hooks.read_again_next_time(__name__)
    _hooks.call_user_hook("on_starting", server)


def on_reload(server: _Any) -> None:
    """Prepare the master for the next SIGHUP; the new configuration has been read."""
    _hooks.read_again_next_time(__name__)
    _hooks.call_user_hook("on_reload", server)


def post_worker_init(worker: _Any) -> None:
    """Wrap the app that the worker has loaded. Your hook runs first, so streamproof is outermost."""
    _hooks.call_user_hook("post_worker_init", worker)
    _hooks.wrap_worker(worker)


def worker_int(worker: _Any) -> None:
    """Record in the worker, at SIGINT, SIGQUIT and a reload, that the server ends its streams."""
    _hooks.stopping(worker)
    _hooks.call_user_hook("worker_int", worker)


def worker_abort(worker: _Any) -> None:
    """Record in the worker, at SIGABRT, that it exceeded ``timeout`` and its stream is about to be cut."""
    _hooks.timed_out(worker)
    _hooks.call_user_hook("worker_abort", worker)


def worker_exit(server: _Any, worker: _Any) -> None:
    """Export the streams that are still open when the worker ends, and wait for the exporters."""
    _hooks.call_user_hook("worker_exit", server, worker)
    _hooks.leaving(worker)


def child_exit(server: _Any, worker: _Any) -> None:
    """Remove a dead worker's gauges, in the master, however the worker died."""
    _counts_folder.forget_worker(worker)
    _hooks.call_user_hook("child_exit", server, worker)


def on_exit(server: _Any) -> None:
    """Remove the temporary folder of counts when the master ends."""
    _hooks.call_user_hook("on_exit", server)
    _counts_folder.remove()


_hooks.boot(globals())
