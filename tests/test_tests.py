"""The tests' structure: folders mirror the source, each is a package, and no test imports another one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import streamproof

TESTS = Path(__file__).parent
SOURCE = Path(streamproof.__file__).parent

#: Folders that mirror no package: doubles, real proxies, the apps of demo_apps/, fuzzing.
OF_THEIR_OWN = {"support", "proxies", "demo_apps", "fuzz"}

FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES if path.parent != Path()})


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_mirrors_a_package(folder: Path) -> None:
    if folder.parts[0] not in OF_THEIR_OWN:
        assert (SOURCE / folder / "__init__.py").exists(), f"tests/{folder}: streamproof has no package {folder}"


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_is_a_package(folder: Path) -> None:
    """Two test files of one name need the folder in their modules' names."""
    assert (TESTS / folder / "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_test_is_imported(path: Path) -> None:
    """What two tests need stands in tests/support/, or in a conftest.py where it is a fixture."""
    for node in ast.walk(ast.parse((TESTS / path).read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.level == 0 and not node.module.startswith("tests"):
                continue
            names = node.module.split(".") + names
        parts = [part for name in names for part in name.split(".")]
        assert not [part for part in parts if part.startswith("test_")], f"tests/{path}, line {node.lineno}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=str)
def test_a_test_file_holds_tests(path: Path) -> None:
    """What only helps belongs into tests/support/."""
    names = {
        node.name
        for node in ast.walk(ast.parse((TESTS / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert any(name.startswith("test_") for name in names)
