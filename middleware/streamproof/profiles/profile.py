"""One profile: what its TOML file says, checked, and the plan of a hop that follows from it.

docs/profiles.md describes the file. An error names the place in it. ``catalogue.py`` finds the files.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ..sansio.decode.documents import check_nesting, toml_data
from ..sansio.decode.fault import Fault, shortened
from ..sansio.errors import ConfigurationError
from ..sansio.hop import HopPlan, Rule
from ._rules import ProfileFault, check_options, fill, inherited, rules, words
from ._table import GRADES as GRADES
from ._table import LISTED, PROFILE
from ._table import Fact as Fact
from .options import Option, Value, matches

#: The HTTP versions of a hop's own requests; ``same``: that of its reader.
ASKS = ("1.0", "1.1", "same")


@dataclass(frozen=True, slots=True)
class Profile:
    """A known hop: its options, its facts, and its stages as the file says them.

    ``constants`` are values that a release sets and no option: (condition, value) pairs, first match wins. ``base``
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
    constants: Mapping[str, tuple[tuple[Mapping[str, Any], Any], ...]] = field(default_factory=dict)
    gets_head: Mapping[str, Any] | None = None
    base: Profile | None = None
    base_options: Mapping[str, str] = field(default_factory=dict)

    def settle(self, given: Mapping[str, str]) -> Mapping[str, Value]:
        """Every option's value, the ``given`` texts and else the defaults. Raises ConfigurationError."""
        for name in given:
            if name not in self.options:
                valid = shortened(", ".join(self.options), 1000) or "none"
                raise ConfigurationError(
                    f"{self.name} has no option '{shortened(name)}'. Valid options: {valid}. "
                    "Is it a directive of another product?"
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
        asks: Any = fill(self.asks, values, "asks")
        adds = tuple((name, str(fill(value, values, "adds_request"))) for name, value in self.adds_request)
        gets_head = self.gets_head is not None and matches(self.gets_head, values)
        return HopPlan(label, asks, self._rules(values, self.name), adds, self.grade, gets_head)

    def _rules(self, values: Mapping[str, Value], name: str, *, every: bool = False) -> tuple[Rule, ...]:
        filled = dict(values)
        for key, variants in self.constants.items():
            filled[key] = next(value for when, value in variants if matches(when, values))
        own = tuple(rules(self.stages, filled, name, self.pages, every=every))
        if self.base is None:
            return own
        given = {key: words(fill(text, filled, f"base_options.{key}")) for key, text in self.base_options.items()}
        return (*self.base._rules(self.base.settle(given), name), *own)


def read_profile(text: str | bytes, place: str, bases: Mapping[str, Profile] = MappingProxyType({})) -> Profile:
    """The profile in the TOML ``text``; ``place`` names the file, ``bases`` are the profiles it may build on.

    Raises ConfigurationError naming the fault.
    """
    try:
        data = toml_data(text, expected="a profile", guess="Was it cut short?")
        check_nesting(data)
        return _profile(data, bases)
    except ProfileFault as fault:
        raise ConfigurationError(f"{place}, {fault}") from None
    except Fault as fault:
        raise ConfigurationError(fault.sentence(f"{place}:", "Is a name mistyped?")) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise ConfigurationError(f"{place} {what}. Expected {LISTED}. Is a name mistyped?") from error


def _profile(data: Mapping[str, Any], bases: Mapping[str, Profile]) -> Profile:
    parts = PROFILE.read(data)
    base = None if parts["base"] is None else bases.get(parts["base"])
    if base is None and parts["base"] is not None:
        raise Fault(parts["base"], "the name of another profile").at(".base")
    profile = Profile(
        name=parts["name"],
        title=parts["title"],
        summary=parts["summary"],
        grade=parts["grade"],
        date=parts["date"],
        asks=parts["asks"],
        options=MappingProxyType({name: replace(option, name=name) for name, option in parts["options"].items()}),
        facts=parts["facts"] if base is None else (*parts["facts"], *base.facts),
        stages=tuple(MappingProxyType(entry) for entry in inherited(parts["stages"])),
        adds_request=parts["adds_request"],
        pages=parts["pages"],
        constants=MappingProxyType(
            {name: (*entry["when"], ({}, entry["value"])) for name, entry in parts["constants"].items()}
        ),
        gets_head=parts["gets_head"],
        base=base,
        base_options=MappingProxyType(parts["base_options"]),
    )
    _check(profile)
    return profile


def _check(profile: Profile) -> None:
    """Raise what every part of the profile raises, whichever options are set later."""
    options = profile.options
    for option in options.values():
        for condition, _ in option.defaults_when:
            check_options(f"options.{option.name}.defaults_when", condition, options)
    for name, variants in profile.constants.items():
        for condition, _ in variants:
            check_options(f"constants.{name}.when", condition, options)
    check_options("gets_head", profile.gets_head or {}, options)
    profile._rules(profile.settle({}), profile.name, every=True)
    if (ask := profile.plan().ask) not in ASKS:
        raise Fault(ask, f"one of {', '.join(ASKS)}").at(".asks")
