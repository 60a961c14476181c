"""The fields that hold other fields: an optional value, alternatives, a list, a row. Tables are in ``tables.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .fault import Fault
from .fields import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Optional(Field):
    """The value of ``field``, or None: null in JSON, empty in text."""

    kind: ClassVar[str] = "optional"

    field: Field

    @property
    def expected(self) -> str:
        return self.hint or self.field.expected

    def read(self, value: object) -> Any:
        return None if value is None else self.field.read(value)

    def parse(self, text: str) -> Any:
        return self.field.parse(text) if text.strip() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Field):
    """A value that has the form of ``field`` and stays as it is."""

    kind: ClassVar[str] = "checked"

    field: Field

    @property
    def expected(self) -> str:
        return self.hint or self.field.expected

    def read(self, value: object) -> Any:
        self.field.read(value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Either(Field):
    """The value of the first of ``fields`` that takes it."""

    kind: ClassVar[str] = "either"

    fields: tuple[Field, ...]

    @property
    def expected(self) -> str:
        return self.hint or ", or ".join(field.expected for field in self.fields)

    def read(self, value: object) -> Any:
        return self._first(lambda field: field.read(value), value)

    def parse(self, text: str) -> Any:
        return self._first(lambda field: field.parse(text), text)

    def _first(self, take: Callable[[Field], Any], value: object) -> Any:
        inner: Fault | None = None
        for field in self.fields:
            try:
                return take(field)
            except Fault as fault:
                if fault.path or fault.unknown is not None:  # the form is right, something inside is not
                    inner = fault
        raise inner or self.fault(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Field):
    """A list with at most ``most`` values of ``item``; ``length``: exactly so many. In text, words or commas separate.

    ``single``: one value without a list counts as a list of one.
    """

    kind: ClassVar[str] = "list"

    item: Field
    most: int | None = None
    length: int | None = None
    single: bool = False

    @property
    def expected(self) -> str:
        size = f" of {self.length}" if self.length is not None else f" of at most {self.most:,}" if self.most else ""
        return self.hint or f"a list{size}"

    def read(self, value: object) -> tuple[Any, ...]:
        if self.single and isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple):
            raise self.fault(value)
        if (self.most is not None and len(value) > self.most) or (
            self.length is not None and len(value) != self.length
        ):
            raise Fault(value, self.expected, self.guess, fact=f"has {len(value):,} items")
        read, out, at = self.item.read, [], 0
        try:
            for item in value:
                out.append(read(item))
                at += 1
        except Fault as fault:
            fault.at(f"[{at}]")
            raise
        return tuple(out)

    def parse(self, text: str) -> tuple[Any, ...]:
        return tuple(self.item.parse(word) for word in text.replace(",", " ").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Field):
    """A list with one value for each of ``fields``, as ``[name, value]``."""

    kind: ClassVar[str] = "row"

    fields: tuple[Field, ...]

    @property
    def expected(self) -> str:
        return self.hint or f"a list of {len(self.fields)}"

    def read(self, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) != len(self.fields):
            raise self.fault(value)
        out: list[Any] = []
        try:
            for field, item in zip(self.fields, value, strict=True):
                out.append(field.read(item))
        except Fault as fault:
            fault.at(f"[{len(out)}]")
            raise
        return tuple(out)
