"""Profiles that installed packages add by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamproof import ConfigurationError
from streamproof.cli import main
from streamproof.profiles import catalogue, resolve
from streamproof.profiles.catalogue import built_in

OURS = """
name = "{name}"
title = "a proxy of ours"
summary = "Holds the head."
grade = "measured"
date = 2026-11-21
{more}
[[stages]]
use = "head_hold"
why = "the head waits"
fix = "send a first byte"

[[facts]]
text = "The head waits for the body."
source = "release 3 on loopback"
date = 2026-11-21
grade = "measured"
"""
Install = Callable[..., None]


def toml(name: str, more: str = "") -> str:
    return OURS.format(name=name, more=more)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with profiles: its name, the files of its package, what its entry point names."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def installed(name: str, files: dict[str, str], value: str) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[streamproof.profiles]\n{name} = {value}\n")
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)

    catalogue.cache_clear()
    yield installed
    catalogue.cache_clear()
    for module in set(sys.modules) - before:
        if module.startswith("acme"):
            del sys.modules[module]


def test_a_package_adds_its_profiles(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "acme/__init__.py": "",
        "acme/edge.toml": toml("acme-edge"),
        "acme/inner.toml": toml("acme-inner", 'base = "acme-edge"'),
        "acme/front.toml": toml("acme-front", 'base = "nginx"\nbase_options = { gzip = "on" }'),
        "acme/_notes.toml": "this is not read",
    }
    install("acme-profiles", files, "acme")
    via = resolve("nginx+acme-edge")
    assert [plan.name for plan in via.plans] == ["nginx", "acme-edge"]
    assert len(resolve("acme-inner").plans[0].rules) == 2
    assert len(resolve("acme-front").plans[0].rules) > len(resolve("nginx").plans[0].rules)
    assert set(catalogue()) == {*built_in(), "acme-edge", "acme-inner", "acme-front"}
    assert main(["profiles"]) == 0
    assert "acme-edge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({"acme_space/edge.toml": toml("acme-edge")}, "acme_space"),
        (
            {"acme_code/__init__.py": "", "acme_code/read.py": "", "acme_code/edge.toml": toml("acme-edge")},
            "acme_code.read",
        ),
    ],
    ids=["without-init", "a-module-beside-them"],
)
def test_a_folder_without_code_and_a_module_in_one_will_do(install: Install, files: dict[str, str], value: str) -> None:
    install("acme-profiles", files, value)
    assert resolve("acme-edge").grade == "measured"


def test_a_built_in_profile_asks_no_package(install: Install) -> None:
    install("acme-broken", {"acme/__init__.py": "raise RuntimeError('no licence')"}, "acme")
    assert resolve("nginx:gzip=on+cloudflare").text == "nginx:gzip=on+cloudflare"
    assert "acme" not in sys.modules


@pytest.mark.parametrize(
    ("files", "value", "message"),
    [
        (
            {"acme/__init__.py": "raise RuntimeError('no licence')"},
            "acme",
            "The profiles of the package 'acme-profiles' cannot be loaded from 'acme': no licence. "
            "Expected a package with TOML files. Is its installation broken?",
        ),
        (
            {},
            "acme_gone",
            "The profiles of the package 'acme-profiles' cannot be loaded from 'acme_gone': "
            "No module named 'acme_gone'. Expected a package with TOML files. Is its installation broken?",
        ),
        (
            {"acme.py": "there = 1"},
            "acme:there",
            "The profiles of the package 'acme-profiles' cannot be loaded from 'acme:there': "
            "acme:there is not a module. Expected a package with TOML files. Is its installation broken?",
        ),
        (
            {"acme.py": ""},
            "acme",
            "The profiles of the package 'acme-profiles' cannot be loaded from 'acme': acme is not in a package. "
            "Expected a package with TOML files. Is its installation broken?",
        ),
        (
            {"acme/__init__.py": "", "acme/edge.toml": toml("acme-edge").replace("head_hold", "head_hlod")},
            "acme",
            "the package 'acme-profiles': edge.toml, stage 1 (head_hlod): 'head_hlod' is not a stage. Expected one of ",
        ),
        (
            {"acme/__init__.py": "", "acme/edge.toml": toml("nginx")},
            "acme",
            "The profile 'nginx' of the package 'acme-profiles' is a built-in profile. "
            "Expected a name that no other profile has.",
        ),
    ],
    ids=["raises", "missing", "no-module", "no-folder", "faulty-file", "built-in-name"],
)
def test_a_package_that_cannot_be_used_is_named(
    install: Install, files: dict[str, str], value: str, message: str
) -> None:
    install("acme-profiles", files, value)
    for ask in (catalogue, lambda: resolve("acme-edge")):
        with pytest.raises(ConfigurationError) as raised:
            ask()
        assert str(raised.value).startswith(message)
        assert "\n" not in str(raised.value)


def test_two_packages_with_one_name_are_an_error(install: Install) -> None:
    install("acme-one", {"acme_one/__init__.py": "", "acme_one/edge.toml": toml("acme-edge")}, "acme_one")
    install("acme-two", {"acme_two/__init__.py": "", "acme_two/edge.toml": toml("acme-edge")}, "acme_two")
    with pytest.raises(
        ConfigurationError, match="^The profile 'acme-edge' of the package 'acme-.*' is in the package 'ac"
    ):
        catalogue()
