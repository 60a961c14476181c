"""Answers that a hop makes itself, without the app.

A profile gives the size of a product's page and the header fields. The text of the page is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .http import Headers, reason
from .machine import Data, End, Event, Head

_PLAIN = (("Content-Type", "text/plain"),)


class Page(NamedTuple):
    """``size`` in body bytes; ``headers`` without those of framing, all in lower case if Content-Length shall be."""

    status: int
    size: int
    headers: Headers


def respond(status: int, pages: Sequence[Page] = ()) -> list[Event]:
    """The hop answers with ``status``: the page that ``pages`` knows for it, else one short line."""
    words = f"{status} {reason(status)}".rstrip().encode("ascii") + b"\n"
    page = next((page for page in pages if page.status == status), Page(status, len(words), _PLAIN))
    body = words[: page.size].ljust(page.size)
    lower = all(name.islower() for name, _ in page.headers)
    size = ("content-length" if lower else "Content-Length", str(page.size))
    head = Head(status, (), "length", 0, own=True).replace((*page.headers, size))
    return [head, Data(body), End()] if body else [head, End()]
