"""The tests' structure: folders mirror the source, each is a package, and no test imports another one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import streamproof

TESTS = Path(__file__).parent
SOURCE = Path(streamproof.__file__).parent

#: Folders that mirror no package: doubles, real proxies, the apps of demo_apps/, fuzzing.
OF_THEIR_OWN = {"support", "proxies", "demo_apps", "fuzz"}

FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES if path.parent != Path()})


def imported(tree: ast.Module) -> Iterator[str]:
    """Every part of every name that a file of tests imports from other files of tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("tests.")]
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tests")):
            names = [node.module or "", *(alias.name for alias in node.names)]
        else:
            continue
        yield from (part for name in names for part in name.split("."))


def test_folders_mirror_packages() -> None:
    mirrors = [folder for folder in FOLDERS if folder.parts[0] not in OF_THEIR_OWN]
    assert mirrors
    strangers = [str(folder) for folder in mirrors if not (SOURCE / folder / "__init__.py").exists()]
    assert not strangers, "streamproof has no packages of these names"


def test_folders_are_packages() -> None:
    """Two test files of one name need their folders in their modules' names."""
    assert not [str(folder) for folder in FOLDERS if not (TESTS / folder / "__init__.py").exists()]


def test_no_test_imports_another() -> None:
    """What two tests need stands in tests/support/, or in a conftest.py where it is a fixture."""
    found = {}
    for path in FILES:
        names = [name for name in imported(ast.parse((TESTS / path).read_text("utf-8"))) if name.startswith("test_")]
        if names:
            found[str(path)] = names
    assert not found


def test_an_import_of_a_test_is_seen() -> None:
    for line in (
        "from .test_a import b",
        "from . import test_a",
        "from tests.x.test_a import b",
        "import tests.test_a",
    ):
        assert "test_a" in imported(ast.parse(line)), line
    assert "test_a" not in imported(ast.parse("from streamproof import test_a"))


def test_test_files_hold_tests() -> None:
    """What only helps belongs into tests/support/."""
    empty = [
        str(path)
        for path in FILES
        if path.name.startswith("test_") and "def test_" not in (TESTS / path).read_text("utf-8")
    ]
    assert not empty
