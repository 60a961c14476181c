"""A thread drains the app into an unbounded queue: the app runs ahead, and a slow reader cannot slow it down.

    gunicorn --bind 127.0.0.1:8000 demo_apps.zoo.queue_runs_ahead:app
    curl -N --limit-rate 4 'http://127.0.0.1:8000/stream?delay=0'

The app produces what the reader has not read yet, and the queue keeps it in memory.
"""

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING

from demo_apps.raw_wsgi import app as streaming_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class RunAhead:
    """Middleware that runs the app's iterable in a thread of its own."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
        body = self._app(environ, start_response)
        ready: SimpleQueue[bytes | None] = SimpleQueue()
        threading.Thread(target=self._drain, args=(body, ready), daemon=True).start()
        return iter(ready.get, None)

    @staticmethod
    def _drain(body: Iterable[bytes], ready: "SimpleQueue[bytes | None]") -> None:
        for chunk in body:
            ready.put(chunk)
        ready.put(None)


app = RunAhead(streaming_app)
