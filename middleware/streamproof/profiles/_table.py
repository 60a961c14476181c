"""The table that describes a profile's TOML file: its members, and their fields. docs/profiles.md explains them.

``profile.py`` reads a file by it. ``_rules.py`` checks that names exist: options, placeholders, stages.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sansio.decode.containers import Checked, Either, Items, Row
from ..sansio.decode.fault import Fault
from ..sansio.decode.fields import Choice, Date, Flag, Number, Text, Whole
from ..sansio.decode.limits import FIELDS, HEAD_SIZE, NAME_LENGTH, WHOLE
from ..sansio.decode.tables import Map, Member, Table, optional
from .options import KINDS, Option

GRADES = ("measured", "source", "documented", "reported")
LISTED = "the members that docs/profiles.md lists"


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a product, with where it comes from: ``grade`` is one of :data:`GRADES`."""

    text: str
    source: str
    date: datetime.date
    grade: str


def _option(
    kind: str | None,
    values: tuple[str, ...],
    default: Any,
    summary: str,
    low: float,
    high: float,
    defaults_when: tuple[tuple[Mapping[str, Any], Any], ...],
) -> Option:
    if kind is None and not values:
        raise Fault(None, LISTED, "Is a name mistyped?", fact="has no 'kind'")
    whens = tuple((condition, str(value)) for condition, value in defaults_when)
    return Option("", "choice" if values else str(kind), str(default), summary, values, whens, low, high)


def _pair(**members: Any) -> tuple[Any, Any]:
    """The condition of a variant, and what holds under it."""
    condition, value = members.values()
    return condition, value


_ANY_NUMBER = (Whole(low=-WHOLE), Number(low=-float(WHOLE), high=float(WHOLE)))
_DEFAULT = Either(fields=(Text(), *_ANY_NUMBER), hint="text or a number")
_SCALAR = Either(fields=(Text(), Flag(), *_ANY_NUMBER), hint="text, a number, true or false")
_VALUE = Checked(field=Either(fields=(_SCALAR, Items(item=_SCALAR)), hint="a value, or a list of values"))
CONDITION = Map(field=_VALUE, hint="a table of conditions")
_PAIRS = Items(item=Row(fields=(Text(), Text()), hint="a list [name, value]"), most=FIELDS, hint="a list")
_GRADE = Choice(values=GRADES)

OPTION = Table(
    make=_option,
    listed=LISTED,
    members=(
        optional("kind", Choice(values=KINDS)),
        optional("values", Items(item=Text()), ()),
        Member("default", _DEFAULT),
        optional("summary", Text(), ""),
        optional("low", Number(), 0.0),
        optional("high", Number(), float("inf")),
        optional(
            "defaults_when",
            Items(
                item=Table(make=_pair, listed=LISTED, members=(Member("if", CONDITION), Member("default", _DEFAULT)))
            ),
            (),
        ),
    ),
)
CONSTANT = Table(
    listed=LISTED,
    members=(
        Member("value", _VALUE),
        optional(
            "when",
            Items(item=Table(make=_pair, listed=LISTED, members=(Member("if", CONDITION), Member("value", _VALUE)))),
            (),
        ),
    ),
)
PAGE = Table(
    listed=LISTED,
    members=(
        Member("status", Whole(low=100, high=599, what="a status")),
        Member("size", Whole(high=HEAD_SIZE, what="a number of bytes")),
        Member("headers", _PAIRS),
    ),
)
#: The members of every stage; the others are settings of the stage that ``use`` names.
STAGE = Table(
    only_given=True,
    others="keep",
    members=(
        optional("use", Text()),
        optional("id", Text()),
        optional("like", Text()),
        optional("if", CONDITION),
        optional("when", CONDITION),
        optional("unless", CONDITION),
        optional("why", Text()),
        optional("fix", Text()),
        optional("cures", _PAIRS),
    ),
)
FACT = Table(
    make=Fact,
    listed=LISTED,
    members=(Member("text", Text()), Member("source", Text()), Member("date", Date()), Member("grade", _GRADE)),
)
PROFILE = Table(
    listed=LISTED,
    members=(
        Member("name", Text(longest=NAME_LENGTH)),
        Member("title", Text()),
        Member("summary", Text()),
        Member("grade", _GRADE),
        Member("date", Date()),
        optional("asks", Text(), "1.1"),
        optional("options", Map(field=OPTION), {}),
        optional("constants", Map(field=CONSTANT), {}),
        optional("pages", Items(item=Checked(field=PAGE)), ()),
        optional("stages", Items(item=Checked(field=STAGE)), ()),
        Member("facts", Items(item=FACT)),
        optional("adds_request", _PAIRS, ()),
        optional("gets_head", CONDITION),
        optional("base", Text()),
        optional("base_options", Map(field=Text()), {}),
    ),
)
