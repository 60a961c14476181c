"""The gunicorn entrypoint: ``gunicorn -c python:streamproof.gunicorn app:app`` wraps the app in every worker.

gunicorn reads one configuration only, so this one reads yours, too: the file that the setting ``gunicorn_conf``
(``STREAMPROOF_GUNICORN_CONF``) names, else ``./gunicorn.conf.py``. Hooks that you set there are called beside these.
Whoever keeps a file of their own instead imports these hooks into it, or calls them from theirs::

    from streamproof.gunicorn import *  # all hooks, when you have none of these yourself

    import streamproof.gunicorn as proof


    def post_worker_init(worker):
        proof.post_worker_init(worker)  # the only one that is needed

In this module every public name is a hook, because gunicorn takes any name that equals a setting for that setting. What
is done is in ``hooks.py``.
"""

from __future__ import annotations

from typing import Any as _Any

from . import hooks as _hooks
from .hooks import _theirs  # your hooks by name

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
    """In the master, before it listens."""
    _hooks.prepare_counts(server)
    _hooks.read_again_next_time(__name__)
    _theirs("on_starting", server)


def on_reload(server: _Any) -> None:
    """In the master, after SIGHUP and the new configuration."""
    _hooks.read_again_next_time(__name__)
    _theirs("on_reload", server)


def post_worker_init(worker: _Any) -> None:
    """In the worker, when the app is loaded: yours first, so that streamproof is outermost."""
    _theirs("post_worker_init", worker)
    _hooks.wrap_worker(worker)


def worker_int(worker: _Any) -> None:
    """In the worker, at SIGINT or SIGQUIT and at a reload: streams end because the server wants to."""
    _hooks.stopping(worker)
    _theirs("worker_int", worker)


def worker_abort(worker: _Any) -> None:
    """In the worker, at SIGABRT: it took longer than ``timeout``, and its stream is about to be cut."""
    _hooks.timed_out(worker)
    _theirs("worker_abort", worker)


def worker_exit(server: _Any, worker: _Any) -> None:
    """In the worker, at its end: what is still open is told, and the exporters are waited for."""
    _theirs("worker_exit", server, worker)
    _hooks.leaving(worker)


def child_exit(server: _Any, worker: _Any) -> None:
    """In the master, when a worker is gone, however it died."""
    _hooks.worker_died(worker)
    _theirs("child_exit", server, worker)


def on_exit(server: _Any) -> None:
    """In the master, at its end."""
    _theirs("on_exit", server)
    _hooks.tidy_up(server)


_hooks.boot(globals())
