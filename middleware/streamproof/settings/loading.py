"""Load the settings and record where each value came from: :func:`load`.

The later source wins: defaults, ``[tool.streamproof]`` in ``pyproject.toml``, ``streamproof.toml``, ``STREAMPROOF_*``,
arguments. The files are those of the nearest folder, from the current one upward, that has either. The schema is in
``schema.py``; ``assembly.py`` turns settings into a wrapped app.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..adapters.via import refuse_via
from ..sansio.decode.documents import check_nesting, toml_data
from ..sansio.decode.fault import Fault, shortened
from ..sansio.decode.fields import Field
from ..sansio.decode.limits import TOML_SIZE
from ..sansio.decode.tables import Map
from ..sansio.errors import ConfigurationError
from ..suggestion import nearest
from .schema import SCHEMA, Setting

PREFIX = "STREAMPROOF_"
_BY_NAME = {setting.name: setting for setting in SCHEMA}
_TABLE = Map(field=Field(), hint="a table")


class Settings:
    """The settings as attributes (``settings.log``). ``origins`` has the source of each value, by name."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._values = MappingProxyType({setting.name: setting.default for setting in SCHEMA} | dict(values))
        self.origins: Mapping[str, str] = MappingProxyType(dict.fromkeys(_BY_NAME, "default") | dict(origins))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"There is no setting {name!r}.") from None

    def __iter__(self) -> Iterator[tuple[Setting, Any, str]]:
        """Each setting with its value and its origin, in the order of the schema."""
        return ((setting, self._values[setting.name], self.origins[setting.name]) for setting in SCHEMA)

    def __repr__(self) -> str:
        set_ones = (f"{name}={self._values[name]!r}" for name, origin in self.origins.items() if origin != "default")
        return f"Settings({', '.join(set_ones)})"

    @property
    def production(self) -> bool:
        """Is ``env`` production?"""
        return bool(self.env == "production")


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings for ``folder`` (by default the current one).

    Raises:
        ConfigurationError: A file cannot be read, a key is unknown, a value does not have the expected form, or ``via``
            is set in production without ``force_via``.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, raw in _sources(arguments or {}, Path(folder or os.curdir), os.environ if environ is None else environ):
        for name, value in raw.items():
            values[name], origins[name] = _read(name, value, origin), origin
    settings = Settings(values, origins)
    refuse_via(settings.via, production=settings.production, forced=settings.force_via)
    return settings


def _sources(
    arguments: Mapping[str, Any], folder: Path, environ: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    home = folder.resolve()
    for place in (home, *home.parents):
        found = [(path, table) for path, table in _files(place) if table is not None]
        if found:
            yield from ((str(path), table) for path, table in found)
            break
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            yield variable, {variable.removeprefix(PREFIX).lower(): environ[variable]}
    yield "argument", dict(arguments)


def _files(place: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    pyproject, own = place / "pyproject.toml", place / "streamproof.toml"
    if pyproject.is_file():
        yield pyproject, _table(pyproject, "tool", "streamproof")
    if own.is_file():
        yield own, _table(own)


def _table(path: Path, *names: str) -> dict[str, Any] | None:
    """The table under ``names`` in the TOML file, None if it has none. The rest of the file belongs to others."""
    root = str(path)
    try:
        with path.open("rb") as file:
            table: Any = toml_data(file.read(TOML_SIZE + 1), expected="TOML", guess="Was it edited by hand?")
        for number, name in enumerate(names, 1):
            root = f"{path}: {'.'.join(names[:number])}"
            if (table := table.get(name)) is None:
                return None
            table = _TABLE.read(table)
        check_nesting(table)
    except Fault as fault:
        raise ConfigurationError(fault.sentence(root, "Was it edited by hand?")) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}. Expected a readable file. Does this user have the permission?"
        ) from None
    return dict(table)


def _read(name: str, raw: Any, origin: str) -> Any:
    from_environment = origin.startswith(PREFIX)
    setting = _BY_NAME.get(name)
    if setting is None:
        shown = origin if from_environment else f"{origin}: {shortened(name)}"
        valid = (PREFIX + key.upper() if from_environment else key for key in _BY_NAME)
        guess = nearest(origin if from_environment else name, valid)
        raise ConfigurationError(f"{shortened(shown, 200)} is not a setting. Expected a valid name. {guess}")
    if raw is None:
        return setting.default
    try:
        return setting.read(raw)
    except Fault as fault:
        raise ConfigurationError(_sentence(fault, origin if from_environment else f"{origin}: {name}")) from None


def _sentence(fault: Fault, root: str) -> str:
    guess = "" if fault.unknown is None else nearest(fault.unknown, fault.valid)
    if not guess or (not guess.startswith("Did you mean") and all(name in fault.expected for name in fault.valid)):
        guess = "Is it spelled right?"
    return fault.sentence(root, guess)
