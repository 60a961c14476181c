"""The gunicorn entrypoint at boot and reload: the user's configuration, hooks, wrong settings, several processes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.live_support import Booted, boot, eventually, free_port, need, read_until

pytestmark = pytest.mark.servers

OWN = """
import sys

def say(text):
    print(text, file=sys.stderr, flush=True)

workers = {workers}
def post_worker_init(worker):
    say(f"mine: post_worker_init {{type(worker.wsgi).__name__}}")
def on_starting(server):
    say("mine: on_starting")
def worker_exit(server, worker):
    say("mine: worker_exit")
def child_exit(server, worker):
    say("mine: child_exit")
"""


@contextmanager
def gunicorn(
    folder: Path,
    *options: str,
    config: str = "python:streamproof.gunicorn",
    wait: bool = True,
    app: str = "steered:wsgi",
    **environment: str,
) -> Iterator[Booted]:
    need("gunicorn")
    port = free_port()
    chosen = ["-c", config] if config else []
    command = ["gunicorn", *chosen, "--no-control-socket", "-b", f"127.0.0.1:{port}", *options, app]
    with boot(folder, command, port, environment, wait=wait) as server:
        yield server


def outcome(server: Booted, path: str = "/complete") -> str:
    server.get(path)
    return str(server.trace(path)["end"]["outcome"])


def test_the_users_own_file_is_read_and_its_hooks_are_called(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(OWN.format(workers=2))
    with gunicorn(tmp_path) as server:
        eventually(lambda: server.log.count("mine: post_worker_init function") == 2, "two workers")
        assert outcome(server) == "complete"
        server.signal(signal.SIGTERM)
        server.process.wait(10)
    assert server.log.count("mine: on_starting") == 1
    assert server.log.count("mine: worker_exit") == 2
    assert server.log.count("mine: child_exit") == 2


def test_a_file_that_a_variable_names_is_read_in_place_of_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "other.py").write_text(OWN.format(workers=1))
    with gunicorn(tmp_path, STREAMPROOF_GUNICORN_CONF="other.py") as server:
        assert outcome(server) == "complete"
        assert "mine: post_worker_init" in server.log


@pytest.mark.parametrize("way", ["from streamproof.gunicorn import *", "import streamproof.gunicorn as proof"])
def test_ones_own_file_may_use_the_hooks(way: str, tmp_path: Path) -> None:
    own = f"{way}\nprint('read', flush=True)\n"
    if "proof" in way.split()[-1]:
        own += "def post_worker_init(worker):\n    proof.post_worker_init(worker)\n    proof.post_worker_init(worker)\n"
    (tmp_path / "gunicorn.conf.py").write_text(own)
    with gunicorn(tmp_path, config="") as server:
        assert outcome(server) == "complete"
        assert server.log.count("read") == 1


def test_arguments_in_the_environment_and_preload_work(tmp_path: Path) -> None:
    with gunicorn(tmp_path, config="", GUNICORN_CMD_ARGS="-c python:streamproof.gunicorn --preload") as server:
        assert outcome(server) == "complete"


def test_hup_reads_the_configuration_again(tmp_path: Path) -> None:
    own = tmp_path / "gunicorn.conf.py"
    own.write_text(OWN.format(workers=1))
    with gunicorn(tmp_path, STREAMPROOF_METRICS_PATH="/metrics") as server:
        assert outcome(server) == "complete"
        own.write_text(OWN.format(workers=1).replace("mine", "new"))
        server.signal(signal.SIGHUP)
        eventually(lambda: "new: post_worker_init" in server.log and "mine: worker_exit" in server.log, "the reload")
        assert outcome(server, "/complete?again") == "complete"
        assert b'outcome="complete"' in server.get("/metrics"), "the counts of the old worker are kept"


def test_hup_changes_the_number_of_workers_as_the_users_file_says(tmp_path: Path) -> None:
    own = tmp_path / "gunicorn.conf.py"
    own.write_text(OWN.format(workers=1))
    with gunicorn(tmp_path) as server:
        eventually(lambda: len(workers_of(server)) == 1, "one worker")
        for number in (3, 2):
            own.write_text(OWN.format(workers=number))
            before = workers_of(server)
            server.signal(signal.SIGHUP)
            eventually(
                lambda number=number, before=before: (  # type: ignore[misc]
                    len(workers_of(server)) == number and not workers_of(server) & before
                ),
                f"{number} new workers",
            )
        assert outcome(server) == "complete"


def workers_of(server: Booted) -> set[int]:
    """The live children of the master, without those that only wait to be collected."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == server.process.pid and state != "Z":
            children.add(int(stat.parent.name))
    return children


def test_no_module_bears_the_name_of_a_gunicorn_setting() -> None:
    """gunicorn would take the submodule, an attribute of the configuration module, for the value of the setting."""
    need("gunicorn")
    import pkgutil

    from gunicorn.config import KNOWN_SETTINGS

    import streamproof.gunicorn

    modules = {module.name for module in pkgutil.iter_modules(streamproof.gunicorn.__path__)}
    settings = {setting.name for setting in KNOWN_SETTINGS}
    assert not modules & settings
    assert set(vars(streamproof.gunicorn)) & settings == set(streamproof.gunicorn.__all__)


@pytest.mark.parametrize(
    ("own", "environment"),
    [
        ("", {"STREAMPROOF_VIA": "ngnx"}),
        ("workers = 'many'\n", {}),
        ("raise RuntimeError('broken')\n", {}),
        ("worker_class = 'no_such_module.Worker'\n", {}),
    ],
    ids=["our setting", "their value", "their code", "after the configuration"],
)
def test_a_boot_that_fails_leaves_no_folder_of_counts(own: str, environment: dict[str, str], tmp_path: Path) -> None:
    need("prometheus_client")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "gunicorn.conf.py").write_text(own)
    environment |= {"STREAMPROOF_METRICS_PATH": "/metrics", "TMPDIR": str(temporary)}
    with gunicorn(tmp_path, wait=False, **environment) as server:
        assert server.process.wait(15) != 0
    assert list(temporary.glob("streamproof-*")) == []


@pytest.mark.parametrize("options", [(), ("--daemon", "--pid", "pid")], ids=["foreground", "daemon"])
def test_the_folder_of_counts_lives_as_long_as_the_master(options: tuple[str, ...], tmp_path: Path) -> None:
    need("prometheus_client")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {"STREAMPROOF_METRICS_PATH": "/metrics", "TMPDIR": str(temporary)}
    with gunicorn(tmp_path, *options, wait=not options, **environment) as server:
        if options:
            master = int(eventually(lambda: read_text(tmp_path / "pid"), "the daemon's pid file"))
        else:
            master = server.process.pid
        try:
            eventually(lambda: list(temporary.glob("streamproof-counts-*/*.db")), "counts in the folder")
        finally:
            os.kill(master, signal.SIGTERM)
        eventually(lambda: not list(temporary.glob("streamproof-*")), "the removal of the folder")


def read_text(path: Path) -> str:
    """What is in the file; nothing while it is not there."""
    return path.read_text() if path.exists() else ""


def test_reload_wraps_the_new_code(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--reload", "--reload-engine", "poll") as server:
        assert outcome(server) == "complete"
        steered = tmp_path / "steered.py"
        steered.write_text(steered.read_text().replace('b"second', 'b"changed'))
        os.utime(steered, (2_000_000_000, 2_000_000_000))
        eventually(lambda: "Worker reloading" in server.log and server.log.count("Booting worker") == 2, "the reload")
        server.pass_gate("go")
        answer = eventually(lambda: server.get("/wait?"), "an answer")
        assert b"changed" in answer
        assert server.trace("/wait?")["end"]["outcome"] == "complete"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"STREAMPROOF_LGO": "text"},
            "STREAMPROOF_LGO is not a setting. Expected a valid name. Did you mean 'STREAMPROOF_LOG'?",
        ),
        ({"STREAMPROOF_LOG": "loud"}, "STREAMPROOF_LOG is 'loud'. Expected one of off, text, json."),
        (
            {"STREAMPROOF_VIA": "nginx", "STREAMPROOF_ENV": "production"},
            "via='nginx' is set and env is production",
        ),
        ({"STREAMPROOF_VIA": "ngnx"}, "ngnx"),
        ({"STREAMPROOF_GUNICORN_CONF": "lost.py"}, "gunicorn_conf is 'lost.py'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_stops_the_boot_with_one_sentence(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with gunicorn(tmp_path, wait=False, **environment) as server:
        assert server.process.wait(15) == 1
    assert server.log.startswith("streamproof: ")
    assert sentence in server.log
    assert "Traceback" not in server.log
    assert len(server.log.strip().splitlines()) == 1


def test_a_wrong_value_in_the_users_file_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("def sendfile():\n    pass\n\nworkers = 'many'\n")
    with gunicorn(tmp_path, wait=False) as server:
        assert server.process.wait(15) == 1
    assert "streamproof: ./gunicorn.conf.py sets " in server.log


def counts(page: bytes, name: str) -> dict[str, float]:
    found = re.findall(rf"^streamproof_{name}(?:\{{(.*?)\}})? ([0-9.e+-]+)$", page.decode(), re.M)
    return {labels: float(value) for labels, value in found}


def test_the_counts_of_several_workers_add_up_and_survive_a_dead_one(tmp_path: Path) -> None:
    need("prometheus_client")
    with gunicorn(tmp_path, "-w", "3", STREAMPROOF_METRICS_PATH="/metrics") as server:
        eventually(lambda: server.log.count("Booting worker") == 3, "three workers")
        for _ in range(12):
            server.get("/complete")
        eventually(lambda: len(server.traces()) == 12, "twelve traces")
        page = server.get("/metrics")
        assert sum(counts(page, "streams_total").values()) == 12
        assert sum(counts(page, "chunks_total").values()) == 24
        assert sum(counts(page, "gap_seconds_count").values()) == 12

        reader = server.open("/wait")
        with reader:
            read_until(reader, b"first")
            eventually(lambda: counts(server.get("/metrics"), "open_streams") == {"": 1.0}, "an open stream")
            for of in ("oldest_open_seconds", "open_silence_seconds"):
                eventually(lambda of=of: 1.0 < max(counts(server.get("/metrics"), of).values()) < 60, of)  # type: ignore[misc]
            victim = next(
                int(pid)
                for pid in re.findall(r"Booting worker with pid: (\d+)", server.log)
                if _serves(int(pid), reader)
            )
            os.kill(victim, signal.SIGKILL)
            eventually(lambda: server.log.count("Booting worker") == 4, "another worker")
        eventually(lambda: counts(server.get("/metrics"), "open_streams") == {"": 0.0}, "no open stream")
        assert set(counts(server.get("/metrics"), "oldest_open_seconds").values()) <= {0.0}
        assert sum(counts(server.get("/metrics"), "streams_total").values()) == 12, "its counts stay"


def test_a_stream_that_stays_open_gets_a_line_in_the_log_each_time(tmp_path: Path) -> None:
    with gunicorn(tmp_path, STREAMPROOF_LOG_OPEN="0.2") as server:
        with server.open("/wait") as reader:
            read_until(reader, b"first")
            eventually(lambda: server.log.count("outcome=open method=GET target=/wait") >= 2, "two lines")
        found = re.search(r"outcome=open .* chunks=1 bytes=\d+ age=([0-9.]+) silence=([0-9.]+)", server.log)
        assert found is not None and float(found[1]) >= float(found[2]) > 0


def _serves(pid: int, reader: object) -> bool:
    """Has the process ``pid`` the other end of the reader's connection?"""
    local = reader.getsockname()[1]  # type: ignore[attr-defined]
    wanted = f":{local:04X} "
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"{fields[2]} ".endswith(wanted) and fields[3] == "01":
            inodes.add(f"socket:[{fields[9]}]")
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(descriptor) in inodes:
                return True
        except OSError:
            continue
    return False
