"""Options of a via: every default and listed value plans, and what cannot be used is refused."""

from __future__ import annotations

import pytest

from streamproof.profiles import catalogue, resolve
from streamproof.sansio.errors import ConfigurationError

from ..support.profile_traces import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_default_and_every_listed_value_plans(name: str) -> None:
    profile = catalogue()[name]
    assert profile.plan().name == name
    for option in profile.options.values():
        assert option.summary
        for text in (option.default, *option.values):
            assert resolve(f"{name}:{option.name}={text}").plans[0].name == f"{name}:{option.name}={text}"


def test_a_plus_inside_a_media_type_parts_no_hops() -> None:
    via = resolve("nginx:gzip=on,gzip_types=application/xhtml+xml text/css+nginx:gzip_types=image/svg+xml+heroku")
    assert [plan.name for plan in via.plans] == [
        "nginx:gzip=on,gzip_types=application/xhtml+xml text/css",
        "nginx:gzip_types=image/svg+xml",
        "heroku",
    ]


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve("ngnix:gzip=on")
    assert str(raised.value) == (
        f"'ngnix' in via 'ngnix:gzip=on' is not a known profile. Valid names: {', '.join(NAMES)}. Did you mean 'nginx'?"
    )


@pytest.mark.parametrize(
    ("via", "message"),
    [
        (
            "heroku:gzip=on",
            "heroku has no option 'gzip'. Valid options: none. Is it a directive of another product?",
        ),
        (
            "varnish:do_esl=true",
            "varnish has no option 'do_esl'. Valid options: pass, do_stream, do_gzip, do_esi, first_byte_timeout, "
            "between_bytes_timeout. Is it a directive of another product?",
        ),
        (
            "nginx:gzip=yes",
            "nginx:gzip=yes cannot be used. Expected one of on, off. Is it a typing mistake?",
        ),
        (
            "nginx:proxy_buffer_size=4q",
            "nginx:proxy_buffer_size=4q cannot be used. Expected a size such as 4096, 16k or 1m, at least 1. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:gzip_comp_level=10",
            "nginx:gzip_comp_level=10 cannot be used. Expected a whole number, at least 1, at most 9. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:proxy_read_timeout=-1s",
            "nginx:proxy_read_timeout=-1s cannot be used. Expected a time such as 60s, 500ms or 1m. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:version=new",
            "nginx:version=new cannot be used. Expected a version such as 1.22.1. Is it a typing mistake?",
        ),
        (
            "apigw-rest:timeoutInMillis=29s",
            "apigw-rest:timeoutInMillis=29s cannot be used. Expected a whole number of milliseconds. "
            "Is it a typing mistake?",
        ),
        (
            "nginx:gzip",
            "'gzip' in via 'nginx:gzip' is not an option. Expected OPTION=VALUE, "
            "as in nginx:OPTION=VALUE,OPTION=VALUE. Is the equals sign missing?",
        ),
        (
            "nginx:gzip=on,gzip=off",
            "'gzip' occurs twice in via 'nginx:gzip=on,gzip=off'. Expected each option once.",
        ),
    ],
)
def test_what_cannot_be_used_says_so(via: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        resolve(via)
    assert str(raised.value) == message
