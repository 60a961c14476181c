"""Replay says what readers behind real proxies get: the short suite, a test a configuration.

Knows what fails: an unlisted disagreement, a listed one that agrees, a via that no profile answers to, a proxy that
does not start and, where CI=true, one that is missing.
"""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from streamproof.profiles import resolve

from .configurations import CONFIGURATIONS
from .judge import Verdict, judge
from .known import KNOWN
from .needs import need
from .products import Missing, program
from .suite import full, short
from .variants import VARIANTS

pytestmark = pytest.mark.proxies

#: Of all pairs, the share that must agree.
PASS_LINE = 0.99


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_replay_says_what_the_reader_gets(name: str) -> None:
    configuration = CONFIGURATIONS[name]
    need(configuration)
    resolve(configuration.via)  # before anything is started: a via that nobody answers to is no skip
    verdicts = judge(configuration, short())
    if faults := _faults(verdicts):
        agree = sum(verdict.agrees for verdict in verdicts)
        pytest.fail("\n\n".join((f"{agree} of {len(verdicts)} pairs agree", *faults)), pytrace=False)


def _faults(verdicts: list[Verdict]) -> list[str]:
    out = []
    for verdict in verdicts:
        known = KNOWN.get((verdict.configuration, verdict.schedule))
        if known is None and not verdict.agrees:
            out.append(str(verdict))
        elif known is not None and known.always and verdict.agrees:
            out.append(f"{verdict.configuration} / {verdict.schedule} agrees now: take it off the known ones")
    return out


def test_known_disagreements_name_pairs_that_are_played() -> None:
    names = {schedule.name for schedule in full(1000)}
    strange = [pair for pair in KNOWN if pair[0] not in CONFIGURATIONS | VARIANTS or pair[1] not in names]
    assert not strange


def test_known_disagreements_stay_below_the_pass_line() -> None:
    for suite in (short(), full()):
        names = {schedule.name for schedule in suite}
        pairs = sum(
            1 for configuration in CONFIGURATIONS.values() for schedule in suite if configuration.plays(schedule)
        )
        assert sum(1 for _, schedule in KNOWN if schedule in names) <= (1 - PASS_LINE) * pairs


def test_nginx_has_no_known_disagreement_but_races() -> None:
    every = (CONFIGURATIONS | VARIANTS).values()
    nginx = {each.name for each in every if all(hop.profile == "nginx" for hop in each.hops)}
    assert not [pair for pair, known in KNOWN.items() if pair[0] in nginx and known.always]


def test_names_of_schedules_are_unique() -> None:
    twice = [name for name, count in Counter(schedule.name for schedule in full()).items() if count > 1]
    assert not twice


@pytest.mark.parametrize("profile", sorted({hop.profile for each in CONFIGURATIONS.values() for hop in each.hops}))
def test_each_product_says_what_to_install(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if profile == "envoy":
        monkeypatch.setitem(sys.modules, "envoy", None)
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(Missing, match="Debian package|wheel"):
        program(profile)


@pytest.mark.parametrize(("where", "expected"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_product_skips_on_a_laptop_and_fails_in_ci(
    where: str, expected: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", where)
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(expected, match="nginx-light"):
        need(CONFIGURATIONS["nginx"])
