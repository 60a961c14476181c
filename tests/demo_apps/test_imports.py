"""Importing an app does nothing else; a missing package is reported in one sentence."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

import pytest

from demo_apps.zoo import ZOO

from ..support.demo_support import ROOT, need

APP_MODULES = [
    "demo_apps.flask_stream",
    "demo_apps.fastapi_llm",
    "demo_apps.raw_wsgi",
    "demo_apps.raw_asgi",
    "demo_apps.django_stream",
    "demo_apps.llm_client",
    *[exhibit.target.partition(":")[0] for exhibit in ZOO],
]


def test_importing_an_app_does_nothing_else() -> None:
    need("flask", "fastapi", "django", "requests", *filter(None, [exhibit.package for exhibit in ZOO]))
    script = (
        "import importlib, sys, threading\n"
        "import demo_apps.zoo\n"
        "assert not {'flask', 'django', 'starlette', 'werkzeug', 'asgiref'} & set(sys.modules)\n"
        "for module in sys.argv[1:]: importlib.import_module(module)\n"
        "assert threading.active_count() == 1\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *APP_MODULES],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


class Uninstalled(MetaPathFinder):
    """An import system without one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == self._package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize(
    ("module", "package", "name"),
    [
        ("demo_apps.flask_stream", "flask", "flask"),
        ("demo_apps.fastapi_llm", "fastapi", "fastapi"),
        ("demo_apps.django_stream", "django", "django"),
        ("demo_apps.llm_client", "requests", "requests"),
        ("demo_apps.zoo.starlette_compress_text", "starlette_compress", "starlette-compress"),
        ("demo_apps.zoo.flask_compress_stream", "flask_compress", "flask-compress"),
        ("demo_apps.zoo.werkzeug_profiler", "werkzeug", "werkzeug"),
        ("demo_apps.zoo.bridge_never_closes", "asgiref", "asgiref"),
    ],
)
def test_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, module: str, package: str, name: str) -> None:
    if name == "flask-compress":
        need("flask")  # which its module imports first
    for loaded in [key for key in sys.modules if key in (module, package) or key.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Uninstalled(package), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=f"^This demo needs {name}: pip install {name}$"):
        import_module(module)


def test_missing_package_skips_on_a_laptop_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-package"):
        need("no-such-package")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-package is not installed"):
        need("no-such-package")
