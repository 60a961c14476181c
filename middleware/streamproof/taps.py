"""Finds the layer inside an app that takes chunks and lets none out: :func:`tap` inside it, the middleware outside.

Knows one causal sign: a tap saw ``hold_limit`` chunks since the middleware last saw one. That needs no clock, and holds
for layers that change the bytes. Does not see layers whose inside has no tap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ._carry.telling import clock, log
from ._wrap import kind_of
from .sansio.errors import StreamProofError
from .sansio.findings import Finding
from .sansio.flush.policy import OnHold

KEY = "streamproof.taps"

#: How many responses each tap found held, by its name (policy ``on_hold="count"``, and every other).
holds: Counter[str] = Counter()

#: Has a tap been made in this process? Without one, the middleware leaves environ and scope alone.
made = False


class HeldInside(StreamProofError):
    """A layer inside the app holds chunks; ``finding`` says which."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class Watch:
    """What the taps of one response saw go in, and that it came out."""

    def __init__(self, on_hold: OnHold, limit: int) -> None:
        self._on_hold, self._limit = on_hold, limit
        self._inside: dict[str, list[int]] = {}
        self._told: set[str] = set()
        self._since: float | None = None  # the oldest chunk inside
        self._longest = 0.0

    def took(self, name: str, size: int) -> None:
        """A chunk went into the layers round the tap ``name``. Raises HeldInside when the policy says so."""
        if self._since is None:
            self._since = clock()
        waiting = self._inside.setdefault(name, [])
        waiting.append(size)
        if len(waiting) >= self._limit and name not in self._told:
            self._told.add(name)
            self._found(name, waiting)

    def came_out(self) -> None:
        """A chunk left the app as a whole."""
        self._longest, self._since = self.longest_hold(), None
        for waiting in self._inside.values():
            waiting.clear()

    def longest_hold(self) -> float:
        """The longest that a chunk was inside before anything came out, until now; seconds."""
        return self._longest if self._since is None else max(self._longest, clock() - self._since)

    def _found(self, name: str, waiting: list[int]) -> None:
        finding = Finding(
            "SP401",
            "held-inside",
            f"{len(waiting)} chunks ({sum(waiting)} B) left the tap {name!r}, and none left the app",
            "Does a middleware round it compress without flushing, or collect the body?",
            len(waiting),
            self._limit,
        )
        tell(finding, self._on_hold, name)


def tell(finding: Finding, on_hold: OnHold, name: str) -> None:
    """Do what the policy says with ``finding``, made at ``name``. Raises HeldInside for ``raise``."""
    holds[name] += 1
    if callable(on_hold):
        on_hold(finding)
    elif on_hold == "log":
        log.warning("%s", finding)
    elif on_hold == "raise":
        raise HeldInside(finding)


def tap(app: Any, name: str = "inner") -> Any:
    """``app`` with an eye on what it hands to the layers round it.

    Put it round the innermost app, and a ``StreamMiddleware`` with a policy round everything. Responses pass unchanged.
    Raises ConfigurationError when it cannot be told whether ``app`` is WSGI or ASGI.
    """
    global made
    made = True
    if kind_of(app) == "wsgi":
        return _wsgi(app, name)
    from asgiref.compatibility import guarantee_single_callable

    return _asgi(guarantee_single_callable(app), name)  # type: ignore[no-untyped-call]


def _asgi(app: Any, name: str) -> Any:
    async def tapped(scope: Any, receive: Any, send: Any) -> Any:
        watch: Watch | None = scope.get(KEY)
        if watch is None:
            return await app(scope, receive, send)

        def watched(message: Any) -> Any:
            if message.get("type") == "http.response.body" and (body := message.get("body")):
                watch.took(name, len(body))
            return send(message)

        return await app(scope, receive, watched)

    return tapped


def _wsgi(app: Any, name: str) -> Any:
    def tapped(environ: Any, start_response: Any) -> Any:
        watch: Watch | None = environ.get(KEY)
        body = app(environ, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        whole = hasattr(body, "__len__") or (isinstance(wrapper, type) and isinstance(body, wrapper))
        return body if watch is None or whole else _Tapped(body, watch, name)

    return tapped


class _Tapped:
    def __init__(self, body: Iterable[bytes], watch: Watch, name: str) -> None:
        self._body, self._watch, self._name = body, watch, name

    def __iter__(self) -> Iterator[bytes]:
        for block in self._body:
            if block:
                self._watch.took(self._name, len(block))
            yield block

    def close(self) -> None:
        """Close the app's iterable."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
