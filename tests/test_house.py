"""The structure: imports run downward without circles, sansio stands on nothing, the public names are these."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import streamproof
from streamproof.profiles import catalogue
from streamproof.profiles.servers import servers
from streamproof.sansio.stages import STAGES

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
    "datetime",
    "enum",
    "fnmatch",
    "functools",
    "http",
    "itertools",
    "json",
    "math",
    "re",
    "shlex",
    "tomllib",
    "typing",
    "zlib",
}

#: What the core may import beside the standard library.
CORE = {"werkzeug", "asgiref"}

#: What stands on what: a file imports from its own floor or from one further down.
FLOORS = (
    ("sansio",),
    ("profiles", "formats", "exporters", "app_kind", "extras", "suggestion"),
    ("sockets", "frameworks", "analysis"),
    ("adapters",),
    ("wsgi", "asgi", "wrapping", "live", "counts"),
    ("testing",),
    ("settings", "serving", "report", "load"),
    ("app", "gunicorn", "pytest_plugin", "cli"),
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def level(path: Path) -> int:
    """The floor of a file of the package, 0 the lowest."""
    return LEVEL[path.parts[0].removesuffix(".py")]


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


def target(name: str) -> Path | None:
    """The file of the package that the dotted ``name`` of a module means; None for what is no module of it."""
    parts = name.split(".")
    if parts[0] != "streamproof" or len(parts) < 2:
        return None
    path = Path(*parts[1:])
    if (ROOT / path).is_dir():
        return path / "__init__.py"
    return path.with_suffix(".py") if (ROOT / path).with_suffix(".py").exists() else None


SANSIO = [path for path in FILES if path.parts[0] == "sansio"]
INSIDE = [path for path in FILES if len(path.parts) > 1 or path.name != "__init__.py"]


@pytest.mark.parametrize("path", SANSIO, ids=str)
def test_sansio_imports_only_itself_and_what_is_pure(path: Path) -> None:
    for name in imports(path):
        if name.startswith("streamproof"):
            assert name.startswith("streamproof.sansio"), f"{path} imports {name}"
        else:
            assert name.partition(".")[0] in PURE, f"{path} imports {name}"


@pytest.mark.parametrize("path", INSIDE, ids=str)
def test_imports_run_downward(path: Path) -> None:
    for name in imports(path):
        if (imported := target(name)) is not None:
            assert level(imported) <= level(path), f"{path} imports {name}, which stands further up"
            apart = {path.parts[0], imported.parts[0]} == {"exporters", "profiles"}
            assert not apart, f"{path} imports {name}: exporters know no profiles"


OUTSIDE_OF_STAGES = [path for path in FILES if path.parts[:2] != ("sansio", "stages")]


@pytest.mark.parametrize("path", OUTSIDE_OF_STAGES, ids=str)
def test_no_file_outside_of_the_stages_names_one(path: Path) -> None:
    """The registry is all that may be imported; what a stage does is an attribute of its settings."""
    for name in imports(path):
        assert not name.startswith("streamproof.sansio.stages."), f"{path} imports {name}"
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("sansio.stages"):
            assert [alias.name for alias in node.names] == ["STAGES"], f"{path} imports a stage"
        if isinstance(node, ast.Compare | ast.Subscript):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant):
                    assert part.value not in STAGES.keys() - WORDS_OF_HTTP, f"{path} compares with {part.value!r}"


#: Names of stages that are also words for something else: fields of a message, the option of a policy.
WORDS_OF_HTTP = {"headers", "compress"}


@pytest.mark.parametrize("path", SANSIO, ids=str)
def test_sansio_opens_and_prints_nothing(path: Path) -> None:
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input", "__import__"), f"{path} calls {node.func.id}()"


@pytest.mark.parametrize("path", SANSIO, ids=str)
def test_sansio_names_no_product_outside_of_docstrings_and_comments(path: Path) -> None:
    """A comment may name a source; code that knows a product has a fact in the wrong place."""
    products = set(catalogue()) | set(servers())
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        words: Any = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            words = node.value
        elif isinstance(node, ast.Name | ast.FunctionDef | ast.ClassDef | ast.arg):
            words = getattr(node, "id", None) or getattr(node, "name", None) or getattr(node, "arg", "")
        found = products & set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", words.lower().replace("_", " ")))
        assert not found - {"passthrough"}, f"{path} names {found}"


@pytest.mark.parametrize("name", STAGES)
def test_the_settings_of_a_stage_are_frozen_and_start_a_machine(name: str) -> None:
    settings = STAGES[name]
    assert is_dataclass(settings)
    assert settings.__dataclass_params__.frozen
    assert settings.__module__.rpartition(".")[2] == name
    assert callable(settings.start)


def test_no_imports_form_a_circle() -> None:
    """Imports inside functions and under TYPE_CHECKING count, too."""
    graph = {path: {found for name in imports(path) if (found := target(name)) is not None} for path in INSIDE}
    for path, imported in graph.items():
        imported.discard(path)
        # "from .x import y" names the package on the way; that is no import of what the package's __init__ holds
        imported -= {parent / "__init__.py" for parent in path.parents if len(parent.parts)}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(map(str, error.args[1])))


@pytest.mark.parametrize("path", [path for path in INSIDE if level(path) < 2 and path.parts[0] != "exporters"], ids=str)
def test_the_core_stands_on_the_standard_library_alone(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        assert top in CORE | {"streamproof"} or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_no_module_bears_a_public_name() -> None:
    """Importing a module of that name would replace the function in the package."""
    modules = {path.parts[0].removesuffix(".py") for path in INSIDE}
    assert not modules & set(streamproof.__all__)


TREE = ROOT.parents[1]
KNOWN = {
    str(path.relative_to(TREE))
    for top in ("middleware", "tests", "benchmarks", "demo_apps")
    for path in (TREE / top).rglob("*.py")
}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_docstrings_name_files_that_exist(path: Path) -> None:
    for name in re.findall(r"``([\w/]+\.py)``", (ROOT / path).read_text("utf-8")):
        assert any(found == name or found.endswith("/" + name) for found in KNOWN), f"{path} names {name}"


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


#: The only variable that the package sets in its own process: prometheus_client defines it.
FOREIGN_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_CHANGING = re.compile(r"os\.(putenv|unsetenv|environ\.(update|setdefault|pop|popitem|clear|__setitem__))\(")


@pytest.mark.parametrize("path", INSIDE, ids=str)
def test_nothing_steers_another_module_through_the_environment(path: Path) -> None:
    assert "os.environ" not in set(imports(path)) and "from os import" not in (ROOT / path).read_text("utf-8")
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        text = ""
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            text = ast.unparse(node) if ast.unparse(node.value) == "os.environ" else ""
        elif isinstance(node, ast.Call):
            text = ast.unparse(node) if _CHANGING.match(ast.unparse(node)) else ""
        assert not text or FOREIGN_VARIABLE in text, f"{path} changes the environment: {text}"
