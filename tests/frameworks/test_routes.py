"""Routes, and frameworks that installed packages add."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamproof import frameworks
from streamproof.frameworks import route_of

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with a framework: the code of its module, and what its entry point names."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(code: str, value: str) -> None:
        info = tmp_path / "acme_framework-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-framework\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[streamproof.frameworks]\nacme = {value}\n")
        (tmp_path / "acme_framework.py").write_text(code)

    frameworks._frameworks.cache_clear()
    yield installed
    frameworks._frameworks.cache_clear()
    sys.modules.pop("acme_framework", None)


FLASK = SimpleNamespace(url_rule=SimpleNamespace(rule="/users/<id>"))


@pytest.mark.parametrize(
    ("source", "route"),
    [
        ({"werkzeug.request": FLASK}, "/users/<id>"),
        ({"werkzeug.request": SimpleNamespace(url_rule=None)}, None),
        ({"type": "http", "route": SimpleNamespace(path="/users/{id}")}, "/users/{id}"),
        ({"type": "http", "route": SimpleNamespace(path="")}, "/"),
        ({"type": "http", "path": "/users/17"}, None),
        ({"PATH_INFO": "/users/17"}, None),
    ],
)
def test_the_route_is_what_the_framework_left(
    source: Mapping[str, Any], route: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "django.urls", raising=False)
    assert route_of(source) == route


def test_flask_without_a_route_does_not_ask_django(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django.urls", SimpleNamespace())
    assert route_of({"werkzeug.request": SimpleNamespace(url_rule=None), "PATH_INFO": "/x"}) is None
    assert callable(route_of({"PATH_INFO": "/x"}))


def test_a_package_adds_a_framework(install: Install) -> None:
    install("def route_of(source):\n    return source.get('acme.route')\n", "acme_framework:route_of")
    assert route_of({"acme.route": "/ours/:id"}) == "/ours/:id"
    assert route_of({"werkzeug.request": FLASK}) == "/users/<id>"


def test_a_framework_that_raises_is_left_out_and_logged_once(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("def route_of(source):\n    raise RuntimeError('broken')\n", "acme_framework:route_of")
    with caplog.at_level(logging.ERROR, "streamproof"):
        assert [route_of({"werkzeug.request": FLASK}) for _ in range(3)] == ["/users/<id>"] * 3
    assert caplog.messages == ["A framework of acme-framework raised and is left out from now on."]


def test_a_framework_that_cannot_be_loaded_is_left_out_and_named(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("", "acme_framework:route_of")
    with caplog.at_level(logging.ERROR, "streamproof"):
        assert route_of({"werkzeug.request": FLASK}) == "/users/<id>"
    (message,) = caplog.messages
    assert message.startswith("The framework acme of acme-framework cannot be loaded and is left out: ")
