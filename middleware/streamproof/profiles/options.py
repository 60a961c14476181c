"""Options of a profile, named after the product's own directives, with the product's own defaults.

Values are written as in the product's files (``4k``, ``60s``, ``on``, ``text/plain text/csv``). The stages of the
profile say what an option does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sansio.errors import ConfigurationError

Value = str | int | float | tuple[str, ...]

_SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-zA-Z]*)")

_EXPECTED = {
    "size": "a size such as 4096, 16k or 1m",
    "time": "a time such as 60s, 500ms or 1m",
    "int": "a whole number",
    "milliseconds": "a whole number of milliseconds",
    "list": "words separated by spaces",
    "version": "a version such as 1.22.1",
    "text": "text",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its kind (``choice`` or a key of ``_EXPECTED``), its default, and what it is in words.

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
    def expected(self) -> str:
        """What may stand behind the equals sign, in words."""
        if self.values:
            return "one of " + ", ".join(self.values)
        least = f", at least {self.low:g}" if self.low else ""
        return _EXPECTED[self.kind] + least + (f", at most {self.high:g}" if self.high != math.inf else "")

    def parse(self, text: str, profile: str) -> Value:
        """Return the value that ``text`` means. Raises ConfigurationError if it is not a value of this option."""
        try:
            value = self._value(text.strip())
            if isinstance(value, int | float) and not self.low <= value <= self.high:
                raise ValueError
            return value
        except ValueError:
            raise ConfigurationError(
                f"{profile}:{self.name}={text} cannot be used. Expected {self.expected}. Is it a typing mistake?"
            ) from None

    def _value(self, text: str) -> Value:
        if self.kind == "choice":
            if text not in self.values:
                raise ValueError
            return text
        if self.kind == "list":
            return tuple(text.split())
        if self.kind == "text":
            return text
        if self.kind == "int":
            return int(text)
        if self.kind == "milliseconds":
            return int(text) / 1000
        if self.kind == "version":
            version_key(text)
            return text
        found = _NUMBER.fullmatch(text)
        units: Mapping[str, float] = _SIZES if self.kind == "size" else _TIMES
        if found is None or found[2].lower() not in units or float(found[1]) < 0:
            raise ValueError
        number = float(found[1]) * units[found[2].lower()]
        return int(number) if self.kind == "size" else number


def version_key(text: str) -> tuple[int, ...]:
    """Return a version as numbers that compare. Raises ValueError if ``text`` is not a version."""
    return tuple(int(part) for part in text.split("."))


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
