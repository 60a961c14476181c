"""The fields of objects: :class:`Table` has members with names and fields, :class:`Map` has any names.

In text, as in an environment variable, both are ``name=value name=value``.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from .documents import check_nesting
from .fault import Fault, shown
from .fields import Field
from .limits import NAME_LENGTH


class Member(NamedTuple):
    """One member of a table: absent (or null), it has the value ``default`` unless it is ``required``."""

    name: str
    field: Field
    required: bool = True
    default: Any = None


def optional(name: str, field: Field, default: Any = None) -> Member:
    """A member that may be absent."""
    return Member(name, field, False, default)


def _as_dict(**members: Any) -> dict[str, Any]:
    return members


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Field):
    """An object with these ``members``, which ``make`` turns into a value.

    ``listed``: what is expected when a required one is missing, in words. ``others``: what happens to further members:
    ``ignore``, ``refuse`` or ``keep`` (unread, for ``make``).
    ``only_given``: absent members are left out. In text: ``name=value name=value``.
    """

    kind: ClassVar[str] = "table"

    members: tuple[Member, ...]
    make: Callable[..., Any] = _as_dict
    listed: str = "it there"
    others: str = "ignore"
    only_given: bool = False

    @property
    def expected(self) -> str:
        return self.hint or "an object"

    def read(self, value: object) -> Any:
        if not isinstance(value, dict):
            raise self.fault(value)
        return self._filled(value, lambda field, item: field.read(item))

    def parse(self, text: str) -> Any:
        return self._filled(_pairs(text, self), lambda field, item: field.parse(item))

    def _filled(self, value: dict[str, Any], take: Callable[[Field, Any], Any]) -> Any:
        found, seen = {}, 0
        for name, field, required, default in self.members:
            if name in value:
                seen += 1
                if (item := value[name]) is not None or required:
                    try:
                        found[name] = take(field, item)
                    except Fault as fault:
                        fault.at(f".{name}")
                        raise
                    continue
            elif required:
                guess = self.guess or "Is a name mistyped?"
                raise Fault(value, self.listed, guess, fact=f"has no {name!r}")
            if not self.only_given:
                found[name] = default
        if seen < len(value):
            found |= self._others(value)
        return self.make(**found)

    def _others(self, value: dict[str, Any]) -> dict[str, Any]:
        names = {member.name for member in self.members}
        rest = {name: item for name, item in value.items() if name not in names}
        for name, item in rest.items():
            if self.others == "refuse" or not isinstance(name, str):
                fact = f"has the unknown member {shown(name)}"
                raise Fault(name, "a valid name", fact=fact, unknown=str(name), valid=names)
            check_nesting(item)
        return rest if self.others == "keep" else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Map(Field):
    """An object with any names; each value is one of ``field``. In text: ``name=value name=value``."""

    kind: ClassVar[str] = "map"

    field: Field

    @property
    def expected(self) -> str:
        return self.hint or "an object"

    def read(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fault(value)
        found = {}
        for name, item in value.items():
            if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
                fact = f"has the name {shown(name)}"
                raise Fault(value, f"names of 1 to {NAME_LENGTH} characters", self.guess, fact=fact)
            try:
                found[name] = self.field.read(item)
            except Fault as fault:
                fault.at(f".{name}")
                raise
        return found

    def parse(self, text: str) -> dict[str, Any]:
        return self.read({name: self.field.parse(item) for name, item in _pairs(text, self).items()})


def _pairs(text: str, field: Field) -> dict[str, str]:
    try:
        words = [word.partition("=") for word in shlex.split(text)]
    except ValueError:
        raise Fault(text, field.expected, "Is a quotation mark missing?") from None
    if any(not equals for _, equals, _ in words):
        raise field.fault(text)
    return {name: value for name, _, value in words}
