"""Exporters that other distributions install: the entry-point group ``streamproof.exporters``.

An entry point names a factory. It is called with the settings and returns an exporter. Nothing is imported before the
setting ``exporters`` names it.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..sansio.errors import ConfigurationError
from ..suggestion import nearest
from . import Exporter

GROUP = "streamproof.exporters"
#: The exporters of this package have settings of their own, and metrics and logs show them by these names.
TAKEN = frozenset(("log", "prometheus", "opentelemetry", "jsonl", "route"))


def find(name: str) -> EntryPoint:
    """The entry point ``name``. Raises ConfigurationError if it is not installed, not unique or has a taken name."""
    installed = entry_points(group=GROUP)
    found = [each for each in installed if each.name == name]
    if name in TAKEN:
        raise ConfigurationError(
            f"{name!r} in exporters is the name of an exporter of streamproof. Expected the name of another one. Was "
            f"the setting {name} meant?"
        )
    if not found:
        known = sorted({each.name for each in installed} - TAKEN)
        guess = nearest(name, known) if known else "Is its distribution installed in this environment?"
        raise ConfigurationError(
            f"There is no exporter {name!r}. Expected the name of an entry point in the group {GROUP}. {guess}"
        )
    if len({each.value for each in found}) > 1:
        raise ConfigurationError(
            f"The exporter {name!r} is installed {len(found)} times: {', '.join(each.value for each in found)}. "
            "Expected it once. Can one of the distributions be removed?"
        )
    return found[0]


def make(name: str, settings: Any) -> Exporter:
    """The exporter that the factory ``name`` returns for ``settings``.

    Raises ConfigurationError if it cannot be imported, its factory raises, or what it returns cannot be called.
    """
    entry = find(name)
    try:
        exporter = entry.load()(settings)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"The exporter {name!r} ({entry.value}) cannot be made: {reason}. Expected a factory that takes the "
            "settings and returns an exporter. Does it lack a setting of its own?"
        ) from error
    if not callable(exporter):
        raise ConfigurationError(
            f"The exporter {name!r} ({entry.value}) is {exporter!r}. Expected a callable (trace, *, route). Does its "
            "factory return it?"
        )
    return exporter  # type: ignore[no-any-return]
