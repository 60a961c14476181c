"""The stream contract: drive a WSGI or ASGI app or middleware through every end of a stream; name each broken promise.

The promises are those of PEP 3333 (``close()``, block boundaries, ``exc_info``) and of the ASGI specification
(disconnect, cancellation, events that are passed on). A middleware is checked round a probe app. An app is seen only
from outside, so fewer of its promises can be checked. Servers' sockets and threads are not involved.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..app_kind import Kind, kind_of

#: A situation's name and what is wrong in it.
Faults = Iterator[str]
Situation = tuple[str, Callable[[], Faults]]


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken promise: its ``situation``, and what was observed."""

    situation: str
    text: str

    def __str__(self) -> str:
        return f"{self.situation}: {self.text}"


@dataclass(frozen=True, slots=True)
class ContractReport:
    """The result for one subject: situations ``kept`` and promises ``broken``."""

    subject: str
    kept: tuple[str, ...]
    broken: tuple[Broken, ...]

    def __bool__(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        total = len(self.kept) + len({entry.situation for entry in self.broken})
        lines = [f"{self.subject} keeps the stream contract in {len(self.kept)} of {total} situations."]
        lines += [f"  broken  {entry}" for entry in self.broken]
        lines += [f"  kept    {name}" for name in self.kept] if self.broken else []
        return "\n".join(lines)


class ContractBroken(AssertionError):
    """The contract is broken; ``report`` has the situations."""

    def __init__(self, report: ContractReport) -> None:
        super().__init__(str(report))
        self.report = report


def check_stream_contract(subject: Any, *, inner: Kind | None = None, target: str = "/") -> ContractReport:
    """Raise :class:`ContractBroken` if ``subject`` breaks a promise, else return the report.

    Args:
        subject: A WSGI or ASGI app, or a middleware: a class or function that takes an app as its only required
            argument. Other arguments go in with ``functools.partial`` or a lambda.
        inner: The kind of app that a bridge wraps: ``"wsgi"`` for a bridge from WSGI to ASGI.
        target: The request target for an app. Its response should stream.
    """
    report = examine_contract(subject, inner=inner, target=target)
    if not report:
        raise ContractBroken(report)
    return report


def examine_contract(subject: Any, *, inner: Kind | None = None, target: str = "/") -> ContractReport:
    """Return the report of :func:`check_stream_contract` without raising."""
    kept, broken = [], []
    for name, drive in _situations(subject, inner, target):
        faults = list(_safely(drive))
        if faults:
            broken += [Broken(name, text) for text in dict.fromkeys(faults)]
        else:
            kept.append(name)
    return ContractReport(_named(subject), tuple(kept), tuple(broken))


def _safely(drive: Callable[[], Faults]) -> Faults:
    try:
        yield from drive()
    except Exception as error:
        yield f"{type(error).__name__} came out of it: {error}"


def _situations(subject: Any, inner: Kind | None, target: str) -> Iterator[Situation]:
    from . import _contract_asgi, _contract_outside, _contract_wsgi

    if _role(subject) == "app":
        situations = _contract_outside.of_app if kind_of(subject) == "asgi" else _contract_wsgi.of_app
        yield from situations(subject, target)
        return
    outer = kind_of(subject(_contract_wsgi.Probe() if inner == "wsgi" else _contract_asgi.Probe()))
    if outer == "wsgi":
        yield from _contract_wsgi.of_middleware(subject)
    elif inner == "wsgi":
        yield from _contract_outside.of_bridge(subject)
    else:
        yield from _contract_asgi.of_middleware(subject)


def _role(subject: Any) -> Literal["app", "middleware"]:
    """A middleware takes one thing, an app two or three."""
    try:
        parameters = inspect.signature(subject).parameters.values()
    except (TypeError, ValueError):
        return "app"
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [entry for entry in parameters if entry.kind in positional and entry.default is entry.empty]
    return "middleware" if len(required) == 1 else "app"


def _named(subject: Any) -> str:
    while isinstance(subject, functools.partial):
        subject = subject.func
    name = getattr(subject, "__qualname__", None) or type(subject).__qualname__
    return str(name)
