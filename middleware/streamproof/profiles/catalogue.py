"""The profiles by name: those in this folder, and those that installed packages add.

A package adds profiles by an entry point of the group ``streamproof.profiles`` that names a package, or a module in a
folder, with TOML files. Entry points are read only for a name that is not in this folder, and for the whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType, ModuleType

from ..sansio.errors import ConfigurationError
from .profile import Profile, read_profile

#: The group of entry points that add profiles.
GROUP = "streamproof.profiles"


@cache
def built_in() -> Mapping[str, Profile]:
    """The profiles of this folder, by name."""
    return MappingProxyType(dict(sorted(_read(files(__package__), {}, "").items())))


@cache
def catalogue() -> Mapping[str, Profile]:
    """Every profile, by name. Raises ConfigurationError naming the package whose profiles cannot be used."""
    found = dict(built_in())
    owners: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        owner = _owner(point)
        for name, profile in _read(_folder(point), built_in(), f"{owner}: ").items():
            if name in found:
                whose = f"in {owners[name]} too" if name in owners else "a built-in profile"
                raise ConfigurationError(
                    f"The profile {name!r} of {owner} is {whose}. Expected a name that no other profile has."
                )
            found[name], owners[name] = profile, owner
    return MappingProxyType(dict(sorted(found.items())))


def find(name: str) -> Profile | None:
    """The profile of this name, None if there is none. Installed packages are asked last."""
    return built_in().get(name) or catalogue().get(name)


def _read(folder: Traversable, bases: Mapping[str, Profile], owner: str) -> dict[str, Profile]:
    """The profiles in a folder. One may build on ``bases`` or on another one of the folder."""
    found: dict[str, Profile] = {}
    for text, place in sorted(_texts(folder), key=lambda item: b"\nbase = " in item[0]):  # those with a base come last
        profile = read_profile(text, owner + place, {**bases, **found})
        found[profile.name] = profile
    return found


def _texts(folder: Traversable) -> Iterator[tuple[bytes, str]]:
    for entry in folder.iterdir():
        if entry.name.endswith(".toml") and not entry.name.startswith("_"):
            yield entry.read_bytes(), entry.name


def _folder(point: EntryPoint) -> Traversable:
    """The folder that an entry point names."""
    try:
        module = point.load()
        if not isinstance(module, ModuleType):
            raise TypeError(f"{point.value} is not a module")
        package = module.__name__ if hasattr(module, "__path__") else module.__package__
        if not package:
            raise TypeError(f"{point.value} is not in a package")
        return files(package)
    except Exception as error:
        raise ConfigurationError(
            f"The profiles of {_owner(point)} cannot be loaded from {point.value!r}: {error}. "
            "Expected a package with TOML files. Is its installation broken?"
        ) from error


def _owner(point: EntryPoint) -> str:
    return f"the package {point.dist.name!r}" if point.dist is not None else f"the entry point {point.name!r}"
