"""The catalogue: reads the TOML files and says what is in them.

Knows the shape of a profile file (docs/profiles.md) and refuses one that breaks it, naming the place. Does not know
the products.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..sansio.errors import ConfigurationError
from ..sansio.hop import HopPlan, Rule
from ._rules import fill, inherited, rules, words
from .options import Option, Value, matches

GRADES = ("measured", "source", "documented", "reported")


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a product, with where it comes from: ``grade`` is one of :data:`GRADES`."""

    text: str
    source: str
    date: datetime.date
    grade: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A known hop: its options, its facts, and its stages as the file says them.

    ``figures`` are values that no option sets but a release may: (condition, value) pairs, first match wins. ``base``
    is the product that this one is built from, ``base_options`` what it sets there; its stages come first.
    ``gets_head``: under which options it asks GET for a HEAD; None for never.
    """

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
    stats: Mapping[str, tuple[tuple[Mapping[str, Any], Any], ...]] = field(default_factory=dict)
    gets_head: Mapping[str, Any] | None = None
    base: Profile | None = None
    base_options: Mapping[str, str] = field(default_factory=dict)

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
        label = self.name + (":" + ",".join(f"{key}={text}" for key, text in given.items()) if given else "")
        asks: Any = fill(self.asks, values)
        adds = tuple((name, str(fill(value, values))) for name, value in self.adds_request)
        gets_head = self.gets_head is not None and matches(self.gets_head, values)
        return HopPlan(label, asks, self._rules(values, self.name), adds, self.grade, gets_head)

    def _rules(self, values: Mapping[str, Value], name: str, *, every: bool = False) -> tuple[Rule, ...]:
        filled = dict(values)
        for key, variants in self.stats.items():
            filled[key] = next(value for when, value in variants if matches(when, values))
        own = tuple(rules(self.stages, filled, name, self.pages, every=every))
        if self.base is None:
            return own
        given = {key: words(fill(text, filled)) for key, text in self.base_options.items()}
        return (*self.base._rules(self.base.settle(given), name), *own)


@cache
def catalogue() -> Mapping[str, Profile]:
    """Every profile that is shipped, by name."""
    found: dict[str, Profile] = {}
    waiting = [
        (entry.read_text("utf-8"), entry.name)
        for entry in files(__package__).iterdir()
        if entry.name.endswith(".toml") and not entry.name.startswith("_")
    ]
    for text, place in sorted(waiting, key=lambda item: "\nbase = " in item[0]):  # those with a base come last
        profile = read_profile(text, place, found)
        found[profile.name] = profile
    return MappingProxyType(dict(sorted(found.items())))


def read_profile(text: str, place: str, bases: Mapping[str, Profile] = MappingProxyType({})) -> Profile:
    """The profile in the TOML ``text``; ``place`` names the file, ``bases`` are the profiles it may build on.

    Raises ConfigurationError naming the fault.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{place} is not TOML: {error}. Expected a profile. Was it cut short?") from None
    try:
        return _profile(data, bases)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise ConfigurationError(
            f"{place} {what}. Expected the members that docs/profiles.md lists. Is a name mistyped?"
        ) from error


def _profile(data: Mapping[str, Any], bases: Mapping[str, Profile]) -> Profile:
    options = {}
    for name, entry in data.get("options", {}).items():
        values = tuple(entry.get("values", ()))
        whens = tuple((rule["if"], str(rule["default"])) for rule in entry.get("defaults_when", ()))
        kind = "choice" if values else entry["kind"]
        bounds = {key: entry[key] for key in ("low", "high") if key in entry}
        options[name] = Option(name, kind, str(entry["default"]), entry.get("summary", ""), values, whens, **bounds)
    stats = {
        name: (*((rule["if"], rule["value"]) for rule in entry.get("when", ())), ({}, entry["value"]))
        for name, entry in data.get("figures", {}).items()
    }
    facts = tuple(Fact(item["text"], item["source"], item["date"], _grade(item["grade"])) for item in data["facts"])
    base = bases[data["base"]] if "base" in data else None
    profile = Profile(
        name=data["name"],
        title=data["title"],
        summary=data["summary"],
        grade=_grade(data["grade"]),
        date=data["date"],
        asks=data.get("asks", "1.1"),
        options=MappingProxyType(options),
        facts=facts if base is None else (*facts, *base.facts),
        stages=tuple(MappingProxyType(entry) for entry in inherited(data.get("stages", ()))),
        adds_request=tuple((name, value) for name, value in data.get("adds_request", ())),
        pages=tuple(data.get("pages", ())),
        stats=MappingProxyType(stats),
        gets_head=data.get("gets_head"),
        base=base,
        base_options=MappingProxyType(data.get("base_options", {})),
    )
    profile._rules(profile.settle({}), profile.name, every=True)  # what is wrong shows when it is read
    return profile


def _grade(text: str) -> str:
    if text not in GRADES:
        raise ValueError(f"grade {text!r} is not one of {', '.join(GRADES)}")
    return text
