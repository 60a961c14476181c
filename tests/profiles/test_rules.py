"""A profile of one's own: a small one reads, a broken one names its fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streamproof.profiles.profile import read_profile
from streamproof.sansio.errors import ConfigurationError
from streamproof.sansio.machine import Head
from streamproof.sansio.stages import STAGES
from streamproof.sansio.trace import Request

SMALL: Mapping[str, Any] = {
    "name": '"small"',
    "title": '"a small one"',
    "summary": '"streams"',
    "grade": '"measured"',
    "date": "2026-11-21",
}
FACT = '[[facts]]\ntext = "x"\nsource = "y"\ndate = 2026-11-21\ngrade = "measured"\n'


def small(body: str = FACT, **changes: str | None) -> str:
    lines = {**SMALL, **changes}
    return "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None) + body


def test_a_small_profile_reads() -> None:
    profile = read_profile(small('[[stages]]\nuse = "head_hold"\n' + FACT), "small.toml")
    assert [type(rule.settings).__name__ for rule in profile.plan().rules] == ["HeadHold"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            small(title=None),
            "small.toml has no 'title'. Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
        (
            small(grade='"guessed"'),
            "small.toml: grade is 'guessed'. Expected one of measured, source, documented, reported. "
            "Is a name mistyped?",
        ),
        (
            small('[[stages]]\nuse = "head_hold"\nsize = 4\n' + FACT),
            "small.toml, stage 1 (head_hold): 'size' is not a setting of this stage. There are none. "
            "Is the name mistyped?",
        ),
        (
            small('[[stages]]\nlike = "that"\n' + FACT),
            "small.toml cannot be read: like = 'that' names no stage before it. "
            "Expected the members that docs/profiles.md lists. Is a name mistyped?",
        ),
        (
            small(base='"elsewhere"'),
            "small.toml: base is 'elsewhere'. Expected the name of another profile. Is a name mistyped?",
        ),
    ],
)
def test_a_broken_profile_names_the_fault(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_profile(text, "small.toml")
    assert str(raised.value) == message


OPTION = """
[options.hold]
values = ["on", "off"]
default = "on"

[options.read_timeout]
kind = "time"
default = "30s"

[constants.block]
value = 4096
"""
CONDITIONS = (
    "request.version, request.method, request.header.NAME, response.status, response.framing, response.type, "
    "response.header.NAME"
)
NAMED = "hold, read_timeout, block"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '[[stages]]\nuse = "head_hold"\nwhen = { "response.typ" = "text/*" }\n',
            "stage 1 (head_hold): when: 'response.typ' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'response.type'?",
        ),
        (
            '[[stages]]\nuse = "abort"\n[[stages]]\nuse = "head_hold"\nunless = { "reponse.header.x-y" = "no" }\n',
            "stage 2 (head_hold): unless: 'reponse.header.x-y' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'response.header.NAME'?",
        ),
        (
            '[[stages]]\nuse = "head_hold"\nif = { hold = "off" }\nwhen = { "request.header." = "x" }\n',
            "stage 1 (head_hold): when: 'request.header.' is not a condition. "
            f"Expected one of {CONDITIONS}. Did you mean 'request.header.NAME'?",
        ),
        (
            '[[stages]]\nuse = "head_hold"\nif = { hodl = "on" }\n',
            "stage 1 (head_hold): if: 'hodl' is not an option of this profile. "
            f"Expected one of {NAMED}. Did you mean 'hold'?",
        ),
        (
            '[[stages]]\nuse = "head_hlod"\n',
            f"stage 1 (head_hlod): 'head_hlod' is not a stage. Expected one of {', '.join(STAGES)}. "
            "Did you mean 'head_hold'?",
        ),
        (
            '[[stages]]\nuse = "limits"\nidle = "{read_timeut}"\n',
            "stage 1 (limits): idle: 'read_timeut' is not an option or a constant of this profile. "
            f"Expected one of {NAMED}. Did you mean 'read_timeout'?",
        ),
        (
            '[[stages]]\nuse = "limits"\nif = { hold = "off" }\nwhy = "after {timeout} s"\n',
            "stage 1 (limits): why: 'timeout' is not an option or a constant of this profile. "
            f"Expected one of {NAMED}. Did you mean 'read_timeout'?",
        ),
        (
            '[[pages]]\nstatus = 502\nsize = 1\nheaders = [["Server", "small/{version}"]]\n',
            "page 1: headers: 'version' is not an option or a constant of this profile. "
            f"Expected one of {NAMED}. Is the name mistyped?",
        ),
        (
            '[gets_head]\nhodl = "on"\n',
            "gets_head: 'hodl' is not an option of this profile. Expected one of hold, read_timeout. "
            "Did you mean 'hold'?",
        ),
        (
            '[constants.other]\nvalue = 1\nwhen = [{ if = { hodl = "on" }, value = 2 }]\n',
            "constants.other.when: 'hodl' is not an option of this profile. Expected one of hold, read_timeout. "
            "Did you mean 'hold'?",
        ),
        (
            '[options.late]\nkind = "int"\ndefault = 1\ndefaults_when = [{ if = { hodl = "on" }, default = 2 }]\n',
            "options.late.defaults_when: 'hodl' is not an option of this profile. "
            "Expected one of hold, read_timeout, late. Did you mean 'hold'?",
        ),
    ],
)
def test_a_mistyped_name_is_found_when_the_profile_is_read(body: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_profile(small(OPTION + body + FACT), "small.toml")
    assert str(raised.value) == f"small.toml, {message}"


@pytest.mark.parametrize("member", ['asks = "{hodl}"', 'adds_request = [["Via", "{hodl}"]]'])
def test_a_mistyped_placeholder_outside_of_a_stage_is_found_too(member: str) -> None:
    place = member.partition(" ")[0]
    with pytest.raises(ConfigurationError) as raised:
        read_profile(small(f"{member}\n{OPTION}{FACT}"), "small.toml")
    assert str(raised.value) == (
        f"small.toml, {place}: 'hodl' is not an option or a constant of this profile. "
        "Expected one of hold, read_timeout. Did you mean 'hold'?"
    )


def test_a_header_name_in_a_condition_is_read_in_any_case() -> None:
    stage = '[[stages]]\nuse = "head_hold"\nwhen = { "response.header.X-Hold" = "Yes" }\n'
    (rule,) = read_profile(small(stage + FACT), "small.toml").plan().rules
    assert rule.applies(Request(), Head(200, (("X-Hold", "yes"),), "chunked", 0))


def test_braces_in_the_value_of_an_option_stay() -> None:
    text = '[options.word]\nkind = "text"\ndefault = "x"\n[[stages]]\nuse = "head_hold"\nwhy = "says {word}"\n'
    (rule,) = read_profile(small(text + FACT), "small.toml").plan({"word": "{word}"}).rules
    assert rule.why == "says {word}"


def test_a_file_that_is_not_toml_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"^small\.toml is not TOML: .* Was it cut short\?$"):
        read_profile("name = ", "small.toml")
