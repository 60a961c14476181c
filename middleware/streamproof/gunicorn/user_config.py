"""Read the gunicorn configuration that the user would have without ``-c python:streamproof.gunicorn``.

gunicorn reads one source only, so this repeats its ``Application.load_config_from_module_name_or_filename``.
:func:`reader` finds out who imports the package: gunicorn itself, the user's configuration file, or other code.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from importlib.machinery import SourceFileLoader
from typing import Any, Literal

USUAL = "./gunicorn.conf.py"
_READS = ("get_config_from_module_name", "get_config_from_filename")


def reader() -> Literal["directly", "through a file"] | None:
    """Who is importing: gunicorn (``directly``), the user's file that gunicorn reads, or other code (None)?"""
    through_a_file = False
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module == "gunicorn.app.base" and frame.f_code.co_name in _READS:
            return "through a file" if through_a_file else "directly"
        own = module.startswith(("importlib", "streamproof.gunicorn"))
        through_a_file = through_a_file or not own
        frame = frame.f_back  # type: ignore[assignment]
    return None


def read(location: str | None) -> dict[str, Any]:
    """The settings in the user's configuration, each checked as gunicorn does it.

    Raises SystemExit with one sentence if the file is missing or a value is wrong. An exception in the file's own code
    is printed as gunicorn prints it.
    """
    from gunicorn.config import make_settings

    if location is None:
        if not os.path.exists(USUAL):
            return {}
        location = USUAL
    names = _names_in(location)
    known = make_settings()
    found = {}
    for name, value in names.items():
        if name in known:
            try:
                known[name].set(value)
            except Exception as error:
                raise SystemExit(
                    f"streamproof: {location} sets {name} to {value!r}: {error}. Expected a value that gunicorn "
                    "accepts. Is the name meant for something else?"
                ) from None
            found[name] = known[name].get() if callable(value) else value
    return found


def _names_in(location: str) -> dict[str, Any]:
    try:
        if location.startswith("python:"):
            name = location.removeprefix("python:")
            sys.modules.pop(name, None)
            return vars(importlib.import_module(name))
        path = location.removeprefix("file:")
        if not os.path.exists(path):
            raise SystemExit(
                f"streamproof: gunicorn_conf is {location!r}, and {os.getcwd()} has no such file. Expected your "
                "gunicorn configuration. Is the path relative to another folder?"
            )
        loader = SourceFileLoader("__config__", path)
        spec = importlib.util.spec_from_file_location("__config__", path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["__config__"] = module
        loader.exec_module(module)
        return vars(module)
    except Exception:
        print(f"Failed to read config file: {location}", file=sys.stderr)  # noqa: T201  # gunicorn's own words
        traceback.print_exc()
        raise SystemExit(1) from None
