"""The catalogue: reads the TOML files and says what is in them.

Knows the shape of a profile file (docs/profiles.md) and refuses one that breaks it, naming the place. Does not know
the products.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..sansio.errors import ConfigurationError
from ..sansio.hop import HopPlan, Rule
from ..sansio.stages import STAGES
from ..sansio.stages.page import Page
from .options import Option, Value, matches

GRADES = ("measured", "source", "documented", "reported")
_RULE_KEYS = frozenset(("use", "if", "when", "unless", "why", "fix"))


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a product, with where it comes from: ``grade`` is one of :data:`GRADES`."""

    text: str
    source: str
    date: datetime.date
    grade: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A known hop: its options, its facts, and its stages as the file says them."""

    name: str
    title: str
    summary: str
    grade: str
    date: datetime.date
    asks: str
    options: Mapping[str, Option]
    facts: tuple[Fact, ...]
    stages: tuple[Mapping[str, Any], ...]
    adds_request: tuple[tuple[str, str], ...] = ()
    pages: tuple[Mapping[str, Any], ...] = ()

    def settle(self, given: Mapping[str, str]) -> Mapping[str, Value]:
        """Every option's value, the ``given`` texts and else the defaults. Raises ConfigurationError."""
        for name in given:
            if name not in self.options:
                valid = ", ".join(self.options) or "none"
                raise ConfigurationError(
                    f"{self.name} has no option {name!r}. Valid options: {valid}. Is it a directive of another product?"
                )
        values: dict[str, Value] = {}
        for name, option in self.options.items():
            default = next((text for when, text in option.defaults_when if matches(when, values)), option.default)
            values[name] = option.parse(given.get(name, default), self.name)
        return values

    def plan(self, given: Mapping[str, str] = MappingProxyType({})) -> HopPlan:
        """What this hop does with these option texts. Raises ConfigurationError."""
        values = self.settle(given)
        pages = _pages(self.pages, values)
        rules = tuple(
            _rule(entry, values, self.name, pages) for entry in self.stages if matches(entry.get("if", {}), values)
        )
        label = self.name + (":" + ",".join(f"{key}={text}" for key, text in given.items()) if given else "")
        asks: Any = _fill(self.asks, values)
        return HopPlan(label, asks, rules, self.adds_request, self.grade)


@cache
def catalogue() -> Mapping[str, Profile]:
    """Every profile that is shipped, by name."""
    found = {}
    for entry in files(__package__).iterdir():
        if entry.name.endswith(".toml") and not entry.name.startswith("_"):
            profile = read_profile(entry.read_text("utf-8"), entry.name)
            found[profile.name] = profile
    return MappingProxyType(dict(sorted(found.items())))


def read_profile(text: str, place: str) -> Profile:
    """The profile in the TOML ``text``; ``place`` names the file. Raises ConfigurationError naming the fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{place} is not TOML: {error}. Expected a profile. Was it cut short?") from None
    try:
        return _profile(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise ConfigurationError(
            f"{place} {what}. Expected the members that docs/profiles.md lists. Is a name mistyped?"
        ) from error


def _profile(data: Mapping[str, Any]) -> Profile:
    options = {}
    for name, entry in data.get("options", {}).items():
        values = tuple(entry.get("values", ()))
        whens = tuple((rule["if"], str(rule["default"])) for rule in entry.get("defaults_when", ()))
        kind = "choice" if values else entry["kind"]
        options[name] = Option(name, kind, str(entry["default"]), entry.get("summary", ""), values, whens)
    facts = tuple(Fact(item["text"], item["source"], item["date"], _grade(item["grade"])) for item in data["facts"])
    stages = tuple(MappingProxyType(entry) for entry in data.get("stages", ()))
    adds = tuple((name, value) for name, value in data.get("adds_request", ()))
    profile = Profile(
        name=data["name"],
        title=data["title"],
        summary=data["summary"],
        grade=_grade(data["grade"]),
        date=data["date"],
        asks=data.get("asks", "1.1"),
        options=MappingProxyType(options),
        facts=facts,
        stages=stages,
        adds_request=adds,
        pages=tuple(data.get("pages", ())),
    )
    defaults = profile.settle({})
    pages = _pages(profile.pages, defaults)
    for entry in stages:
        _rule(entry, defaults, profile.name, pages)
    return profile


def _pages(entries: Sequence[Mapping[str, Any]], values: Mapping[str, Value]) -> tuple[Page, ...]:
    return tuple(Page(entry["status"], entry["size"], _frozen(_fill(entry["headers"], values))) for entry in entries)


def _grade(text: str) -> str:
    if text not in GRADES:
        raise ValueError(f"grade {text!r} is not one of {', '.join(GRADES)}")
    return text


def _rule(entry: Mapping[str, Any], values: Mapping[str, Value], profile: str, pages: tuple[Page, ...]) -> Rule:
    use = entry["use"]
    if use not in STAGES:
        raise ValueError(f"stage {use!r} is not one of {', '.join(STAGES)}")
    kind: Any = STAGES[use]
    known = {item.name for item in fields(kind)}
    given = {key: _frozen(_fill(value, values)) for key, value in entry.items() if key not in _RULE_KEYS}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"stage {use!r} has no setting {unknown[0]!r}, only {', '.join(sorted(known))}")
    if "name" in known:
        given.setdefault("name", profile)
    if "pages" in known:
        given.setdefault("pages", pages)
    return Rule(
        kind(**given),
        _patterns(entry.get("when", {})),
        _patterns(entry.get("unless", {})),
        str(_fill(entry.get("why", ""), values)),
        str(_fill(entry.get("fix", ""), values)),
    )


def _patterns(condition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(value) if isinstance(value, list) else (value,) for key, value in condition.items()}


def _fill(value: Any, values: Mapping[str, Value]) -> Any:
    """``{option}`` alone becomes the option's value, inside a text its words."""
    if isinstance(value, list):
        filled = [_fill(item, values) for item in value]
        flat: list[Any] = []
        for item in filled:
            flat.extend(item) if isinstance(item, tuple) else flat.append(item)
        return flat
    if not isinstance(value, str) or "{" not in value:
        return value
    if value.startswith("{") and value.endswith("}") and value[1:-1] in values:
        return values[value[1:-1]]
    for name, option in values.items():
        shown = (
            " ".join(option) if isinstance(option, tuple) else f"{option:g}" if isinstance(option, float) else option
        )
        value = value.replace("{" + name + "}", str(shown))
    return value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
