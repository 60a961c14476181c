"""Write untrusted text for people and machines: escaped, cut, and without credentials.

Request targets, methods and header values come from whoever sends a request. A line break in one would forge a log
line, an escape sequence would steer a terminal. Every log line, label, attribute and thread name goes through here.
"""

from __future__ import annotations

import json
import re

from .http import Headers

#: The most characters of one untrusted value; what is cut off is marked.
LONGEST = 200
_MARK = "..."
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;/@+*%<>{}()\[\]~!?&-]{1,200}", re.ASCII)
_PRINTABLE = re.compile(r"[ !#-\[\]-~]{1,200}", re.ASCII)

#: Fields whose values are never recorded or exported: who reads them could act as the user.
SECRET = frozenset(("authorization", "cookie", "proxy-authorization", "set-cookie"))
REDACTED = "[redacted]"


def plain(value: object) -> str:
    """``value`` as one word of ASCII: unchanged if harmless, otherwise quoted as in JSON; cut at 200 characters."""
    if isinstance(value, float):
        return format(value, ".6g")
    text = value if isinstance(value, str) else str(value)
    return text if _PLAIN.fullmatch(text) else as_json(short(text))


def printable(text: str, longest: int = LONGEST) -> str:
    """``text`` in printable ASCII: unchanged if harmless, otherwise escaped as in JSON; cut at ``longest``."""
    return text if _PRINTABLE.fullmatch(text) and len(text) <= longest else as_json(short(text, longest))[1:-1]


def short(text: str, longest: int = LONGEST) -> str:
    """``text``, cut at ``longest`` characters. For a format that escapes its values itself."""
    return text if len(text) <= longest else f"{text[:longest]}{_MARK}"


def as_json(value: object) -> str:
    """``value`` as one line of JSON in printable ASCII."""
    return json.dumps(value, separators=(",", ":"))


def redacted(headers: Headers) -> Headers:
    """``headers`` without the values of :data:`SECRET` fields; the same object if there are none.

    What stands for a value is as long as it was (and no shorter than :data:`REDACTED`), because the size of a head
    decides when a hop's first buffer is full.
    """
    for name, _ in headers:
        if name not in _HARMLESS and _is_secret(name):
            return tuple(
                (name, REDACTED.ljust(len(value), "*") if _is_secret(name) else value) for name, value in headers
            )
    return headers


#: Names, as they were written, that are not in :data:`SECRET`. Remembered, because a look at each name of each head
#: takes a twentieth of what a response costs; bounded, because strangers choose field names.
_HARMLESS: set[str] = set()
_MOST_NAMES = 1024


def _is_secret(name: str) -> bool:
    secret = name.strip().lower() in SECRET
    if not secret and len(_HARMLESS) < _MOST_NAMES:
        _HARMLESS.add(name)
    return secret
