"""What stands in the shipped files: every promised profile, and for each number a fact with its source."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from streamproof.profiles import Profile, catalogue
from streamproof.profiles.profile import GRADES
from streamproof.sansio.stages import STAGES

from ..support.profile_traces import NAMES

PROMISED = """
    nginx nginx-uwsgi ingress-nginx apache apache-uwsgi haproxy openshift caddy traefik envoy varnish squid lighttpd h2o
    trafficserver nghttpx go-reverseproxy webpack-dev-server next-dev vite gae-standard gae-flex cloud-run
    firebase-hosting apigw-rest apigw-http lambda-url aws-alb cloudfront elastic-beanstalk heroku cloudflare cloudflared
    trycloudflare fastly azure-app-service azure-apim azure-functions vercel railway gunicorn-sync antivirus-scanner
    passthrough
"""
HOLDERS = (
    "limits",
    "blocks",
    "coalesce",
    "go_writer",
    "hold_back",
    "buffer_all",
    "tls_records",
    "head_hold",
    "throttle",
)


def test_every_promised_profile_is_there() -> None:
    assert set(PROMISED.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_facts_have_a_source_a_date_and_a_grade(name: str) -> None:
    profile = catalogue()[name]
    assert profile.facts
    for fact in profile.facts:
        assert fact.text.strip()
        assert fact.source.strip()
        assert fact.grade in GRADES
        assert datetime.date(2026, 1, 1) <= fact.date <= datetime.date(2027, 1, 1)
    assert profile.grade in GRADES
    assert any(fact.grade == profile.grade for fact in profile.facts)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_that_holds_says_why_and_what_helps(name: str) -> None:
    for entry in catalogue()[name].stages:
        if entry["use"] in (
            "limits",
            "blocks",
            "coalesce",
            "go_writer",
            "hold_back",
            "buffer_all",
            "tls_records",
            "head_hold",
            "nagle",
        ):
            assert entry.get("why"), entry
            assert entry.get("fix"), entry


def spellings(number: float, *, seconds: bool) -> Iterator[str]:
    """How a fact may write this number."""
    yield from (f"{number:g}", f"{number:,.0f}", f"{number * 1000:g} ms")
    if seconds:
        yield from (f"{number / 60:g} min", f"{number / 3600:g} h")
    else:
        yield from (f"{number / 1024:g} {unit}" for unit in ("KB", "KiB", "kB"))
        yield from (f"{number / 1048576:g} {unit}" for unit in ("MB", "MiB"))


#: Settings that are durations; the other numbers are bytes, statuses, levels and windows.
SECONDS = {"first_byte", "idle", "total", "delay", "latency", "linger"}
#: Plain mechanism: the format, not the product, chose these.
MECHANISM = {"step", "level", "memory", "window"}


def stats(profile: Profile) -> Iterator[tuple[str, float, bool]]:
    """Every number that the file itself gives: of its stages, its pages, and the defaults of its options."""
    for entry in profile.stages:
        for key, value in entry.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and not isinstance(number, bool) and key not in MECHANISM and number:
                    yield f"{entry['use']}.{key}", number, key in SECONDS
    for option in profile.options.values():
        default = option.parse(option.default, profile.name)
        if isinstance(default, int | float) and default:
            yield option.name, default, option.kind in ("time", "milliseconds")


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_in_a_fact(name: str) -> None:
    profile = catalogue()[name]
    said = " ".join(fact.text for fact in profile.facts)
    missing = [
        (where, number)
        for where, number, seconds in stats(profile)
        if not any(
            re.search(rf"(?<![\d.]){re.escape(text)}(?!\d)", said) for text in spellings(number, seconds=seconds)
        )
    ]
    assert missing == []


def test_the_page_on_profiles_lists_every_stage_and_setting() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "profiles.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*)\|$", page, re.MULTILINE))
    for name, kind in STAGES.items():
        settings_ = {item.name for item in fields(kind)} - {"name", "pages"}  # type: ignore[arg-type]
        assert set(re.findall(r"`(\w+)`", rows[name])) == settings_, name
