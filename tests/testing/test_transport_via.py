"""A hop between app and reader holds what it holds, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from streamproof.testing.clocks import SteppedClock
from streamproof.testing.lockstep import Held, assert_streams
from streamproof.testing.transports import Transport

from ..support.testing_apps import ASGIStream
from ..support.transport_streams import KINDS, URL


def test_a_hop_between_app_and_reader_holds_what_it_holds_and_is_named(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with (
            library.Client(transport=Transport(kind(), via="gae-standard")) as client,
            client.stream("GET", URL) as response,
            pytest.raises(Held, match=r"chunk 2 before the reader held chunk 1\. gae-standard held it\."),
        ):
            assert_streams(response)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hops_time_limits_pass_in_virtual_time_and_the_app_sees_them(
    library: Any, kind: Any, clock: SteppedClock
) -> None:
    app = kind(chunks=None, seconds=100.0)
    with library.Client(transport=Transport(app, via="heroku")) as client, client.stream("GET", URL) as response:
        with pytest.raises(library.RemoteProtocolError, match="The response was cut by heroku"):
            list(response.iter_raw())
        response.close()
        assert app.events[-1] == "closed"
    assert response.trace.outcome == "client_gone"
    assert response.trace.delivery.outcome == "cut"
    assert response.trace.delivery.end.at == pytest.approx(55.0)


def test_a_timed_hop_works_under_both_async_libraries(library: Any, run: Any) -> None:
    async def main() -> None:
        transport = Transport(ASGIStream(chunks=None, seconds=100.0), via="heroku")
        async with library.AsyncClient(transport=transport) as client, client.stream("GET", URL) as response:
            with pytest.raises(library.RemoteProtocolError, match="The response was cut by heroku"):
                async for _ in response.aiter_raw():
                    pass
        assert response.trace.delivery.end.at == pytest.approx(55.0)

    run(main)


def test_a_hop_that_holds_nothing_is_passed(library: Any, clock: SteppedClock) -> None:
    for kind in KINDS:
        with (
            library.Client(transport=Transport(kind(), via="passthrough")) as client,
            client.stream("GET", URL) as response,
        ):
            assert_streams(response)
