"""The fields that hold one value: text, flag, choice, whole number, number, seconds, date, base64."""

from __future__ import annotations

import base64
import datetime
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from .fault import Fault
from .limits import DIGITS, SECONDS, WHOLE

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value. ``hint`` replaces the words for the expected form, ``guess`` the question about the cause."""

    kind: ClassVar[str] = "any"

    hint: str = ""
    guess: str = ""

    @property
    def expected(self) -> str:
        """The expected form, in words."""
        return self.hint or "a value"

    def read(self, value: object) -> Any:
        """Return the value that the parsed ``value`` means. Raises Fault."""
        return value

    def parse(self, text: str) -> Any:
        """Return the value that ``text`` means. Raises Fault."""
        return self.read(text)

    def fault(self, value: object, expected: str = "") -> Fault:
        """The fault of ``value``."""
        return Fault(value, expected or self.expected, self.guess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """Text of at most ``longest`` characters."""

    kind: ClassVar[str] = "text"

    longest: int | None = None

    @property
    def expected(self) -> str:
        return (self.hint or "text") + ("" if self.longest is None else f", at most {self.longest:,} characters")

    def read(self, value: object) -> str:
        if not isinstance(value, str) or (self.longest is not None and len(value) > self.longest):
            raise self.fault(value)
        return value

    def parse(self, text: str) -> str:
        return self.read(text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """True or false; in text also yes, no, on, off, 1, 0."""

    kind: ClassVar[str] = "flag"

    @property
    def expected(self) -> str:
        return self.hint or "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise self.fault(value)
        return value

    def parse(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in TRUE and word not in FALSE:
            raise self.fault(text)
        return word in TRUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """One of the texts ``values``."""

    kind: ClassVar[str] = "choice"

    values: tuple[str, ...]

    @property
    def expected(self) -> str:
        return self.hint or "one of " + ", ".join(self.values)

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.fault(value)
        if value not in self.values:
            raise Fault(value, self.expected, self.guess, unknown=value, valid=self.values)
        return value

    def parse(self, text: str) -> str:
        return self.read(text.strip())


def _range(what: str, low: float, high: float, most: float) -> str:
    if high < most:
        return f"{what} from {low:,.15g} to {high:,.15g}"
    return f"{what}, {low:,.15g} or more" if low > -math.inf else what


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Field):
    """A whole number from ``low`` to ``high`` of ``what`` (in words)."""

    kind: ClassVar[str] = "whole"

    low: int = 0
    high: int = WHOLE
    what: str = "a whole number"

    @property
    def expected(self) -> str:
        return self.hint or _range(self.what, self.low, self.high, WHOLE)

    def read(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            large = isinstance(value, int) and value > self.high
            raise self.fault(value, f"{self.expected}, at most {self.high:,}" if large and self.high == WHOLE else "")
        return value

    def parse(self, text: str) -> int:
        return self.read(_whole(text, self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Field):
    """A number from ``low`` to ``high`` of ``what`` (in words); ``above``: more than ``low``."""

    kind: ClassVar[str] = "number"

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    what: str = "a number"

    @property
    def expected(self) -> str:
        if self.above:
            return self.hint or f"{self.what}, more than {self.low:g}, at most {self.high:,.15g}"
        return self.hint or _range(self.what, self.low, self.high, math.inf)

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(value)
        if not self.low <= value <= self.high or (self.above and value == self.low):  # NaN is not in between
            raise self.fault(value)
        if math.isinf(value) if isinstance(value, float) else value.bit_length() > 1000:
            raise self.fault(value)
        return float(value)

    def parse(self, text: str) -> float:
        try:
            return self.read(float(text))
        except ValueError:
            raise self.fault(text) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds(Number):
    """A number of seconds."""

    kind: ClassVar[str] = "seconds"

    high: float = SECONDS
    what: str = "a number of seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Date(Field):
    """A date, as TOML has them."""

    kind: ClassVar[str] = "date"

    @property
    def expected(self) -> str:
        return self.hint or "a date such as 2026-11-21, without quotes"

    def read(self, value: object) -> datetime.date:
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            raise self.fault(value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Base64(Field):
    """Bytes, written in base64 (RFC 4648 section 4)."""

    kind: ClassVar[str] = "base64"

    @property
    def expected(self) -> str:
        return self.hint or "base64"

    def read(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise self.fault(value)
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:  # binascii.Error, and the plain one for text outside of ASCII
            raise self.fault(value) from None


def _whole(text: str, field: Field) -> int:
    """``text`` as a whole number of at most :data:`DIGITS` digits."""
    word = text.strip()
    if not word.isascii() or len(word) > DIGITS:
        raise field.fault(text)
    try:
        return int(word)
    except ValueError:
        raise field.fault(text) from None
