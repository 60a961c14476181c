"""The pytest plugin: the marker ``streamproof_via``, options as flag and ini, stats for reports and baselines.

Loaded by its entry point. Nothing of :mod:`streamproof.testing` is imported before a fixture or an option asks for it.
The fixtures are in ``fixtures.py``, what one run gathers is in ``session.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .fixtures import (
    streamproof_async_client,
    streamproof_baseline,
    streamproof_client,
    streamproof_clock,
    streamproof_server,
    streamproof_server_behavior,
    streamproof_session_server,
    streamproof_streaming,
    streamproof_via,
)
from .session import BASELINE, RUN, SERVER_BEHAVIOR, VIA, Run, setting, vias_of

if TYPE_CHECKING:
    from ..testing.recorded import RecordedTrace

__all__ = [
    "streamproof_async_client",
    "streamproof_baseline",
    "streamproof_client",
    "streamproof_clock",
    "streamproof_server",
    "streamproof_server_behavior",
    "streamproof_session_server",
    "streamproof_streaming",
    "streamproof_via",
]

#: The fixture and the marker.
FIXTURE = MARKER = "streamproof_via"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each setting as flag and ini; the flag wins."""
    group = parser.getgroup("streamproof", "streaming responses")
    for name, metavar, text in (
        (SERVER_BEHAVIOR, "SERVER", "behave as this server when a reader leaves (default: uvicorn, gunicorn)"),
        (BASELINE, "FILE", "compare streamproof_baseline(trace) with the stats in FILE"),
    ):
        group.addoption(f"--{name.replace('_', '-')}", dest=f"{name}_flag", metavar=metavar, help=text)
        parser.addini(name, text)
    text = "run every test client behind these hops, e.g. nginx:gzip=on; repeated: every test once behind each"
    group.addoption("--streamproof-via", dest=f"{VIA}_flag", metavar="VIA", action="append", help=text)
    parser.addini(VIA, text, type="linelist")
    group.addoption(
        "--streamproof-update-baseline", action="store_true", help="write the stats to the baseline instead"
    )
    group.addoption("--streamproof-report", metavar="FILE", help="write the stats of all tests to FILE as JSON")
    group.addoption(
        "--streamproof-summary", action="store_true", help="show the slowest first bytes and longest holds at the end"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and put the hops in between."""
    config.addinivalue_line("markers", f"{MARKER}(*vias): run the test once behind each of these hops")
    run = config.stash[RUN] = Run(config)
    config.pluginmanager.register(run, "streamproof-run")
    if config.getoption("streamproof_update_baseline") and setting(config, BASELINE) is None:
        raise pytest.UsageError(
            "--streamproof-update-baseline has no file. Expected --streamproof-baseline=FILE or "
            "streamproof_baseline in the ini file."
        )
    vias, server = vias_of(config), setting(config, SERVER_BEHAVIOR)
    if server is not None:
        from ..testing.server_behavior import SERVER_BEHAVIORS

        names = {name.removesuffix("-asgi").removesuffix("-wsgi") for name in SERVER_BEHAVIORS} | set(SERVER_BEHAVIORS)
        if server not in names:
            raise pytest.UsageError(
                f"{server!r} is not a valid {SERVER_BEHAVIOR}. Valid servers: {', '.join(SERVER_BEHAVIORS)}."
            )
    for via in vias:
        _checked(via, VIA)
    if vias:
        from ..testing.suite import alternating, behind

        run.undo.enter_context(behind(vias[0], whole_run=True) if len(vias) == 1 else alternating())


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
    """Name the settings in one line."""
    shown = {
        "via": " or ".join(vias_of(config)),
        "server": setting(config, SERVER_BEHAVIOR),
        "baseline": setting(config, BASELINE),
    }
    return "streamproof: " + (", ".join(f"{name} {value}" for name, value in shown.items() if value) or "no hops")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once behind each via of ``@pytest.mark.streamproof_via("nginx", "heroku")``, else of the run.

    A test with a ``streamproof_via`` of its own, by ``parametrize``, keeps that.
    """
    definition = metafunc.definition
    markers = list(definition.iter_markers(MARKER))
    vias = list(dict.fromkeys(via for marker in reversed(markers) for via in marker.args))
    if not markers:
        own = any(FIXTURE in _names(marker.args[:1]) for marker in definition.iter_markers("parametrize"))
        vias = [] if own or len(vias_of(metafunc.config)) < 2 else list(vias_of(metafunc.config))
        if not vias:
            return
    if not vias:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: the marker {MARKER} has no hops. "
            f'Expected @pytest.mark.{MARKER}("nginx", …).'
        )
    for via in vias:
        _checked(via, f"via of {metafunc.definition.nodeid}")
    if FIXTURE not in metafunc.fixturenames:
        metafunc.fixturenames.append(FIXTURE)
    metafunc.parametrize(FIXTURE, vias, indirect=True, ids=vias)


def _names(first: tuple[Any, ...]) -> list[str]:
    """The argument names of a ``parametrize``, which come as text or as a sequence."""
    return [name.strip() for text in first for name in (text.split(",") if isinstance(text, str) else text)]


def _is_repeated(item: pytest.Item) -> bool:
    """Does this test run once behind each of several hops?"""
    return item.get_closest_marker(MARKER) is not None or len(vias_of(item.config)) > 1


def pytest_itemcollected(item: pytest.Item) -> None:
    """Set the hops up first, also for a test that does not name the fixture."""
    if isinstance(item, pytest.Function) and _is_repeated(item) and FIXTURE not in item.fixturenames:
        item.fixturenames.insert(0, FIXTURE)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """Keep a test's hops from a fixture of a wider scope, whose clients outlive the test."""
    defaults = sys.modules.get("streamproof.testing._defaults")
    if defaults is None or fixturedef.scope == "function":
        return (yield)
    with defaults.outliving():
        return (yield)


def _finished() -> list[RecordedTrace]:
    """The recordings since the last call; nothing is imported for it."""
    module = sys.modules.get("streamproof.testing.recorded")
    return [] if module is None else module.take_finished()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the stats of a test from nothing, and fail a test that cannot run once behind each of several hops."""
    _finished()
    # Not at collection: a deselected test may be one, and xdist's workers cannot report a usage error.
    if isinstance(item, pytest.Function) and _is_repeated(item) and not hasattr(item, "callspec"):
        pytest.fail(
            f"{item.nodeid} cannot run once behind each via: it is a method of a unittest.TestCase, which takes no "
            f"parameters. Expected no marker {MARKER} on it, and --streamproof-via at most once a run. Could the run "
            "be repeated, once for each via?",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the stats of a test's responses into its report."""
    if call.when == "teardown" and (traces := _finished()):
        from ..testing.baseline import properties

        item.user_properties.extend(properties(traces))
    return (yield)
