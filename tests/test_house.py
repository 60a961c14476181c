"""The house holds: arrows run one way, sansio stands on nothing, and the public names are exactly these."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamproof

ROOT = Path(streamproof.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))

PUBLIC = [
    "Budget",
    "Chunk",
    "ConfigurationError",
    "Finding",
    "FlushPolicy",
    "Leg",
    "Location",
    "NeedsData",
    "Outcome",
    "StreamProofError",
    "Trace",
    "TraceError",
    "examine",
    "locate",
    "replay",
    "tap",
    "wrap",
]

#: What the deciding part may import: pure parts of the standard library.
PURE = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "fnmatch",
    "functools",
    "http",
    "itertools",
    "json",
    "math",
    "re",
    "typing",
    "zlib",
}

#: What the core may import beside the standard library.
CORE = {"werkzeug", "asgiref"}

#: The files that carry; what only they share is in ``_carry``.
ADAPTERS = {"wsgi.py", "asgi.py", "relay.py", "probe.py", "taps.py", "_wrap.py", "_carry"}

FLOORS = {"sansio": 0, "profiles": 1, "adapters": 2, "exporters": 2, "testing": 3, "doors": 4}


def floor(path: Path) -> str:
    """The room of the house that a file lies in."""
    top = path.parts[0]
    if top in ("sansio", "profiles", "exporters", "testing"):
        return top
    if path.name in ("_replay.py", "diagnose.py"):
        return "profiles"  # the pure part with the facts filled in
    if top in ADAPTERS:
        return "adapters"
    return "doors"


def imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, wherever in it."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    package = ["streamproof", *path.parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield stem
            if node.level and node.module is None:
                yield from (f"{stem}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", [path for path in FILES if floor(path) == "sansio"], ids=str)
def test_the_deciding_part_imports_only_itself_and_what_is_pure(path: Path) -> None:
    for name in imports(path):
        if name.startswith("streamproof"):
            assert name.startswith("streamproof.sansio"), f"{path} imports {name}"
        else:
            assert name.partition(".")[0] in PURE, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_arrows_run_one_way(path: Path) -> None:
    mine = floor(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "streamproof" or len(parts) < 2 or path.name == "__init__.py" and len(path.parts) == 1:
            continue
        target = Path(*parts[1:])
        theirs = floor(target if (ROOT / target).is_dir() else target.with_suffix(".py"))
        assert FLOORS[theirs] <= FLOORS[mine], f"{path} ({mine}) imports {name} ({theirs})"
        assert (mine, theirs) not in {("adapters", "exporters"), ("exporters", "adapters")}, f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if floor(path) in ("sansio", "profiles")], ids=str)
def test_the_core_stands_on_the_standard_library_alone(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        assert top in CORE | {"streamproof"} or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_the_public_names_are_these() -> None:
    assert streamproof.__all__ == PUBLIC
    assert all(getattr(streamproof, name) is not None for name in PUBLIC)


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, streamproof; print([name for name in sys.modules if name.startswith('streamproof.')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_importing_the_adapters_needs_only_the_core() -> None:
    """Extras are imported where they are used, so a core install imports both middlewares."""
    code = (
        "import sys, streamproof.wsgi, streamproof.asgi, streamproof.profiles\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'rich', 'h11', 'gunicorn', 'uvicorn', 'pytest', 'httpx', 'prometheus_client', 'opentelemetry', 'flask'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'replays'"):
        _ = streamproof.replays
