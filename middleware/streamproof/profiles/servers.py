"""Facts about app servers, by name: how each frames a response, what it adds to the head, what its log lines mean.

They are in ``_servers.toml``, and ``sansio/origin.py`` applies them. Other servers follow RFC 9112 section 6.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ..sansio.origin import AppServer


@cache
def servers() -> Mapping[str, AppServer]:
    """The servers that are known, by name."""
    return {
        name: AppServer(entry["http11"], entry["http10"], tuple((field, value) for field, value in entry["adds"]))
        for name, entry in _entries().items()
    }


def app_server(name: str | None) -> AppServer:
    """The server of this name; one that follows the RFC if it is not known."""
    return servers().get(name or "") or AppServer()


def explain_log(log: str) -> str | None:
    """The sentence for the first known line in a server's log; None if there is none."""
    entries = (line for server in _entries().values() for line in server.get("log", ()))
    return next((line["means"] for line in entries if line["says"] in log), None)


@cache
def _entries() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("_servers.toml").read_text("utf-8"))["servers"]  # type: ignore[no-any-return]
