"""The field of a dataclass's member, from its annotation: the settings of a stage, the numbers of a stream."""

from __future__ import annotations

from .containers import Items, Optional, Row
from .fields import Choice, Field, Flag, Number, Text, Whole

_FIELDS: dict[str, Field] = {
    "int": Whole(),
    "float": Number(),
    "bool": Flag(),
    "str": Text(),
    "tuple[str, ...]": Items(item=Text(), hint="a list of texts"),
    "tuple[int, ...]": Items(item=Whole(), hint="a list of whole numbers"),
    "Headers": Items(item=Row(fields=(Text(), Text()), hint="a list [name, value]"), hint="a list of [name, value]"),
}


def field_of(annotation: str) -> Field:
    """The field of a member annotated so; one that takes any value if the annotation says nothing."""
    plain = annotation.removesuffix(" | None")
    if plain.startswith("Literal["):
        values = plain.removeprefix("Literal[").removesuffix("]").replace('"', "").replace("'", "").split(", ")
        found: Field = Choice(values=tuple(values))
    else:
        found = _FIELDS.get(plain, Field())
    return found if plain == annotation else Optional(field=found)
