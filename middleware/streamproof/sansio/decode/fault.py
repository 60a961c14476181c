"""The error of every field: :class:`Fault`, one sentence with the place, the value, the expected form and a guess."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

#: Characters of a value that an error shows.
SHOWN = 60


class Fault(ValueError):
    """A value does not have the expected form. Each container adds its step to the path on the way out.

    ``fact`` replaces "is VALUE". ``unknown`` is a name that is not one of ``valid``, for a caller that proposes one.
    """

    def __init__(
        self,
        value: object,
        expected: str,
        guess: str = "",
        *,
        fact: str = "",
        unknown: str | None = None,
        valid: Iterable[str] = (),
    ) -> None:
        super().__init__(expected)
        self.value, self.expected, self.guess = value, expected, guess
        self.fact = fact or f"is {shown(value)}"
        self.unknown, self.valid = unknown, tuple(valid)
        self._steps: list[str] = []

    def at(self, step: str) -> Fault:
        """This fault, one step further out: ``step`` is ``.name`` or ``[3]``."""
        self._steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The way from the outermost value to the faulty one, as ``.chunks[1].at``."""
        return "".join(reversed(self._steps))

    def sentence(self, root: str, guess: str) -> str:
        """The message. ``root`` names the outermost value (``trace``) or, with a colon, where it stands (``a.toml:``).

        ``guess`` is the question if the fault has none.
        """
        path = shortened(self.path, 200)
        place = root + path
        if root.endswith(":"):
            place = f"{root} {path.removeprefix('.')}" if path else root[:-1]
        return f"{place} {self.fact}. Expected {self.expected}. {self.guess or guess}"


def shown(value: object) -> str:
    """``value`` in at most about :data:`SHOWN` characters, without control characters."""
    return shortened(_text(value, 2))


def shortened(text: str, longest: int = SHOWN) -> str:
    """``text`` in at most about ``longest`` characters, without control characters, its end cut off if it is longer."""
    short = text if len(text) <= longest else text[: longest - 3] + "..."
    return short if short.isprintable() else repr(short)[1:-1]


def _text(value: object, depth: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 256 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return repr(str(value[: 2 * SHOWN]))
    if isinstance(value, list | tuple):
        items = [_text(item, depth - 1) for item in value[:8]] if depth else ["..."] * bool(value)
        return f"[{', '.join([*items, *['...'] * (len(value) > 8)])}]"
    if isinstance(value, dict):
        keys = list(islice(value, 8))
        pairs = [f"{_text(key, 0)}: {_text(value[key], depth - 1)}" for key in keys] if depth else ["..."] * bool(keys)
        return "{" + ", ".join(pairs) + "}"
    if type(value).__module__ == "datetime":
        return str(value)
    return f"of the type {type(value).__name__}"
