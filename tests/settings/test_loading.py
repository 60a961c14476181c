"""Settings: one schema, four sources, the later wins, and every mistake is told with a way out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from streamproof import ConfigurationError, wrap
from streamproof.cli import main
from streamproof.sansio.flush import FlushPolicy
from streamproof.settings.assembly import Assembly, options
from streamproof.settings.loading import load
from streamproof.settings.schema import SCHEMA


def test_nothing_set_is_the_defaults_and_says_so(tmp_path: Path) -> None:
    settings = load(folder=tmp_path, environ={})
    assert {setting.name: value for setting, value, _ in settings} == {each.name: each.default for each in SCHEMA}
    assert {origin for _, _, origin in settings} == {"default"}
    assert repr(settings) == "Settings()"


def test_the_later_source_wins_and_is_the_origin(tmp_path: Path) -> None:
    project, own = tmp_path / "pyproject.toml", tmp_path / "streamproof.toml"
    project.write_text('[tool.streamproof]\nlog = "off"\nsample = 0.5\nroute_limit = 5\nqueue = 7\n')
    own.write_text("sample = 0.25\nroute_limit = 6\nqueue = 8\n")
    settings = load({"queue": 10}, folder=tmp_path, environ={"STREAMPROOF_QUEUE": "9", "STREAMPROOF_ROUTE_LIMIT": "7"})
    assert (settings.log, settings.sample, settings.route_limit, settings.queue) == ("off", 0.25, 7, 10)
    assert [settings.origins[name] for name in ("log", "sample", "route_limit", "queue", "via")] == [
        str(project),
        str(own),
        "STREAMPROOF_ROUTE_LIMIT",
        "argument",
        "default",
    ]


def test_the_nearest_folder_upward_that_has_a_file_counts(tmp_path: Path) -> None:
    (tmp_path / "streamproof.toml").write_text('log = "json"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below.parent / "pyproject.toml").write_text("[tool.other]\n")
    assert load(folder=below, environ={}).log == "json"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("keep_chunks", "yes", True),
        ("keep_chunks", "12", 12),
        ("keep_chunks", "off", False),
        ("on_trace", "a:b, c:d", ("a:b", "c:d")),
        ("budget", "max_silence=15 min_bursts=3", {"max_silence": 15, "min_bursts": 3}),
        ("via", "", None),
        ("sample", "0.1", 0.1),
        ("policy", "heartbeat=10 detect_untyped=off", {"heartbeat": 10, "detect_untyped": False}),
        ("policy", "sse", "sse"),
    ],
)
def test_variables_are_read_by_their_kind(name: str, text: str, value: object, tmp_path: Path) -> None:
    settings = load(folder=tmp_path, environ={f"STREAMPROOF_{name.upper()}": text})
    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"STREAMPROOF_JSNOL": "x"},
            "STREAMPROOF_JSNOL is not a setting. Expected a valid name. Did you mean 'STREAMPROOF_JSONL'?",
        ),
        (
            {"STREAMPROOF_EXPORT": "no"},
            "STREAMPROOF_EXPORT is 'no'. Expected one of streams, all. Is it spelled right?",
        ),
        (
            {"STREAMPROOF_SAMPLE": "2"},
            "STREAMPROOF_SAMPLE is '2'. Expected a number from 0 to 1. Is it spelled right?",
        ),
        (
            {"STREAMPROOF_BUDGET": "max_silense=3"},
            "STREAMPROOF_BUDGET has the unknown member 'max_silense'. Expected a valid name. "
            "Did you mean 'max_silence'?",
        ),
        (
            {"STREAMPROOF_BUDGET": "max_silence=-3"},
            "STREAMPROOF_BUDGET.max_silence is '-3'. Expected a number of seconds from 0 to 1,000,000,000. "
            "Is the unit mistaken?",
        ),
        (
            {"STREAMPROOF_VIA": "nginx", "STREAMPROOF_ENV": "production"},
            "via='nginx' is set and env is production (STREAMPROOF_ENV). Expected no emulated proxy in front of real "
            "readers, or STREAMPROOF_FORCE_VIA=1. Was a developer's setting deployed?",
        ),
    ],
)
def test_a_mistake_is_one_sentence(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(folder=tmp_path, environ=environ)
    assert str(raised.value) == message


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    own = tmp_path / "streamproof.toml"
    own.write_text("metrics_pth = '/m'\n")
    with pytest.raises(ConfigurationError, match=r"streamproof\.toml: metrics_pth is not a setting.*'metrics_path'"):
        load(folder=tmp_path, environ={})
    own.write_text("log = \n")
    with pytest.raises(ConfigurationError, match=r"streamproof\.toml is not TOML: .*Expected TOML"):
        load(folder=tmp_path, environ={})


def test_via_runs_in_production_only_when_forced(tmp_path: Path) -> None:
    environ = {"STREAMPROOF_VIA": "nginx", "STREAMPROOF_ENV": "production", "STREAMPROOF_FORCE_VIA": "1"}
    assert load(folder=tmp_path, environ=environ).via == "nginx"


def test_settings_that_force_a_via_leave_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def app(environ: Any, start_response: Any) -> Any: ...

    monkeypatch.setenv("STREAMPROOF_ENV", "production")
    before = dict(os.environ)
    (tmp_path / "streamproof.toml").write_text('via = "passthrough"\nforce_via = true\nlog = "off"\n')
    Assembly(load(folder=tmp_path)).wrap(app)
    assert dict(os.environ) == before
    with pytest.raises(ConfigurationError):
        wrap(app, via="passthrough")


def test_a_trace_file_keeps_enough_to_be_replayed_unless_told_otherwise(tmp_path: Path) -> None:
    def keep(**environ: str) -> Any:
        return options(load(folder=tmp_path, environ=environ))["keep_chunks"]

    assert keep() is False
    assert keep(STREAMPROOF_JSONL="t.jsonl") == 1000
    assert keep(STREAMPROOF_JSONL="t.jsonl", STREAMPROOF_KEEP_CHUNKS="off") is False


def test_a_policy_is_a_preset_its_members_or_both(tmp_path: Path) -> None:
    def policy(text: str) -> Any:
        return options(load(folder=tmp_path, environ={"STREAMPROOF_POLICY": text}))["policy"]

    assert policy("sse") == FlushPolicy.for_sse()
    assert policy("max_size=100") == FlushPolicy(max_size=100)
    assert policy("preset=csv max_delay=2") == FlushPolicy.for_csv(max_delay=2)
    with pytest.raises(ConfigurationError, match=r"POLICY is 'ssee'\..*Did you mean 'sse'\?"):
        policy("ssee")
    with pytest.raises(ConfigurationError, match=r"POLICY has the unknown member 'heartbeet'.*'heartbeat'"):
        policy("heartbeet=3")


def test_the_middleware_itself_refuses_via_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    monkeypatch.setenv("STREAMPROOF_ENV", "production")
    for refused in ("", "0", "off"):
        monkeypatch.setenv("STREAMPROOF_FORCE_VIA", refused)
        with pytest.raises(ConfigurationError, match=r"env is production \(STREAMPROOF_ENV\)"):
            wrap(app, via="nginx")
    monkeypatch.setenv("STREAMPROOF_FORCE_VIA", "1")
    wrap(app, via="nginx")


def test_the_command_prints_each_setting_with_its_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "streamproof.toml").write_text("queue = 8\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMPROOF_LOG", "json")
    assert main(["settings"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["log"] == ['"json"', "STREAMPROOF_LOG"]
    assert lines["queue"] == ["8", str(tmp_path / "streamproof.toml")]
    assert lines["via"] == ["-", "default"]
    assert set(lines) == {setting.name for setting in SCHEMA}
