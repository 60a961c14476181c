"""The documentation's recipes run as they are printed, and each fails on its joined twin with the message printed."""

import re
from pathlib import Path

import pytest

from ..support.testing_apps import need

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
RECIPE = re.compile(r"^### (\d+)\. (.+?)$.*?^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.M | re.S)
RECIPES = [
    pytest.param(int(number), code, said, id=number) for number, _, code, said in RECIPE.findall(PAGE.read_text())
]

#: How an app is joined where it is not handed to a client by name; Django's view is joined where it is written.
TWINS = {3: "app.wsgi_app = buffered(app.wsgi_app)\n"}
NEEDS = {3: ("flask",), 4: ("fastapi",), 5: ("django",), 6: ("starlette", "anyio")}


@pytest.fixture(autouse=True)
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    need("httpx2")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("CI", "BUILD_NUMBER"):  # with these pytest says more
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")


def run(pytester: pytest.Pytester, number: int, code: str) -> pytest.RunResult:
    need(*NEEDS.get(number, ()))
    pytester.makepyfile(**{f"test_recipe_{number}": code})
    # A framework gets a process of its own: pytester forgets modules half, and Django is configured once a process.
    plugins = ("-p", "streamproof.pytest_plugin", "-p", "anyio.pytest_plugin")
    if number in NEEDS:
        return pytester.runpytest_subprocess(*plugins, timeout=60)
    return pytester.runpytest_inprocess(*plugins)


def twin(number: int, code: str) -> str:
    """The same recipe on the joined app."""
    if number == 5:
        return code.replace("Response(rows(), ", 'Response(["".join(rows())], ')
    joining = "from streamproof.testing import buffered\n"
    if number in TWINS:
        head, _, test = code.rpartition("\n\ndef test_")
        return f"{joining}{head}\n{TWINS[number]}\n\ndef test_{test}"
    return joining + re.sub(r"(streamproof_(?:async_)?client\()app\b", r"\1buffered(app)", code)


def test_there_are_ten() -> None:
    assert len(RECIPES) == 10


@pytest.mark.parametrize(("number", "code", "said"), RECIPES)
def test_the_recipe_passes(pytester: pytest.Pytester, number: int, code: str, said: str) -> None:
    result = run(pytester, number, code)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, result.stdout.str()


@pytest.mark.parametrize(("number", "code", "said"), RECIPES)
def test_its_joined_twin_fails_as_printed(pytester: pytest.Pytester, number: int, code: str, said: str) -> None:
    result = run(pytester, number, twin(number, code))
    assert set(result.parseoutcomes()) == {"failed"}
    assert message(result) == said.splitlines()


def message(result: pytest.RunResult) -> list[str]:
    """What the first failure says, as the page prints it: without pytest's margin."""
    lines: list[str] = []
    for line in result.outlines:
        if line.startswith("E  "):
            lines.append(line[1:])
        elif lines:
            break
    margin = len(lines[0]) - len(lines[0].lstrip())
    return [line[margin:].rstrip() for line in lines]


def test_the_other_code_on_the_page_runs(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (contract,) = [block for block in blocks if "check_stream_contract" in block]
    pytester.makepyfile(contract)
    pytester.runpytest_inprocess("-p", "streamproof.pytest_plugin").assert_outcomes(passed=1)


@pytest.mark.parametrize("control", [False, True], ids=["as_is", "joined"])
def test_the_upload_on_the_page_runs_and_its_joined_twin_fails(pytester: pytest.Pytester, control: bool) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (upload,) = [block for block in blocks if "def shout" in block]
    if control:
        upload = "from streamproof.testing import buffered\n" + upload.replace(
            "client(shout)", "client(buffered(shout))"
        )
    pytester.makepyfile(upload)
    result = pytester.runpytest_inprocess("-p", "streamproof.pytest_plugin")
    result.assert_outcomes(**{"failed" if control else "passed": 1})
