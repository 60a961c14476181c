"""The fixtures of the pytest plugin: clients, servers, the clock, the baseline.

Each imports what it needs when a test uses it. A project's own fixture of the same name wins. The hooks are in the
package's ``__init__.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .session import BASELINE, RUN, SERVER_BEHAVIOR, setting, vias_of

if TYPE_CHECKING:
    import httpx

    from ..serving.live_servers import LiveServers
    from ..testing.clocks import SteppedClock
    from ..testing.recorded import RecordedTrace

Client = Callable[..., Any]


@pytest.fixture
def streamproof_via(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The hops of this test: of its marker, else of ``--streamproof-via`` or the ini file, else None.

    They stand before every client that the test or its own fixtures make, whichever library the client is from.
    """
    marked: str | None = getattr(request, "param", None)
    if marked is None:
        yield _via_of_run(request)
        return
    from ..testing.suite import behind

    with behind(marked, loaded_only=True):
        yield marked


def _via_of_run(request: pytest.FixtureRequest) -> str | None:
    vias = vias_of(request.config)
    if len(vias) < 2:
        return vias[0] if vias else None
    raise pytest.UsageError(
        f"{request.node.nodeid or 'The session'} has no via of its own, and --streamproof-via was given several times. "
        "Expected it once. Is something shared that outlives a test?"
    )


@pytest.fixture
def streamproof_server_behavior(request: pytest.FixtureRequest) -> str | None:
    """The server whose behavior the clients play; None for the usual one. Override it to choose for a module."""
    return setting(request.config, SERVER_BEHAVIOR)


@pytest.fixture
def streamproof_client(
    streamproof_via: str | None, streamproof_server_behavior: str | None
) -> Iterator[Callable[..., httpx.Client]]:
    """``streamproof_client(app)``: a sync httpx2 or httpx client that really streams; closed after the test."""
    from ..testing.transports import client

    clients: list[httpx.Client] = []

    def make(app: Any, **options: Any) -> httpx.Client:
        clients.append(client(app, **{"via": streamproof_via, "server": streamproof_server_behavior, **options}))
        return clients[-1].__enter__()

    yield make
    for each in reversed(clients):
        each.__exit__(None, None, None)


@pytest.fixture
def streamproof_async_client(
    streamproof_via: str | None, streamproof_server_behavior: str | None
) -> Callable[..., httpx.AsyncClient]:
    """``async with streamproof_async_client(app) as client``: the same for async tests."""
    from ..testing.transports import async_client

    chosen = {"via": streamproof_via, "server": streamproof_server_behavior}
    return lambda app, **options: async_client(app, **{**chosen, **options})


@pytest.fixture
def streamproof_streaming(streamproof_via: str | None, streamproof_server_behavior: str | None) -> Client:
    """``streamproof_streaming(client)``: a framework's own test client (Flask, Django, Starlette), made to stream."""
    from ..testing.clients import streaming

    chosen = {"via": streamproof_via, "server": streamproof_server_behavior}
    return lambda client, **options: streaming(client, **{**chosen, **options})


@pytest.fixture
def streamproof_clock() -> Iterator[SteppedClock]:
    """``time.sleep`` and the clocks of ``time`` step instead of waiting, in this test's thread and only there."""
    from ..testing.clocks import stepped

    with stepped() as clock:
        yield clock


@pytest.fixture
def streamproof_baseline(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``streamproof_baseline(trace)``: fail if its stats are worse than in the baseline file, or update the file."""
    from ..testing import baseline

    run = request.config.stash[RUN]
    path = run.path(setting(request.config, BASELINE))
    known = {} if path is None else baseline.read_baseline(path)
    count = 0

    def compare(trace: RecordedTrace, *, factor: float = baseline.FACTOR, slack: float = baseline.SLACK) -> None:
        nonlocal count
        __tracebackhide__ = True
        count += 1
        name = request.node.nodeid if count == 1 else f"{request.node.nodeid} #{count}"
        stats = baseline.stats_of(trace)
        if request.config.getoption("streamproof_update_baseline"):
            run.baseline[name] = stats
            return
        if faults := baseline.worse(stats, known.get(name, {}), factor=factor, slack=slack):
            pytest.fail(
                "The stream got worse: " + "; ".join(faults) + ". If it may, run with --streamproof-update-baseline.",
                pytrace=False,
            )

    return compare


@pytest.fixture
def streamproof_server(streamproof_via: str | None) -> Iterator[LiveServers]:
    """``streamproof_server(app, server="gunicorn")``: a real server in its own process, stopped after the test."""
    from ..serving.live_servers import LiveServers

    with LiveServers(via=streamproof_via) as servers:
        yield servers


@pytest.fixture(scope="session")
def streamproof_session_server(request: pytest.FixtureRequest) -> Iterator[LiveServers]:
    """``streamproof_session_server(app, server="gunicorn")``: a real server in its own process, for the whole run."""
    from ..serving.live_servers import LiveServers

    with LiveServers(via=_via_of_run(request)) as servers:
        yield servers
