"""Load the app that ``module:app`` or ``module:factory()`` names: :func:`load`.

A wrong form, a missing module and a missing name have different errors, as in uvicorn's importer. An exception in the
user's own module is reported as such, with its line.
"""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from typing import Any

from ...sansio.errors import ConfigurationError

_FORM = re.compile(r"(?P<module>[\w.]+):(?P<name>[A-Za-z_][\w.]*)(?P<call>\(\))?")
FORM = "'module:app' or 'module:factory()'"


def parse(target: str) -> tuple[str, str, bool]:
    """The module, the name in it, and whether to call it. Raises ConfigurationError if the form is wrong."""
    found = _FORM.fullmatch(target)
    if found is None:
        guess = "Is the module's name missing?"
        if path := re.fullmatch(r"(?P<path>[\w./-]+?)\.py(?P<rest>:\S+)?", target):
            dotted = path["path"].removeprefix("./").strip("/").replace("/", ".")
            guess = f"Did you mean '{dotted}{path['rest'] or ':app'}'?"
        elif re.fullmatch(r"[\w.-]+:\d+(?:/.*)?", target):
            guess = f"Did you mean 'http://{target}'?"
        elif re.fullmatch(r"[\w.]+", target):
            guess = f"Did you mean '{target}:app'?"
        raise ConfigurationError(f"{target!r} does not name an app. Expected {FORM}, or a URL. {guess}")
    return found["module"], found["name"], found["call"] is not None


def load(target: str) -> Any:
    """Import the app that ``target`` names.

    Raises ConfigurationError for a wrong name, and for an exception in the user's own code, with its line.
    """
    module_name, name, call = parse(target)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"There is no module {module_name!r}. Expected {FORM}, importable from this folder. "
                "Is it in another one (--app-dir)?"
            ) from None
        raise _own_error(f"The module {module_name!r} cannot be imported", error, "Is it installed here?") from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        guess = f"Does \"python -c 'import {module_name}'\" show more?"
        raise _own_error(f"The module {module_name!r} raised at import", error, guess) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigurationError(
                f"The module {module_name!r} has no {name!r}. Expected {FORM}. {_callables(found)}"
            ) from None
    if call:
        try:
            found = found()
        except Exception as error:
            fact = f"The factory '{module_name}:{name}()' raised"
            raise _own_error(fact, error, "Does it need a setting or an argument?") from error
    return _checked(found, target)


def _checked(app: Any, target: str) -> Any:
    if not callable(app):
        raise ConfigurationError(
            f"{target!r} is of the type {type(app).__name__}, which cannot be called. "
            "Expected a WSGI or ASGI app. Is it the name of something else?"
        )
    if inspect.isfunction(app) and all(p.default is not p.empty for p in inspect.signature(app).parameters.values()):
        raise ConfigurationError(
            f"{target!r} is a function that needs no arguments. Expected a WSGI or ASGI app. "
            f"Is it a factory: '{target}()'?"
        )
    return app


def _callables(module: object) -> str:
    names = [name for name, value in vars(module).items() if _looks_like_an_app(name, value)]
    return f"Did you mean {' or '.join(map(repr, names[:3]))}?" if names else "Is it defined under a condition?"


def _looks_like_an_app(name: str, value: object) -> bool:
    named_so = name.lower() in ("app", "application", "asgi", "wsgi", "api", "create_app", "make_app")
    return callable(value) and not name.startswith("_") and (named_so or name.endswith("_app"))


def _own_error(fact: str, error: BaseException, guess: str) -> ConfigurationError:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({error.filename}, line {error.lineno})"
    elif frames and frames[-1].filename != __file__:
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    reason = str(error.msg if isinstance(error, SyntaxError) else error).strip().replace("\n", " ")
    text = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return ConfigurationError(f"{fact}: {text}{where}. Expected an app. {guess}")
