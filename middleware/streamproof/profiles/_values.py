"""The fields of options whose values are written as in a product's own files: ``4k``, ``60s``, words, versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..sansio.decode.fault import Fault
from ..sansio.decode.fields import Field, Seconds, Whole

_SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
#: No number in a product's file has more digits than a 64-bit one.
_NUMBER = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*([a-zA-Z]*)", re.ASCII)
_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,7}", re.ASCII)


def _measure(text: str, units: Mapping[str, float], field: Field) -> float:
    found = _NUMBER.fullmatch(text.strip())
    unit = None if found is None else units.get(found[2].lower())
    if found is None or unit is None:
        raise field.fault(text)
    return float(found[1]) * unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Whole):
    """Bytes, with a unit."""

    kind: ClassVar[str] = "size"
    words: ClassVar[str] = "a size such as 4096, 16k or 1m"

    def parse(self, text: str) -> int:
        return self.read(int(_measure(text, _SIZES, self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration(Seconds):
    """Seconds, with a unit."""

    kind: ClassVar[str] = "duration"
    words: ClassVar[str] = "a time such as 60s, 500ms or 1m"

    def parse(self, text: str) -> float:
        return self.read(_measure(text, _TIMES, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Milliseconds(Seconds):
    """Seconds, written as a whole number of milliseconds."""

    kind: ClassVar[str] = "milliseconds"
    words: ClassVar[str] = "a whole number of milliseconds"

    def parse(self, text: str) -> float:
        try:
            return self.read(Whole().parse(text) / 1000)
        except Fault:
            raise self.fault(text) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Field):
    """Words separated by spaces."""

    kind: ClassVar[str] = "words"

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Field):
    """A version of whole numbers and periods."""

    kind: ClassVar[str] = "version"

    @property
    def expected(self) -> str:
        return "a version such as 1.22.1"

    def parse(self, text: str) -> str:
        if _VERSION.fullmatch(text.strip()) is None:
            raise self.fault(text)
        return text.strip()
