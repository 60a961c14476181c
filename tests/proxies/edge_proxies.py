"""How each load balancer and cache is set up: the least configuration that makes it a reverse proxy, and what to run.

Knows the products' own configuration languages. Each function returns a recipe; its arguments are lines in that
language, so that a configuration reads as it would in production. No access logs, one worker where that can be said:
the machine is shared with the origin and the reader.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .products import Launch, Recipe, Site


def haproxy(*backend: str, bind: str = "") -> Recipe:
    """``backend``: lines of the backend; ``bind``: parameters of the listening socket."""

    def recipe(site: Site) -> Launch:
        lines = (
            "defaults",
            " mode http",
            *(f" timeout {what} 30s" for what in ("connect", "client", "server")),
            "frontend reader",
            f" bind 127.0.0.1:{site.port} {bind}",
            " default_backend app",
            "backend app",
            *(f" {line}" for line in backend),
            f" server origin 127.0.0.1:{site.upstream}",
            "",
        )
        return Launch(("-db", "-f", site.write("haproxy.cfg", "\n".join(lines))))

    return recipe


def varnish(vcl: str = "") -> Recipe:
    """``vcl``: subroutines beside the built-in ones."""

    def recipe(site: Site) -> Launch:
        backend = f'backend default {{ .host = "127.0.0.1"; .port = "{site.upstream}"; }}'
        path = site.write("default.vcl", f"vcl 4.1;\n{backend}\n{vcl}\n")
        listen = f"127.0.0.1:{site.port}"
        work = str(site.directory / "work")
        return Launch(("-F", "-j", "none", "-n", work, "-a", listen, "-f", path, "-s", "malloc,64m"))

    return recipe


def squid() -> Recipe:
    """An accelerator in front of the origin."""

    def recipe(site: Site) -> Launch:
        lines = (
            f"http_port 127.0.0.1:{site.port} accel defaultsite=origin.test",
            f"cache_peer 127.0.0.1 parent {site.upstream} 0 no-query originserver name=origin",
            "http_access allow all",
            "cache_mem 64 MB",
            "pid_filename none",
            "access_log none",
            f"cache_log {site.directory}/cache.log",
            f"coredump_dir {site.directory}",
            "shutdown_lifetime 0 seconds",
            "visible_hostname reader",
            "",
        )
        return Launch(("-N", "-f", site.write("squid.conf", "\n".join(lines))))

    return recipe


def nghttpx() -> Recipe:
    """Cleartext HTTP/1.1 on both sides."""

    def recipe(site: Site) -> Launch:
        return Launch(
            (
                f"--frontend=127.0.0.1,{site.port};no-tls",
                f"--backend=127.0.0.1,{site.upstream}",
                "--workers=1",
                f"--conf={site.write('nghttpx.conf', '')}",
            )
        )

    return recipe


def trafficserver() -> Recipe:
    """Maps everything to the origin."""

    def recipe(site: Site) -> Launch:
        home, packaged = site.directory, Path("/etc/trafficserver")
        etc = home / "etc"
        shutil.copytree(packaged, etc, ignore=shutil.ignore_patterns("*.pem"))
        for name in ("var", "log", "run", "cache", "share"):
            (home / name).mkdir()
        settings = {
            "http.server_ports": f"STRING {site.port}:ip-in=127.0.0.1",
            "admin.user_id": "STRING www-data" if os.getuid() == 0 else "STRING #-1",
            "exec_thread.autoconfig.enabled": "INT 0",
            "exec_thread.limit": "INT 2",
            "url_remap.remap_required": "INT 1",
            "url_remap.pristine_host_hdr": "INT 1",
            "http.insert_response_via_str": "INT 0",
            "diags.show_location": "INT 0",
        }
        site.write("etc/records.config", "".join(f"CONFIG proxy.config.{k} {v}\n" for k, v in settings.items()))
        site.write("etc/remap.config", f"map / http://127.0.0.1:{site.upstream}/\n")
        site.write("etc/storage.config", f"{home}/cache 32M\n")
        places = {
            "prefix": home,
            "exec_prefix": home,
            "bindir": "/usr/bin",
            "sbindir": "/usr/sbin",
            "sysconfdir": etc,
            "datadir": home / "share",
            "includedir": home / "share",
            "libdir": "/usr/lib",
            "libexecdir": "/usr/lib/trafficserver/modules",
            "localstatedir": home / "var",
            "runtimedir": home / "run",
            "logdir": home / "log",
            "cachedir": home / "cache",
        }
        root = site.write("runroot.yaml", "".join(f"{name}: {place}\n" for name, place in places.items()))
        if os.getuid() == 0:
            for path in (home, *home.rglob("*")):
                shutil.chown(path, "www-data")
        return Launch((f"--run-root={root}",))

    return recipe
