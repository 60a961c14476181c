"""Options of a profile, named after the product's own directives, with the product's own defaults.

Values are written as in the product's files (``4k``, ``60s``, ``on``, ``text/plain text/csv``). The stages of the
profile say what an option does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..sansio.decode.fault import Fault, shortened
from ..sansio.decode.fields import Choice, Field, Text, Whole
from ..sansio.decode.limits import SECONDS, WHOLE
from ..sansio.errors import ConfigurationError
from ._values import Duration, Milliseconds, Size, Version, Words

Value = str | int | float | tuple[str, ...]

#: What an option can be, beside a choice.
KINDS = ("size", "time", "int", "milliseconds", "list", "version", "text")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its kind (``choice`` or one of :data:`KINDS`), its default, and what it is in words.

    ``values`` lists the valid ones of a choice; a number lies between ``low`` and ``high``. ``defaults_when`` are
    (condition on other options, default) pairs, first match wins.
    """

    name: str
    kind: str
    default: str
    summary: str = ""
    values: tuple[str, ...] = ()
    defaults_when: tuple[tuple[Mapping[str, Any], str], ...] = ()
    low: float = 0.0
    high: float = math.inf

    @property
    def field(self) -> Field:
        """The field that reads its text."""
        return Choice(values=self.values) if self.values else _field(self.kind, self.low, self.high)

    @property
    def expected(self) -> str:
        """What may stand behind the equals sign, in words."""
        return self.field.expected

    def parse(self, text: str, profile: str) -> Value:
        """Return the value that ``text`` means. Raises ConfigurationError if it is not a value of this option."""
        try:
            value: Value = self.field.parse(text)
            return value
        except Fault as fault:
            raise ConfigurationError(
                f"{profile}:{self.name}={shortened(text)} cannot be used. Expected {fault.expected}. "
                "Is it a typing mistake?"
            ) from None


@cache
def _field(kind: str, low: float, high: float) -> Field:
    if kind in ("list", "version", "text"):
        return {"list": Words(), "version": Version(), "text": Text()}[kind]
    bounds = (f", at least {low:g}" if low else "") + (f", at most {high:g}" if high != math.inf else "")
    if kind == "size":
        return Size(low=int(low), high=int(min(high, WHOLE)), hint=Size.words + bounds)
    if kind == "time":
        return Duration(low=low, high=min(high, SECONDS), hint=Duration.words + bounds)
    if kind == "milliseconds":
        return Milliseconds(low=low, high=min(high, SECONDS), hint=Milliseconds.words + bounds)
    return Whole(low=int(low), high=int(min(high, WHOLE)), hint="a whole number" + bounds)


def version_key(text: str) -> tuple[int, ...]:
    """Return a version as numbers that compare. Raises Fault if ``text`` is not a version."""
    return tuple(int(part) for part in Version().parse(text).split("."))


def matches(condition: Mapping[str, Any], values: Mapping[str, Value]) -> bool:
    """Do the option ``values`` meet ``condition``?

    It maps option names to a value, a list of values of which one must be it, ``>=VERSION``, ``<VERSION`` or both
    (``>=2.1 <2.4``), ``>0``, ``has WORD`` or ``lacks WORD`` (of a list), or true or false (is the list not empty?).
    """
    return all(_one(values[name], wanted) for name, wanted in condition.items())


def _one(value: Value, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_one(value, one) for one in wanted)
    if isinstance(wanted, str) and wanted.startswith(">=") and " " in wanted:
        return all(_one(value, one) for one in wanted.split())
    if isinstance(wanted, str) and wanted.startswith(">="):
        return version_key(str(value)) >= version_key(wanted[2:])
    if isinstance(wanted, str) and wanted == ">0":
        return not isinstance(value, str | tuple) and value > 0
    if isinstance(wanted, str) and wanted.startswith("<"):
        return version_key(str(value)) < version_key(wanted[1:])
    if isinstance(wanted, str) and wanted.startswith("has "):
        return isinstance(value, tuple) and wanted[4:].lower() in (word.lower() for word in value)
    if isinstance(wanted, str) and wanted.startswith("lacks "):
        return not _one(value, "has " + wanted[6:])
    if isinstance(value, tuple):
        return bool(value) is wanted if isinstance(wanted, bool) else " ".join(value) == wanted
    return bool(value == wanted)
