"""From a profile's stage entries and its settled values to the rules of a hop.

Knows the members of a stage entry: ``use`` and its settings, ``if`` on options, ``when`` and ``unless`` on request and
response, ``why`` and ``fix``, ``id`` and ``like`` (an entry that repeats another one's members and changes some).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..sansio.hop import Rule
from ..sansio.stages import STAGES
from ..sansio.stages.page import Page
from .options import Value, matches

_WORDS = frozenset(("use", "if", "when", "unless", "why", "fix", "id"))


def inherited(entries: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The entries with what ``like`` repeats written out. Raises ValueError."""
    known: dict[str, Mapping[str, Any]] = {}
    found = []
    for entry in entries:
        if (like := entry.get("like")) is not None:
            if like not in known:
                raise ValueError(f"like = {like!r} names no stage before it")
            conditions = ("if", "when", "unless", "id")
            old = {key: value for key, value in known[like].items() if key not in conditions}
            entry = {**old, **{key: value for key, value in entry.items() if key != "like"}}
        if "id" in entry:
            known[entry["id"]] = entry
        found.append(entry)
    return tuple(found)


def rules(
    entries: Sequence[Mapping[str, Any]],
    values: Mapping[str, Value],
    profile: str,
    pages: Sequence[Mapping[str, Any]],
    *,
    every: bool = False,
) -> Iterator[Rule]:
    """The rules whose ``if`` the values meet (``every``: all). Raises KeyError, TypeError or ValueError on a fault."""
    answers = tuple(Page(page["status"], page["size"], _frozen(fill(page["headers"], values))) for page in pages)
    for entry in entries:
        if matches(entry.get("if", {}), values) or every:
            yield _rule(entry, values, profile, answers)


def _rule(entry: Mapping[str, Any], values: Mapping[str, Value], profile: str, pages: tuple[Page, ...]) -> Rule:
    use = entry["use"]
    if use not in STAGES:
        raise ValueError(f"stage {use!r} is not one of {', '.join(STAGES)}")
    kind: Any = STAGES[use]
    known = {item.name: item.type for item in fields(kind)}
    given = {key: _frozen(fill(value, values)) for key, value in entry.items() if key not in _WORDS}
    for key, value in given.items():
        if known.get(key) == "bool" and value in ("on", "off"):  # as many products write it
            given[key] = value == "on"
    if unknown := sorted(given.keys() - known.keys()):
        raise ValueError(f"stage {use!r} has no setting {unknown[0]!r}, only {', '.join(sorted(known))}")
    if "name" in known:
        given.setdefault("name", profile)
    if "pages" in known:
        given.setdefault("pages", pages)
    return Rule(
        kind(**given),
        _patterns(entry.get("when", {})),
        _patterns(entry.get("unless", {})),
        str(fill(entry.get("why", ""), values)),
        str(fill(entry.get("fix", ""), values)),
    )


def _patterns(condition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        key: tuple(str(one).lower() for one in (value if isinstance(value, list) else [value]))
        for key, value in condition.items()
    }


def fill(value: Any, values: Mapping[str, Value]) -> Any:
    """``{option}`` alone becomes the option's value, inside a text its words."""
    if isinstance(value, list):
        flat: list[Any] = []
        for item in (fill(item, values) for item in value):
            flat.extend(item) if isinstance(item, tuple) else flat.append(item)
        return flat
    if not isinstance(value, str) or "{" not in value:
        return value
    if value.startswith("{") and value.endswith("}") and value[1:-1] in values:
        return values[value[1:-1]]
    for name, option in values.items():
        value = value.replace("{" + name + "}", words(option))
    return value


def words(value: Value) -> str:
    """A value as text, as a via would write it."""
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
