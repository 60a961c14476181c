"""Proxies leave nothing behind: no process, no port, no file; also after a failure and after Ctrl-C.

Knows process trees as Linux shows them. Does not know what the proxies are asked.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ..support.live_support import eventually
from .configurations import CONFIGURATIONS
from .needs import need
from .origin import Origin
from .products import Failed, Launch, Site, alive, family_of, running

pytestmark = pytest.mark.proxies

ROOT = Path(__file__).resolve().parents[2]


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def born_here() -> set[int]:
    """What this process started and what came from it."""
    return {pid for pid in family_of(os.getpid()) if alive(pid)}


@pytest.mark.parametrize("name", ["nginx", "nginx-nginx", "varnish", "trafficserver", "nghttpx"])
def test_nothing_is_left(name: str) -> None:
    """Products of several processes each; in some the second is in a group of its own."""
    configuration = CONFIGURATIONS[name]
    need(configuration)
    before = born_here()
    with Origin() as origin, configuration.running(origin.port) as site:
        family = born_here() - before
        assert family
        assert listens(site.port)
    assert not [pid for pid in family if alive(pid)]
    assert not listens(site.port)
    assert not listens(origin.port)
    assert not site.directory.exists()


def test_a_process_lives_until_its_last_thread_is_gone() -> None:
    """Killed on a busy machine, nghttpx was a zombie whose second thread still held the port."""
    script = """
        import ctypes, os, threading, time
        threading.Thread(target=time.sleep, args=[30]).start()
        ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)  # SYS_exit ends one thread
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as process:
        state = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "its first thread to end")
        assert alive(process.pid)
        process.kill()
        process.wait(10)
        assert not alive(process.pid)


def test_nothing_is_left_after_a_failure() -> None:
    configuration = CONFIGURATIONS["nginx"]
    need(configuration)
    before = born_here()
    with pytest.raises(ZeroDivisionError), Origin() as origin, configuration.running(origin.port) as site:
        family = born_here() - before
        raise ZeroDivisionError
    assert not [pid for pid in family if alive(pid)]
    assert not site.directory.exists()


def test_nothing_is_left_after_ctrl_c(tmp_path: Path) -> None:
    configuration = CONFIGURATIONS["nginx"]
    need(configuration)
    script = """
        import os, time
        from tests.proxies.configurations import CONFIGURATIONS
        from tests.proxies.origin import Origin
        from tests.proxies.products import family_of
        with Origin() as origin, CONFIGURATIONS["nginx"].running(origin.port) as site:
            print(site.port, *family_of(os.getpid()), flush=True)
            time.sleep(30)
    """
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        port, *family = map(int, process.stdout.readline().split())
        assert listens(port)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.stderr.read()
        process.wait(10)
    assert len(family) >= 3  # the script, nginx's master and its worker
    assert not [pid for pid in family if alive(pid)]
    assert not listens(port)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_after_ctrl_c_in_the_sweep(tmp_path: Path) -> None:
    need(CONFIGURATIONS["nginx"])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.proxies.sweep", "nginx", "--floor", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        while not (found := [path.read_text() for path in tmp_path.glob("*/pid")]) or not found[0].strip():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        family = family_of(int(found[0]))
        time.sleep(0.3)  # so that it is playing
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert len(family) >= 2
    assert not [pid for pid in family if alive(pid)]
    assert not list(tmp_path.iterdir())


def test_a_product_that_does_not_start_says_why() -> None:
    need(CONFIGURATIONS["nginx"])

    def recipe(site: Site) -> Launch:
        return Launch(("-c", site.write("nginx.conf", "no such directive;"), "-e", str(site.directory / "error.log")))

    started = time.monotonic()
    with pytest.raises(Failed, match="unknown directive"), running("nginx", recipe, 1):
        pass
    assert time.monotonic() - started < 5
