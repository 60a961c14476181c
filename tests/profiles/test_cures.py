"""The header field that frees a rule, as the profiles name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from streamproof.profiles import catalogue
from streamproof.profiles._rules import rules
from streamproof.sansio.machine import Head
from streamproof.sansio.trace import Request

from ..support.profile_traces import NAMES


def cures() -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    """Profile, stage entry and header field."""
    for name in NAMES:
        for entry in catalogue()[name].stages:
            for field in entry.get("cures", ()):
                yield name, entry, field


def test_a_rule_that_a_header_frees_names_it() -> None:
    """A profile that obeys one of these fields and leaves it out of ``cures`` would never be offered the cure."""
    for name in NAMES:
        for entry in catalogue()[name].stages:
            found = entry.get("cures", [])
            if entry.get("unless", {}).get("response.header.x-accel-buffering") == "no":
                assert ["X-Accel-Buffering", "no"] in found, (name, entry)
            if entry.get("no_transform"):
                assert ["Cache-Control", "no-transform"] in found, (name, entry)


@pytest.mark.parametrize(("name", "entry", "field"), list(cures()))
def test_a_header_that_frees_a_rule_keeps_it_from_acting(name: str, entry: Mapping[str, Any], field: list[str]) -> None:
    profile = catalogue()[name]
    request = Request(headers=(("Accept-Encoding", "gzip"),))
    head = Head(200, (("Content-Type", "text/html"), (field[0], field[1])), "chunked", 100)
    values = {**profile.settle({}), **{key: variants[-1][1] for key, variants in profile.constants.items()}}
    (rule,) = rules([entry], values, name, (), every=True)
    assert (field[0], field[1]) in rule.cures
    stage = rule.settings.start(request, 0.0)
    assert not rule.applies(request, head) or list(stage.receive(head, 0.0)) == [head]
