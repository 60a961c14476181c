"""A via: the text that names a chain of hops, and the chain.

``profile``, with options ``nginx:proxy_http_version=1.0,gzip=on``, list values separated by spaces
(``gzip_types=text/plain text/csv``), hops joined by ``+``, app side first. :func:`resolve` parses the text once, where
the user gave it; a :class:`Via` travels from there.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ..sansio.decode.fault import shortened, shown
from ..sansio.decode.limits import VIA_LENGTH
from ..sansio.errors import ConfigurationError
from ..sansio.hop import Chain, HopPlan
from ..sansio.trace import Request
from .catalogue import catalogue, find
from .profile import Profile


@dataclass(frozen=True, slots=True)
class Via:
    """The chain of hops between app and reader, app side first."""

    text: str
    plans: tuple[HopPlan, ...]
    profiles: tuple[Profile, ...]

    @property
    def grade(self) -> str:
        """The weakest grade among the hops: one reported fact makes the whole chain reported."""
        order = ("measured", "source", "documented", "reported")
        return max((profile.grade for profile in self.profiles), key=order.index)

    def start(self, request: Request, now: float) -> Chain:
        """Return the chain for one response, whose reader sent ``request`` at ``now`` (seconds)."""
        return Chain(self.plans, request, now)


def resolve(via: str | Profile | Via) -> Via:
    """Return the chain that ``via`` names. Raises ConfigurationError with the valid names or options."""
    if isinstance(via, Via):
        return via
    if isinstance(via, Profile):
        return Via(via.name, (via.plan(),), (via,))
    if not isinstance(via, str):
        raise ConfigurationError(
            f"via is {shown(via)}. Expected text such as 'nginx:gzip=on', a Profile or a Via. Use + for a chain."
        )
    if len(via) > VIA_LENGTH:
        raise ConfigurationError(
            f"The via {shortened(via)!r} has {len(via):,} characters. Expected at most {VIA_LENGTH:,}. "
            "Is it the text of a file?"
        )
    hops = [_hop(part.strip(), via) for part in _parts(via)]
    return Via(via, tuple(plan for _, plan in hops), tuple(profile for profile, _ in hops))


def _parts(via: str) -> list[str]:
    """Return the hops of ``via``. A plus inside a media type, as in application/xhtml+xml, does not separate hops."""
    parts: list[str] = []
    for part in via.split("+"):
        word = re.split("[ =,]", parts[-1])[-1] if parts else ""
        if "/" in word and find(part.strip().partition(":")[0]) is None:
            parts[-1] += "+" + part
        else:
            parts.append(part)
    return parts


def _hop(text: str, via: str) -> tuple[Profile, HopPlan]:
    name, colon, options = text.partition(":")
    profile = find(name)
    if profile is None:
        profiles = catalogue()
        near = difflib.get_close_matches(name, profiles, 1)
        guess = f"Did you mean {near[0]!r}?" if near else "Is the name mistyped?"
        raise ConfigurationError(
            f"{_shown(name)} in via {_shown(via)} is not a known profile. Valid names: {', '.join(profiles)}. {guess}"
        )
    given: dict[str, str] = {}
    for item in options.split(",") if colon else ():
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigurationError(
                f"{_shown(item)} in via {_shown(via)} is not an option. Expected OPTION=VALUE, "
                f"as in {name}:OPTION=VALUE,OPTION=VALUE. Is the equals sign missing?"
            )
        if key.strip() in given:
            raise ConfigurationError(
                f"{_shown(key.strip())} occurs twice in via {_shown(via)}. Expected each option once."
            )
        given[key.strip()] = value.strip()
    return profile, profile.plan(given)


def _shown(text: str) -> str:
    return repr(shortened(text, 200))
