"""The pytest plugin: options, marker, fixtures, reports; other plugins beside it; what it costs when unused."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ..support.testing_apps import need

pytest_plugins = ["pytester"]

APP = """
    import time

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        def body():
            for number in range(3):
                yield b"chunk %d\\n" % number
                time.sleep(1)
        return body()
"""


@pytest.fixture(autouse=True)
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    need("httpx")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n")
    pytester.makepyfile(streams=dedent(APP))
    pytester.syspathinsert()


PLUGIN = ("-p", "streamproof.pytest_plugin")
PLUGINS = {
    "xdist": "xdist.plugin",
    "asyncio": "pytest_asyncio.plugin",
    "anyio": "anyio.pytest_plugin",
}


def run(pytester: pytest.Pytester, test: str, *arguments: str, beside: tuple[str, ...] = ()) -> pytest.RunResult:
    """Run one test file with our plugin, and of this environment's others only those named in `beside`."""
    pytester.makepyfile(dedent(test))
    loaded = ["streamproof.pytest_plugin", *(PLUGINS[name] for name in beside)]
    return pytester.runpytest_inprocess(*(option for name in loaded for option in ("-p", name)), *arguments)


STREAMS = """
    from streamproof.testing import assert_streams
    from streams import app

    def test_it_streams(streamproof_client, streamproof_clock):
        with streamproof_client(app).stream("GET", "/") as response:
            assert_streams(response)
        assert streamproof_clock.slept == [1, 1, 1]
"""


def test_a_stream_passes(pytester: pytest.Pytester) -> None:
    result = run(pytester, STREAMS)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["streamproof: no hops"])


def test_the_joined_twin_fails_with_a_picture(pytester: pytest.Pytester) -> None:
    twin = STREAMS.replace("streamproof_client(app)", "streamproof_client(buffered(app))").replace(
        "import assert_streams", "import assert_streams, buffered"
    )
    result = run(pytester, twin)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *Held: The stream is held: inner app produced chunk 2 before the reader held chunk 1.",
            "E *at  inner app           app                 reader",
            "E *1.00  #2 8 B              .                   .",
            "E *inner app produced 3 chunks, 24 B (3 before the reader held a byte); the reader holds 1 chunk, 24 B. *",
        ]
    )


def test_the_marker_runs_a_test_once_a_hop(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from streamproof.testing import assert_streams
        from streams import app

        @pytest.mark.streamproof_via("passthrough", "gae-standard")
        def test_it_streams(streamproof_client, streamproof_clock):
            with streamproof_client(app).stream("GET", "/") as response:
                assert_streams(response)

        @pytest.mark.streamproof_via("passthrough")
        def test_without_a_fixture():
            pass
        """,
        "-v",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it_streams?passthrough? PASSED*",
            "*test_it_streams?gae-standard? FAILED*",
            "*gae-standard held it.*",
        ]
    )


def test_the_marker_stands_before_a_suites_own_clients_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from streams import app
        from werkzeug.test import Client

        @pytest.mark.streamproof_via("passthrough", "gae-standard")
        def test_it_streams(streamproof_clock):
            response = Client(app).get("/")
            assert next(iter(response.response)) == b"chunk 0\\n"
            assert streamproof_clock.slept == []
            response.close()
        """,
        "-v",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*?passthrough? PASSED*", "*?gae-standard? FAILED*"])


def test_a_trace_says_what_it_does_not_survive(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        from streams import app

        def test_it(streamproof_client, streamproof_clock):
            trace = streamproof_client(app).get("/").trace
            trace.assert_survives("passthrough")
            trace.assert_survives("gae-standard")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *The stream does not survive gae-standard: held to the end. *",
            "E *produced  |o*o*o*| 3 chunks, 24 B, first byte 0.00 s",
            "E *arrived   |.*| 1 chunk, 24 B, first byte 3.00 s",
            "E *rule: *",
            "E *cure: *",
        ]
    )


def test_budgets_read_well_when_they_are_overrun(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        from streams import app

        def test_it(streamproof_client, streamproof_clock):
            trace = streamproof_client(app).get("/").trace
            assert trace.within(first_byte=0.5, max_silence=2)
            assert trace.within(max_silence=0.5)
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *over its budget: SP102 stall: 1.000 s, the budget is 0.5 s. *"])


def test_a_whole_suite_runs_behind_a_hop_unchanged(pytester: pytest.Pytester) -> None:
    need("flask", "starlette")
    import flask  # noqa: F401  # before pytester takes stock: half-forgotten modules know two of everything
    import starlette.testclient  # noqa: F401

    suite = """
        import flask
        import httpx
        from starlette.applications import Starlette
        from starlette.responses import StreamingResponse
        from starlette.routing import Route
        from starlette.testclient import TestClient

        flask_app = flask.Flask("shop")

        @flask_app.get("/")
        def stream():
            return flask.Response((b"chunk", b"chunk", b"chunk"), mimetype="text/plain")

        async def chunks(request):
            async def body():
                for _ in range(3):
                    yield b"chunk"
            return StreamingResponse(body(), media_type="text/plain")

        starlette_app = Starlette(routes=[Route("/", chunks)])

        def test_flask():
            response = flask_app.test_client().get("/")
            assert next(iter(response.response)) == b"chunk"
            response.close()

        def test_starlette():
            with TestClient(starlette_app) as client, client.stream("GET", "/") as response:
                assert next(response.iter_raw()) == b"chunk"

        def test_httpx_wsgi():
            with httpx.Client(transport=httpx.WSGITransport(flask_app), base_url="http://x") as client:
                with client.stream("GET", "/") as response:
                    assert next(response.iter_raw()) == b"chunk"
    """
    run(pytester, suite).assert_outcomes(passed=3)
    behind = run(pytester, suite, "--streamproof-via=gae-standard")
    behind.assert_outcomes(failed=3)
    behind.stdout.fnmatch_lines(["streamproof: via gae-standard"])
    run(pytester, suite).assert_outcomes(passed=3)  # all of it was undone


def test_hops_of_the_run_and_of_a_client_do_not_stack(pytester: pytest.Pytester) -> None:
    need("starlette", "flask")
    test = """
        import flask
        from starlette.testclient import TestClient

        flask_app = flask.Flask("shop")

        @flask_app.get("/")
        def index():
            return "chunk"

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"chunk"})

        def test_it(streamproof_streaming):
            exchange = streamproof_streaming(flask_app.test_client()).get("/").streamproof
            assert exchange._app is flask_app and exchange.line.chain.request.http_version == "1.1"
            with streamproof_streaming(TestClient(app)).stream("GET", "/") as response:
                assert response.extensions["streamproof"]._app is app
    """
    run(pytester, test, "--streamproof-via=passthrough").assert_outcomes(passed=1)


def test_django_suites_run_behind_a_hop_unchanged(pytester: pytest.Pytester) -> None:
    need("django")
    suite = """
        from django.conf import settings
        if not settings.configured:
            settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        import django
        django.setup()
        from django.http import StreamingHttpResponse
        from django.test import Client, override_settings
        from django.urls import path

        urlpatterns = [path("", lambda request: StreamingHttpResponse(iter([b"chunk"] * 3), content_type="text/plain"))]

        @override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
        def test_django():
            response = Client().get("/")
            assert next(iter(response.streaming_content)) == b"chunk"
            response.close()
    """
    run(pytester, suite).assert_outcomes(passed=1)
    run(pytester, suite, "--streamproof-via=gae-standard").assert_outcomes(failed=1)


def test_djangos_async_client_is_reached_by_flag_and_marker(pytester: pytest.Pytester) -> None:
    need("django")
    suite = """
        import asyncio
        import pytest
        from django.conf import settings
        if not settings.configured:
            settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        import django
        django.setup()
        from django.http import StreamingHttpResponse
        from django.test import AsyncClient, override_settings
        from django.urls import path

        async def index(request):
            async def body():
                for _ in range(3):
                    yield b"chunk"
            return StreamingHttpResponse(body(), content_type="text/plain")

        urlpatterns = [path("", index)]

        async def first():
            response = await AsyncClient().get("/")
            parts = [part async for part in response.streaming_content]
            return parts[0]

        {marker}
        @override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
        def test_django():
            assert asyncio.run(first()) == b"chunk"
    """
    run(pytester, suite.replace("{marker}", "")).assert_outcomes(passed=1)
    run(pytester, suite.replace("{marker}", ""), "--streamproof-via=gae-standard").assert_outcomes(failed=1)
    marked = suite.replace("{marker}", '@pytest.mark.streamproof_via("gae-standard", "passthrough")')
    run(pytester, marked).assert_outcomes(failed=1, passed=1)


SUITE = """
    import httpx
    import pytest
    from streamproof.testing import assert_streams, streaming
    from streams import app
    from werkzeug.test import Client

    @pytest.fixture
    def theirs():
        return Client(app)

    def test_ours(streamproof_client, streamproof_clock):
        with streamproof_client(app).stream("GET", "/") as response:
            assert_streams(response)

    def test_theirs(theirs, streamproof_clock):
        response = theirs.get("/")
        assert next(iter(response.response)) == b"chunk 0\\n"
        response.close()

    def test_by_hand(streamproof_clock):
        assert_streams(streaming(Client(app)).get("/"))
"""


def test_the_flag_repeated_runs_every_test_once_behind_each(pytester: pytest.Pytester) -> None:
    run(pytester, SUITE).assert_outcomes(passed=3)
    both = ["--streamproof-via=passthrough", "--streamproof-via=gae-standard", "--streamproof-via=passthrough"]
    result = run(pytester, SUITE, "-v", *both)
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["streamproof: via passthrough or gae-standard"])
    for name in ("ours", "theirs", "by_hand"):
        result.stdout.fnmatch_lines([f"*test_{name}?passthrough? PASSED*", f"*test_{name}?gae-standard? FAILED*"])
    run(pytester, SUITE).assert_outcomes(passed=3)  # all of it was undone


def test_the_ini_file_names_alternatives_line_by_line(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nstreamproof_via =\n    passthrough\n    gae-standard\n")
    run(pytester, SUITE).assert_outcomes(passed=3, failed=3)
    run(pytester, SUITE, "--streamproof-via=passthrough").assert_outcomes(passed=3)


def test_alternatives_run_under_xdist_too(pytester: pytest.Pytester) -> None:
    need("xdist")
    both = ["--streamproof-via=passthrough", "--streamproof-via=gae-standard", "-n2"]
    run(pytester, SUITE, *both, beside=("xdist",)).assert_outcomes(passed=3, failed=3)


@pytest.mark.parametrize("flags", [("gae-standard",), ("gae-standard", "heroku")], ids=["once", "twice"])
def test_the_markers_hops_take_the_place_of_the_runs(pytester: pytest.Pytester, flags: tuple[str, ...]) -> None:
    marked = SUITE.replace("    def test_", '    @pytest.mark.streamproof_via("passthrough")\n    def test_')
    result = run(pytester, marked, "-v", *(f"--streamproof-via={via}" for via in flags))
    result.assert_outcomes(passed=3)  # behind gae-standard each would fail
    result.stdout.fnmatch_lines([f"*test_{name}?passthrough? PASSED*" for name in ("ours", "theirs", "by_hand")])
    twin = marked.replace("passthrough", "gae-standard")
    run(pytester, twin, "--streamproof-via=passthrough").assert_outcomes(failed=3)


@pytest.mark.parametrize("where", ["module", "fixture", "ours"])
def test_a_client_that_outlives_its_test_has_the_runs_hops(pytester: pytest.Pytester, where: str) -> None:
    made = {
        "module": """
        CLIENT = Client(app)

        @pytest.fixture
        def client():
            return CLIENT
        """,
        "fixture": """
        @pytest.fixture(scope="session")
        def client():
            return Client(app)
        """,
        "ours": """
        @pytest.fixture(scope="module")
        def client():
            return streaming(Client(app))
        """,
    }[where]
    test = """
        import pytest
        from streamproof.testing import streaming
        from streams import app
        from werkzeug.test import Client
    """
    test += made
    test += """
        @pytest.mark.streamproof_via("gae-standard")
        def test_marked(client, streamproof_clock):
            response = client.get("/")
            assert next(iter(response.response)) == b"chunk 0\\n"
            response.close()

        def test_it(client, streamproof_clock):
            response = client.get("/")
            assert next(iter(response.response)) == b"chunk 0\\n"
            response.close()
    """
    run(pytester, test).assert_outcomes(passed=2)
    run(pytester, test, "--streamproof-via=gae-standard").assert_outcomes(failed=2)
    several = run(pytester, test, "--streamproof-via=passthrough", "--streamproof-via=gae-standard")
    assert several.ret != pytest.ExitCode.OK
    assert "passed" not in several.parseoutcomes()
    several.stdout.fnmatch_lines(["*This client outlives its test, and --streamproof-via was given several times*"])


def test_a_via_of_a_tests_own_is_kept(pytester: pytest.Pytester) -> None:
    test = """
        import pytest

        @pytest.mark.parametrize(("number", "streamproof_via"), [(1, "road"), (2, "sea")])
        def test_it(number, streamproof_via):
            assert streamproof_via in ("road", "sea")
    """
    run(pytester, test, "--streamproof-via=passthrough", "--streamproof-via=nginx").assert_outcomes(passed=2)


NEIGHBOR = """
    import pytest

    @pytest.fixture
    def via():
        return "their via"

    @pytest.fixture
    def streaming():
        return "their streaming"

    @pytest.fixture(scope="session")
    def live_server():
        return "their live server"

    @pytest.mark.via
    def test_marked(via, streaming, live_server):
        assert (via, streaming, live_server) == ("their via", "their streaming", "their live server")

    @pytest.mark.via("the coast", road=True)
    def test_marked_with_arguments(request):
        assert request.node.get_closest_marker("via").args == ("the coast",)
        assert "streamproof_via" not in request.fixturenames

    @pytest.mark.parametrize("via", ["air", "sea"])
    def test_parametrized(via):
        assert via in ("air", "sea")
"""


@pytest.mark.parametrize("flags", [(), ("--streamproof-via=gae-standard",)], ids=["alone", "behind a via"])
def test_a_suite_with_its_own_names_is_left_alone(pytester: pytest.Pytester, flags: tuple[str, ...]) -> None:
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"
        "markers = via: a marker of the project's own\n"
    )
    result = run(pytester, NEIGHBOR, "-v", *flags)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*test_parametrized?air? PASSED*", "*test_parametrized?sea? PASSED*"])


def test_every_name_of_the_plugin_has_its_prefix(pytester: pytest.Pytester) -> None:
    names = {}
    for listing in ("--fixtures", "--markers"):
        lines = [set(pytester.runpytest_inprocess(*loaded, listing).outlines) for loaded in ((), PLUGIN)]
        names[listing] = sorted(
            line.split()[0] for line in lines[1] - lines[0] if line[:1].isalpha() or line[:1] == "@"
        )
    assert names["--markers"] == ["@pytest.mark.streamproof_via(*vias):"]
    assert [name for name in names["--fixtures"] if name not in ("streamproof:", "fixtures")] == sorted(FIXTURES)


METHOD = """
    import unittest
    import pytest
    from streams import app
    from werkzeug.test import Client

    class TestIt(unittest.TestCase):
        {marker}
        def test_it(self):
            response = Client(app).get("/", buffered=True)
            assert response.status_code == 200
"""


def test_unittests_methods_run_behind_one_via_and_refuse_several(pytester: pytest.Pytester) -> None:
    plain = METHOD.replace("{marker}", "")
    run(pytester, plain, "--streamproof-via=passthrough").assert_outcomes(passed=1)
    for test, flags in (
        (plain, ["--streamproof-via=passthrough", "--streamproof-via=nginx"]),
        (METHOD.replace("{marker}", '@pytest.mark.streamproof_via("nginx")'), []),
    ):
        result = run(pytester, test, *flags)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*::test_it cannot run once behind each via: it is a method of a unittest*"])


def test_a_server_of_the_session_has_one_via(pytester: pytest.Pytester) -> None:
    test = "def test_it(streamproof_session_server): pass"
    run(pytester, test, "--streamproof-via=passthrough").assert_outcomes(passed=1)
    result = run(pytester, test, "--streamproof-via=passthrough", "--streamproof-via=nginx")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*--streamproof-via was given several times. *"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--streamproof-via=ngnix"], "*'ngnix' is not a valid streamproof_via.*Did you mean 'nginx'?*"),
        (
            ["--streamproof-server-behavior=apache"],
            "*'apache' is not a valid streamproof_server_behavior. Valid servers: uvicorn, *",
        ),
        (["--streamproof-update-baseline"], "*--streamproof-update-baseline has no file.*"),
    ],
)
def test_bad_values_are_usage_errors(pytester: pytest.Pytester, arguments: list[str], message: str) -> None:
    result = run(pytester, STREAMS, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_bad_hop_in_a_marker_is_a_usage_error(pytester: pytest.Pytester) -> None:
    for marker in ('"ngnix"', ""):
        result = run(
            pytester, f"import pytest\n@pytest.mark.streamproof_via({marker})\ndef test_it(streamproof_via): pass"
        )
        assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*the marker streamproof_via has no hops. Expected @pytest.mark.streamproof_via*"])


def test_settings_come_from_the_ini_file_and_the_flag_wins(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nstreamproof_via = gae-standard\nstreamproof_server_behavior = waitress\n")
    test = """
        def test_it(streamproof_via, streamproof_server_behavior):
            assert (streamproof_via, streamproof_server_behavior) == ("passthrough", "waitress")
    """
    result = run(pytester, test, "--streamproof-via=passthrough")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["streamproof: via passthrough, server waitress"])


def test_fixtures_can_be_overridden(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest
        from streamproof.testing import Held, assert_streams
        from streams import app

        @pytest.fixture
        def streamproof_via():
            return "gae-standard"

        @pytest.fixture
        def streamproof_server_behavior():
            return "waitress"

        def test_it(streamproof_client, streamproof_clock):
            with streamproof_client(app).stream("GET", "/") as response:
                assert response.extensions["streamproof"].line.server.name == "waitress"
                with pytest.raises(Held):
                    assert_streams(response)
        """,
    )
    result.assert_outcomes(passed=1)


FIXTURES = (
    *("streamproof_async_client", "streamproof_baseline", "streamproof_client", "streamproof_clock"),
    *("streamproof_server", "streamproof_server_behavior", "streamproof_session_server", "streamproof_streaming"),
    "streamproof_via",
)


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_of_the_projects_own_wins(pytester: pytest.Pytester, name: str) -> None:
    scope = "session" if "session" in name else "function"
    pytester.makeconftest(f"import pytest\n@pytest.fixture(scope={scope!r})\ndef {name}(): return 'theirs'")
    run(pytester, f"def test_it({name}): assert {name} == 'theirs'").assert_outcomes(passed=1)


BASELINE = """
    import pytest
    import streams, time

    @pytest.mark.parametrize("number", [1, 2])
    def test_it(streamproof_client, streamproof_clock, streamproof_baseline, number):
        def app(environ, start_response):
            time.sleep({pause})
            return streams.app(environ, start_response)

        response = streamproof_client(app).get("/")
        streamproof_baseline(response.trace)
"""


@pytest.mark.parametrize("beside", [(), ("xdist",)], ids=["alone", "xdist"])
def test_a_baseline_is_updated_by_a_flag_and_compared(pytester: pytest.Pytester, beside: tuple[str, ...]) -> None:
    need(*beside)
    workers = ["-n2"] if beside else []
    run(pytester, BASELINE.format(pause=0), "--streamproof-baseline=b.json").assert_outcomes(passed=2)
    updating = ["--streamproof-baseline=b.json", "--streamproof-update-baseline"]
    run(pytester, BASELINE.format(pause=0), *updating, *workers, beside=beside).assert_outcomes(passed=2)
    tests = json.loads((pytester.path / "b.json").read_text())["tests"]
    assert len(tests) == 2
    assert {entry["max_silence"] for entry in tests.values()} == {1.0}
    run(pytester, BASELINE.format(pause=0), "--streamproof-baseline=b.json").assert_outcomes(passed=2)
    worse = run(pytester, BASELINE.format(pause=0.5), "--streamproof-baseline=b.json")
    worse.assert_outcomes(failed=2)
    worse.stdout.fnmatch_lines(
        ["The stream got worse: first_byte is 0.500 s, its baseline 0.000 s (at most 0.050 s). If it may, *"]
    )


def test_a_broken_baseline_says_so(pytester: pytest.Pytester) -> None:
    (pytester.path / "b.json").write_text("{}")
    result = run(pytester, BASELINE.format(pause=0), "--streamproof-baseline=b.json")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*The baseline *b.json cannot be read: 'format'. Expected what *"])


@pytest.mark.parametrize("beside", [(), ("xdist",)], ids=["alone", "xdist"])
def test_stats_go_to_junit_to_json_and_to_the_summary(pytester: pytest.Pytester, beside: tuple[str, ...]) -> None:
    need(*beside)
    workers = ["-n2"] if beside else []
    options = ["--junitxml=j.xml", "--streamproof-report=r.json", "--streamproof-summary", *workers]
    result = run(pytester, STREAMS, *options, beside=beside)
    result.assert_outcomes(passed=1)
    (entry,) = json.loads((pytester.path / "r.json").read_text())["tests"]
    assert entry.pop("test").endswith("::test_it_streams")
    assert entry == {
        "responses": 1,
        "outcomes": "complete",
        "first_byte": 0.0,
        "max_silence": 1.0,
        "max_hold": 0.0,
        "end": 3.0,
    }
    assert '<property name="streamproof.max_silence" value="1.0"' in (pytester.path / "j.xml").read_text()
    result.stdout.fnmatch_lines(["*= streams =*", "silence * 1.000 s  *::test_it_streams"])


def test_without_the_flag_there_is_no_summary(pytester: pytest.Pytester) -> None:
    result = run(pytester, STREAMS)
    result.stdout.no_fnmatch_line("*= streams =*")


def test_pytest_asyncio_runs_beside_it(pytester: pytest.Pytester) -> None:
    need("pytest_asyncio")
    test = """
        import pytest
        from streamproof.testing import assert_streams_async
        from streams import app

        @pytest.mark.asyncio
        async def test_it(streamproof_async_client):
            async def app(scope, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for more in (True, True, False):
                    await send({"type": "http.response.body", "body": b"chunk", "more_body": more})
            async with streamproof_async_client(app) as client, client.stream("GET", "/") as response:
                await assert_streams_async(response)
    """
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    run(pytester, test, beside=("asyncio",)).assert_outcomes(passed=1)


def test_anyios_plugin_runs_beside_it_on_both_backends(pytester: pytest.Pytester) -> None:
    need("anyio", "trio")
    test = """
        import pytest
        import trio.testing
        from streamproof.testing import VirtualLoop, assert_streams_async
        import anyio

        BACKENDS = [
            ("asyncio", {"loop_factory": VirtualLoop}),
            ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}),
        ]

        @pytest.fixture(params=BACKENDS, ids=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        @pytest.mark.anyio
        async def test_it(streamproof_async_client):
            async def app(scope, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for more in (True, True, False):
                    await anyio.sleep(1800)
                    await send({"type": "http.response.body", "body": b"chunk", "more_body": more})
            async with streamproof_async_client(app) as client, client.stream("GET", "/") as response:
                await assert_streams_async(response)
            assert response.trace.stats.longest_silence == 1800
    """
    run(pytester, test, beside=("anyio",)).assert_outcomes(passed=2)


def test_looptime_makes_pytest_asyncios_tests_virtual(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("pytest_asyncio", "looptime")
    test = """
        import asyncio
        import pytest
        from streamproof.testing import assert_streams_async

        @pytest.mark.asyncio
        @pytest.mark.looptime
        async def test_it(streamproof_async_client):
            async def app(scope, receive, send):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for more in (True, True, False):
                    await asyncio.sleep(1800)
                    await send({"type": "http.response.body", "body": b"chunk", "more_body": more})
            async with streamproof_async_client(app) as client, client.stream("GET", "/") as response:
                await assert_streams_async(response)
            assert response.trace.stats.longest_silence == pytest.approx(1800)
    """
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(dedent(test))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")  # it looks for pytest-asyncio by its entry point's name
    result = pytester.runpytest_subprocess("-p", "no:flask", "-p", "no:django", timeout=30)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("plugin", ["django", "flask"])
def test_other_plugins_keep_their_live_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: str
) -> None:
    need(f"pytest_{plugin}")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    others = [f"no:{name}" for name in ("looptime_plugin", "asyncio", {"django": "flask", "flask": "django"}[plugin])]
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess(
        "--fixtures", *(option for name in others for option in ("-p", name)), timeout=60
    )
    (line,) = [line for line in result.outlines if line.startswith("live_server ")]
    assert f"pytest_{plugin}" in line
    result.stdout.fnmatch_lines(["streamproof_server *"])


def test_an_unused_plugin_imports_nothing_of_ours(tmp_path: Path) -> None:
    code = (
        "import sys, streamproof.pytest_plugin\n"
        "print(sorted(name for name in sys.modules if name.startswith('streamproof') or name in ('httpx', 'httpx2')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    package = "streamproof.pytest_plugin"
    assert done.stdout.strip() == str(["streamproof", package, f"{package}.fixtures", f"{package}.session"])


def test_the_entry_point_loads_it_and_a_run_that_uses_nothing_imports_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    test = """
        import sys
        def test_it():
            found = {name for name in sys.modules if name.startswith("streamproof")}
            assert found == {"streamproof", "streamproof.pytest_plugin"} | {
                f"streamproof.pytest_plugin.{name}" for name in ("fixtures", "session")
            }
    """
    pytester.makepyfile(dedent(test))
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest_subprocess(timeout=60)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*streamproof-*", "*1 passed*"])


@pytest.mark.servers
def test_live_servers_serve_in_processes_of_their_own_under_xdist_too(pytester: pytest.Pytester) -> None:
    need("gunicorn", "uvicorn", "xdist")
    pytester.makepyfile(quick=dedent(APP).replace("time.sleep(1)", "pass"))
    test = """
        import httpx
        from quick import app

        async def other(scope, receive, send):
            if scope["type"] != "http":
                raise NotImplementedError
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"other"})

        def test_gunicorn(streamproof_server):
            server = streamproof_server(app, server="gunicorn")
            assert httpx.get(server.url).text.count("chunk") == 3
            assert streamproof_server(app, server="gunicorn") is server
            trace = server.traces.get()
            assert trace.outcome == "complete" and trace.stats.chunks == 3

        def test_uvicorn(streamproof_session_server):
            server = streamproof_session_server(other, server="uvicorn", via="passthrough")
            assert httpx.get(server.url).text == "other"
    """
    run(pytester, test, "-n2", beside=("xdist",)).assert_outcomes(passed=2)


def test_an_app_without_a_name_cannot_be_served(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_it(streamproof_server):
            streamproof_server(lambda environ, start_response: [])
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *has no name that another process can import. *"])
