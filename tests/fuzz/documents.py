"""Hypothesis strategies of hostile data: arbitrary documents, and valid ones with something changed in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

#: Values that have broken a decoder before, or would.
NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**13,
    10**400,
    1e13,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "²",
    "é" * 70,
    "\x1b[31m\n\x85",
    "9" * 5000,
    "{x}",
    "a" * 100_000,
    [],
    [[]],
    {},
    {"a": {"a": {"a": {}}}},
)

words = st.text(max_size=8) | st.sampled_from(["gzip", "on", "chunked", "complete", "1.1", "YWI=", "é", "16k", "60s"])
numbers = st.integers() | st.floats()
scalars = st.none() | st.booleans() | numbers | words | st.sampled_from(NASTY).map(copy.deepcopy)


def data(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON-like data whose objects have these names."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | words, inner, max_size=6),
        max_leaves=20,
    )


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inside:
        yield (*path, step)
        yield from _places(item, (*path, step))


@st.composite
def mutations(draw: st.DrawFn, valid: Any, names: st.SearchStrategy[str]) -> Any:
    """``valid`` with one to three of its members replaced, removed or doubled."""
    changed = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(changed))
        if not places:
            return changed
        *way, last = draw(st.sampled_from(places))
        place = changed
        for step in way:
            place = place[step]
        action = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if action == "remove":
            del place[last]
        elif action == "replace":
            place[last] = draw(scalars | data(names))
        elif isinstance(place, list):
            place.insert(last, draw(scalars))
        else:
            place[draw(names | words)] = draw(scalars)
    return changed


def toml(value: Any) -> str:
    """``value`` as the TOML of a value; what TOML has no form for becomes text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 10_000:
        return "9" * 5000
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if type(value).__name__ == "date":
        return str(value)
    return _quoted(str(value))


def toml_document(table: dict[str, Any]) -> str:
    """``table`` as a TOML file."""
    return "".join(f"{_quoted(str(name))} = {toml(value)}\n" for name, value in table.items())


def _quoted(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """``text`` with a piece cut out, doubled, or replaced by something else."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(start + 40, len(text))))
    piece = draw(
        st.sampled_from(["", text[start:end] * 2, "[" * 5000, '{"a":' * 5000, "9" * 5000, "\x00", "\ufeff"]) | words
    )
    return text[:start] + piece + text[end:]
