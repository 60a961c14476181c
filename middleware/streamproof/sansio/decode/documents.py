"""Parse JSON and TOML into plain data within the limits of size, nesting and digits.

Both raise :class:`~.fault.Fault` for every text that they refuse.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from .fault import Fault, shortened
from .limits import DIGITS, KEY_PARTS, NESTING, TOML_SIZE

_PART = r"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')"
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{KEY_PARTS}}}")


def json_data(text: str | bytes, *, most: int, expected: str) -> Any:
    """The data in the JSON ``text`` of at most ``most`` bytes. ``expected`` names the document. Raises Fault."""
    _check_size(text, most, expected)
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise Fault(text, expected, "Was the file cut short?", fact=f"is not JSON: {where}") from None
    except UnicodeDecodeError as error:
        fact = f"is not text: byte {error.start} is not UTF-8"
        raise Fault(text, expected, "Is it a compressed file?", fact=fact) from None
    except RecursionError:
        raise _nested(text) from None


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise Fault(text, f"at most {DIGITS} digits", fact=f"has a number of {len(text):,} digits")
    return int(text)


_DECODER = json.JSONDecoder(parse_int=_whole)


def toml_data(text: str | bytes, *, expected: str, guess: str) -> dict[str, Any]:
    """The table in the TOML ``text``. ``expected`` names the document. Raises Fault."""
    _check_size(text, TOML_SIZE, expected)
    try:
        # as a file opened in text mode reads it
        decoded = text if isinstance(text, str) else text.decode("utf-8").replace("\r\n", "\n")
        if _LONG_KEY.search(decoded):
            raise Fault(text, expected, guess, fact=f"has a key of more than {KEY_PARTS} parts")
        return tomllib.loads(decoded)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Fault(text, expected, guess, fact=f"is not TOML: {shortened(str(error), 200)}") from None
    except RecursionError:
        raise _nested(text) from None
    except Fault:
        raise
    except ValueError:  # int() of more digits than the interpreter allows
        fact = "has a number of thousands of digits"
        raise Fault(text, f"at most {DIGITS} digits", guess, fact=fact) from None


def check_nesting(data: object) -> None:
    """Raise Fault if lists and objects in ``data`` are nested deeper than :data:`NESTING` levels."""
    level = [data]
    for _ in range(NESTING + 1):
        inside: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.values()
            elif isinstance(value, list | tuple):
                inside += value
        if not inside:
            return
        level = inside
    raise _nested(data)


def _nested(data: object) -> Fault:
    return Fault(data, f"at most {NESTING} levels", fact="is nested too deeply")


def _check_size(text: str | bytes, most: int, expected: str) -> None:
    if len(text) > most:
        raise Fault(text, f"{expected} of at most {most:,} bytes", fact=f"has {len(text):,} bytes")
