"""The profiles by name: one for each TOML file of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from .profile import Profile, read_profile


@cache
def catalogue() -> Mapping[str, Profile]:
    """Every profile, by name."""
    found: dict[str, Profile] = {}
    waiting = [
        (entry.read_text("utf-8"), entry.name)
        for entry in files(__package__).iterdir()
        if entry.name.endswith(".toml") and not entry.name.startswith("_")
    ]
    for text, place in sorted(waiting, key=lambda item: "\nbase = " in item[0]):  # those with a base come last
        profile = read_profile(text, place, found)
        found[profile.name] = profile
    return MappingProxyType(dict(sorted(found.items())))


def find(name: str) -> Profile | None:
    """The profile of this name, None if there is none."""
    return catalogue().get(name)
