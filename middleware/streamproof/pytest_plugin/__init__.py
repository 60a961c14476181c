"""The pytest plugin: fixtures, the marker ``via``, options as flag and ini, figures for reports and baselines.

Thin: what it does is in :mod:`streamproof.testing`. Imports nothing of it before a fixture or an option asks; every
fixture can be overridden by one of the same name. Loaded by its entry point.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .session import BASELINE, RUN, SERVER, VIA, Run, setting, vias_of

if TYPE_CHECKING:
    import httpx

    from ..serving.live_servers import LiveServers
    from ..testing.clocks import SteppedClock
    from ..testing.recorded import RecordedTrace


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each setting as flag and ini; the flag wins."""
    group = parser.getgroup("streamproof", "streaming responses")
    for name, metavar, text in (
        (SERVER, "SERVER", "tell apps as this server does that a reader left (default: uvicorn, gunicorn)"),
        (BASELINE, "FILE", "compare stream_baseline(trace) with the figures in FILE"),
    ):
        group.addoption(f"--{name.replace('_', '-')}", dest=f"{name}_flag", metavar=metavar, help=text)
        parser.addini(name, text)
    text = "run every test client behind these hops, e.g. nginx:gzip=on; repeated: every test once behind each"
    group.addoption("--streamproof-via", dest=f"{VIA}_flag", metavar="VIA", action="append", help=text)
    parser.addini(VIA, text, type="linelist")
    group.addoption(
        "--streamproof-update-baseline", action="store_true", help="write the figures to the baseline instead"
    )
    group.addoption("--streamproof-report", metavar="FILE", help="write the figures of all tests to FILE as JSON")
    group.addoption(
        "--streamproof-summary", action="store_true", help="show the slowest first bytes and longest holds at the end"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check what was asked for, and put the hops in between."""
    config.addinivalue_line("markers", "via(*vias): run the test once behind each of these hops (streamproof)")
    run = config.stash[RUN] = Run(config)
    config.pluginmanager.register(run, "streamproof-run")
    if config.getoption("streamproof_update_baseline") and setting(config, BASELINE) is None:
        raise pytest.UsageError(
            "--streamproof-update-baseline has no file. Expected --streamproof-baseline=FILE or "
            "streamproof_baseline in the ini file."
        )
    vias, server = vias_of(config), setting(config, SERVER)
    if server is not None:
        from ..testing.server_behavior import SERVER_BEHAVIORS

        names = {name.removesuffix("-asgi").removesuffix("-wsgi") for name in SERVER_BEHAVIORS} | set(SERVER_BEHAVIORS)
        if server not in names:
            raise pytest.UsageError(
                f"{server!r} is not a valid {SERVER}. Valid servers: {', '.join(SERVER_BEHAVIORS)}."
            )
    for via in vias:
        _checked(via, VIA)
    if vias:
        from ..testing.suite import alternating, behind

        run.undo.enter_context(behind(vias[0], whole_run=True) if len(vias) == 1 else alternating())
    loaded = {entry.metadata["Name"] for _, entry in config.pluginmanager.list_plugin_distinfo()}
    if not loaded & {"pytest-django", "pytest-flask"}:
        config.pluginmanager.register(_LiveServer(), "streamproof-live-server")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo what :func:`pytest_configure` did."""
    run = config.stash.get(RUN, None)
    if run is not None:
        run.undo.close()


def _checked(via: str, where: str) -> str:
    from ..profiles import resolve
    from ..sansio.errors import ConfigurationError

    try:
        resolve(via)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{via!r} is not a valid {where}. {error}") from None
    return via


def pytest_report_header(config: pytest.Config) -> str:
    """One line: what is set."""
    found = {
        "via": " or ".join(vias_of(config)),
        "server": setting(config, SERVER),
        "baseline": setting(config, BASELINE),
    }
    return "streamproof: " + (", ".join(f"{name} {value}" for name, value in found.items() if value) or "no hops")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once a hop: those of ``@pytest.mark.via("nginx", "heroku")``, else those of the run when it has several.

    A test with a ``via`` of its own, by ``parametrize``, keeps that.
    """
    definition = metafunc.definition
    markers = list(definition.iter_markers("via"))
    vias = list(dict.fromkeys(via for marker in reversed(markers) for via in marker.args))
    if not markers:
        own = any("via" in _names(marker.args[:1]) for marker in definition.iter_markers("parametrize"))
        vias = [] if own or len(vias_of(metafunc.config)) < 2 else list(vias_of(metafunc.config))
        if not vias:
            return
    if not vias:
        raise pytest.UsageError(
            f'{metafunc.definition.nodeid}: the marker via has no hops. Expected @pytest.mark.via("nginx", …).'
        )
    for via in vias:
        _checked(via, f"via of {metafunc.definition.nodeid}")
    if "via" not in metafunc.fixturenames:
        metafunc.fixturenames.append("via")
    metafunc.parametrize("via", vias, indirect=True, ids=vias)


def _names(first: tuple[Any, ...]) -> list[str]:
    """The argument names of a ``parametrize``, which come as text or as a sequence."""
    return [name.strip() for text in first for name in (text.split(",") if isinstance(text, str) else text)]


def _has_hops(item: pytest.Item) -> bool:
    """Is this test to run once a hop?"""
    return item.get_closest_marker("via") is not None or len(vias_of(item.config)) > 1


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test with hops need not name the fixture: it is set up first all the same."""
    if isinstance(item, pytest.Function) and _has_hops(item) and "via" not in item.fixturenames:
        item.fixturenames.insert(0, "via")


@pytest.fixture
def via(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The hops of this test: of its marker, else of ``--streamproof-via`` or the ini file, else None.

    They stand before every client that the test or its own fixtures make, whosever it is. The marker's take the place
    of the run's.
    """
    own: str | None = getattr(request, "param", None)
    if own is None:
        yield _one_via(request)
        return
    from ..testing.suite import behind

    with behind(own, loaded_only=True):
        yield own


def _one_via(request: pytest.FixtureRequest) -> str | None:
    vias = vias_of(request.config)
    if len(vias) < 2:
        return vias[0] if vias else None
    raise pytest.UsageError(
        f"{request.node.nodeid or 'The session'} has no via of its own, and --streamproof-via was given several times. "
        "Expected it once. Is something shared that outlives a test?"
    )


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """What a fixture of a wider scope makes outlives the test that asked first, so it does not get that test's hops."""
    defaults = sys.modules.get("streamproof.testing._defaults")
    if defaults is None or fixturedef.scope == "function":
        return (yield)
    with defaults.outliving():
        return (yield)


@pytest.fixture
def stream_server_behavior(request: pytest.FixtureRequest) -> str | None:
    """The server whose ways the clients take; None for the usual one. Override it to choose for a module."""
    return setting(request.config, SERVER)


@pytest.fixture
def stream_client(via: str | None, stream_server_behavior: str | None) -> Iterator[Callable[..., httpx.Client]]:
    """``stream_client(app)``: a sync httpx2 or httpx client that really streams; closed after the test."""
    from ..testing.transports import client

    made: list[httpx.Client] = []

    def make(app: Any, **options: Any) -> httpx.Client:
        made.append(client(app, **{"via": via, "server": stream_server_behavior, **options}))
        return made[-1].__enter__()

    yield make
    for one in reversed(made):
        one.__exit__(None, None, None)


@pytest.fixture
def async_stream_client(via: str | None, stream_server_behavior: str | None) -> Callable[..., httpx.AsyncClient]:
    """``async with async_stream_client(app) as client``: the same for async tests."""
    from ..testing.transports import async_client

    return lambda app, **options: async_client(app, **{"via": via, "server": stream_server_behavior, **options})


@pytest.fixture
def streaming(via: str | None, stream_server_behavior: str | None) -> Callable[..., Any]:
    """``streaming(client)``: Flask's, Django's, Starlette's or FastAPI's own test client, made to stream."""
    from ..testing.clients import streaming

    return lambda client, **options: streaming(client, **{"via": via, "server": stream_server_behavior, **options})


@pytest.fixture
def stepped_clock() -> Iterator[SteppedClock]:
    """``time.sleep`` and the clocks of ``time`` step instead of waiting, in this test's thread and only there."""
    from ..testing.clocks import stepped

    with stepped() as clock:
        yield clock


@pytest.fixture
def stream_baseline(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``stream_baseline(trace)``: fail when its figures got worse than in the baseline file, or update that."""
    from ..testing import baseline

    run = request.config.stash[RUN]
    path = run.path(setting(request.config, BASELINE))
    known = {} if path is None else baseline.read_baseline(path)
    count = 0

    def hold(trace: RecordedTrace, *, factor: float = baseline.FACTOR, slack: float = baseline.SLACK) -> None:
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

    return hold


@pytest.fixture(scope="session")
def session_live_server(request: pytest.FixtureRequest) -> Iterator[LiveServers]:
    """``session_live_server(app, server="gunicorn")``: a real server in a process of its own, for the whole run."""
    from ..serving.live_servers import LiveServers

    with LiveServers(via=_one_via(request)) as servers:
        yield servers


@pytest.fixture
def stream_server(via: str | None) -> Iterator[LiveServers]:
    """``stream_server(app, server="gunicorn")``: a real server, stopped after the test."""
    from ..serving.live_servers import LiveServers

    with LiveServers(via=via) as servers:
        yield servers


class _LiveServer:
    """The name ``live_server`` for :func:`stream_server`, where pytest-django and pytest-flask have not taken it."""

    @pytest.fixture
    def live_server(self, stream_server: LiveServers) -> LiveServers:
        """``live_server(app, server="gunicorn")``: a real server, stopped after the test."""
        return stream_server


def _finished() -> list[RecordedTrace]:
    """The recordings since the last call; nothing is imported for it."""
    module = sys.modules.get("streamproof.testing.recorded")
    return [] if module is None else module.take_finished()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test's figures are its own. Fails what would seem to run once a hop and cannot."""
    _finished()
    # Not at collection: what is deselected may be so, and xdist's workers cannot say a usage error.
    if isinstance(item, pytest.Function) and _has_hops(item) and not hasattr(item, "callspec"):
        pytest.fail(
            f"{item.nodeid} cannot run once a hop: it is a method of unittest's, which takes no parameters. Expected "
            "no marker via on it, and --streamproof-via at most once a run. Could the run be repeated, once a via?",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the figures of its responses into the test's report."""
    if call.when == "teardown" and (traces := _finished()):
        from ..testing.baseline import properties

        item.user_properties.extend(properties(traces))
    return (yield)
