"""From the stage entries of a profile and the values of its options to the rules of a hop.

Reads the members of a stage entry: ``use`` and its settings, ``if`` on options, ``when`` and ``unless`` on request and
response, ``why``, ``fix`` and ``cures``, ``id`` and ``like`` (repeat that entry, with the changes given here).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from ..sansio.decode.annotations import field_of
from ..sansio.decode.fault import Fault, shortened
from ..sansio.hop import CONDITIONS, Rule, is_condition
from ..sansio.http import Headers
from ..sansio.page import Page
from ..sansio.stages import STAGES
from ..suggestion import nearest
from .options import Value, matches

_WORDS = frozenset(("use", "if", "when", "unless", "why", "fix", "cures", "id"))
_PLACEHOLDER = re.compile(r"\{([^{}\s]*)\}")


class ProfileFault(ValueError):
    """A fault in a profile; the text names the place in the file."""


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
    answers = tuple(_page(number, page, values) for number, page in enumerate(pages, 1))
    for number, entry in enumerate(entries, 1):
        place = f"stage {number} ({entry['use']})"
        wanted = entry.get("if", {})
        check_options(f"{place}: if", wanted, values)
        if matches(wanted, values) or every:
            yield _rule(place, entry, values, profile, answers)


def _page(number: int, page: Mapping[str, Any], values: Mapping[str, Value]) -> Page:
    return Page(page["status"], page["size"], _fields(f"page {number}: headers", page["headers"], values))


def _fields(place: str, pairs: Any, values: Mapping[str, Value]) -> Headers:
    return tuple((name, str(fill(text, values, place))) for name, text in pairs)


def _rule(
    place: str, entry: Mapping[str, Any], values: Mapping[str, Value], profile: str, pages: tuple[Page, ...]
) -> Rule:
    use = entry["use"]
    if use not in STAGES:
        raise unknown(place, "a stage", use, STAGES)
    kind: Any = STAGES[use]
    known = {item.name: str(item.type) for item in fields(kind)}
    given = {key: _frozen(fill(value, values, f"{place}: {key}")) for key, value in entry.items() if key not in _WORDS}
    for key, value in given.items():
        if known.get(key) == "bool" and value in ("on", "off"):  # as many products write it
            given[key] = value == "on"
    settable = known.keys() - {"pages"}  # those are the pages of the profile
    for key in sorted(given.keys() - settable):
        raise unknown(place, "a setting of this stage", key, [key for key in known if key in settable])
    for key, value in given.items():
        try:
            field_of(known[key]).read(value)
        except Fault as fault:
            raise ProfileFault(fault.sentence(f"{place}: {key}", "Is the unit or the type mistaken?")) from None
    if "name" in known:
        given.setdefault("name", profile)
    if "pages" in known:
        given.setdefault("pages", pages)
    return Rule(
        kind(**given),
        _conditions(f"{place}: when", entry.get("when", {})),
        _conditions(f"{place}: unless", entry.get("unless", {})),
        str(fill(entry.get("why", ""), values, f"{place}: why")),
        str(fill(entry.get("fix", ""), values, f"{place}: fix")),
        _fields(f"{place}: cures", entry.get("cures", ()), values),
    )


def _conditions(place: str, condition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    for key in condition:
        if not is_condition(key.lower()):
            raise unknown(place, "a condition", key, CONDITIONS)
    return {
        key.lower(): tuple(str(one).lower() for one in (value if isinstance(value, list) else [value]))
        for key, value in condition.items()
    }


def check_options(place: str, condition: Mapping[str, Any], options: Iterable[str]) -> None:
    """Raise ProfileFault if ``condition`` names an option that is not one of ``options``."""
    for name in condition:
        if name not in options:
            raise unknown(place, "an option of this profile", name, options)


def fill(value: Any, values: Mapping[str, Value], place: str) -> Any:
    """``{option}`` alone becomes the option's value, inside a text its words. Raises ProfileFault, naming ``place``."""
    if isinstance(value, list):
        flat: list[Any] = []
        for item in (fill(item, values, place) for item in value):
            flat.extend(item) if isinstance(item, tuple) else flat.append(item)
        return flat
    if not isinstance(value, str) or "{" not in value:
        return value

    def option(found: re.Match[str]) -> Value:
        if found[1] not in values:
            raise unknown(place, "an option or a constant of this profile", found[1], values)
        return values[found[1]]

    if whole := _PLACEHOLDER.fullmatch(value):
        return option(whole)
    return _PLACEHOLDER.sub(lambda found: words(option(found)), value)


def unknown(place: str, what: str, name: str, valid: Iterable[str]) -> ProfileFault:
    """The fault of a ``name`` that is not one of ``valid``, with the nearest of them as a question."""
    known = list(valid)
    expected = f"Expected one of {shortened(', '.join(known), 1000)}." if known else "There are none."
    guess = nearest(name, known)
    question = guess if guess.startswith("Did you mean") else "Is the name mistyped?"
    return ProfileFault(f"{shortened(place, 200)}: {shortened(name)!r} is not {what}. {expected} {question}")


def words(value: Value) -> str:
    """A value as text, as a via would write it."""
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
