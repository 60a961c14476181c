"""What the demo apps read from a query string, with one clear sentence when it cannot be used."""

import math
import os
from typing import Protocol, TypedDict

LONGEST_DELAY = 60.0
LONGEST_PROMPT = 2000


class Query(Protocol):
    """Read access by name: a dict, Werkzeug's MultiDict and Django's QueryDict all have it."""

    def get(self, key: str, /) -> str | None: ...


class BadQueryError(ValueError):
    """A value that the reader sent and that cannot be used; the text is the body of the 400."""


class Parameters(TypedDict):
    """Sampling parameters, named as hosted text models name them."""

    max_output_tokens: int
    temperature: float
    top_p: float
    top_k: int


def whole_number(query: Query, name: str, default: int, low: int, high: int) -> int:
    """The whole number called `name`, within `low` and `high`."""
    text = query.get(name)
    if text is None:
        return default
    # isascii and isdecimal: int() would also take "1_000", " 7 " and other scripts' digits.
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and low <= int(text) <= high):
        raise BadQueryError(f"{name} must be a whole number from {low} to {high}, not {text!r}.\n")
    return int(text)


def real_number(query: Query, name: str, default: float, low: float, high: float) -> float:
    """The number called `name`, within `low` and `high`."""
    text = query.get(name)
    return default if text is None else _real(name, text, low, high)


def chunk_delay(query: Query) -> float:
    """Seconds between chunks: `?delay=`, else DEMO_DELAY, else half a second."""
    return real_number(query, "delay", _from_environment("DEMO_DELAY", 0.5), 0, LONGEST_DELAY)


def token_delay() -> float:
    """Seconds that the text model takes for a token: DEMO_TOKEN_DELAY, else a twentieth."""
    return _from_environment("DEMO_TOKEN_DELAY", 0.05)


def prompt(query: Query) -> str:
    """The prompt called `ai_prompt`."""
    text = (query.get("ai_prompt") or "").strip()
    if not text or len(text) > LONGEST_PROMPT:
        raise BadQueryError(f"ai_prompt must be a text of 1 to {LONGEST_PROMPT} characters.\n")
    return text


def parameters(query: Query) -> Parameters:
    """The sampling parameters, each with its default."""
    return {
        "max_output_tokens": whole_number(query, "max_output_tokens", 1024, 1, 2048),
        "temperature": real_number(query, "temperature", 0.2, 0, 2),
        "top_p": real_number(query, "top_p", 0.8, 0, 1),
        "top_k": whole_number(query, "top_k", 40, 1, 100),
    }


def _from_environment(name: str, default: float) -> float:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        return _real(name, text, 0, LONGEST_DELAY)
    except BadQueryError as error:
        # The one who started the server got it wrong, not the reader: no 400.
        raise RuntimeError(str(error).strip()) from None


def _real(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # never true for NaN
        raise BadQueryError(f"{name} must be a number from {low:g} to {high:g}, not {text!r}.\n")
    return value
