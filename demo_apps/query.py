"""Parses the query string of the demo apps. An invalid value is an error of one sentence."""

import math
import os
from typing import Protocol, TypedDict

LONGEST_DELAY = 60.0
LONGEST_PROMPT = 2000


class Query(Protocol):
    """Access to query values by name, as in a dict, Werkzeug's MultiDict and Django's QueryDict."""

    def get(self, key: str, /) -> str | None: ...


class BadQueryError(ValueError):
    """The request has an invalid value. The message is the body of the 400 response."""


class Parameters(TypedDict):
    """Sampling parameters, with the names that hosted text models use."""

    max_output_tokens: int
    temperature: float
    top_p: float
    top_k: int


def whole_number(query: Query, name: str, default: int, low: int, high: int) -> int:
    """The whole number called `name`, within `low` and `high`."""
    text = query.get(name)
    if text is None:
        return default
    # int() alone would also accept "1_000", " 7 " and digits of other scripts.
    if not (text.isascii() and text.isdecimal() and len(text) <= 12 and low <= int(text) <= high):
        raise BadQueryError(f"{name} must be a whole number from {low} to {high}, not {text!r}.\n")
    return int(text)


def real_number(query: Query, name: str, default: float, low: float, high: float) -> float:
    """The number called `name`, within `low` and `high`."""
    text = query.get(name)
    return default if text is None else _real(name, text, low, high)


def chunk_delay(query: Query) -> float:
    """Seconds between chunks: `?delay=`, else DEMO_DELAY, else 0.5."""
    return real_number(query, "delay", _from_environment("DEMO_DELAY", 0.5), 0, LONGEST_DELAY)


def token_delay() -> float:
    """Seconds per token of the text model: DEMO_TOKEN_DELAY, else 0.05."""
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
        # The environment of the server is wrong, not the request, so this is not a 400.
        raise RuntimeError(str(error).strip()) from None


def _real(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # never true for NaN
        raise BadQueryError(f"{name} must be a number from {low:g} to {high:g}, not {text!r}.\n")
    return value
