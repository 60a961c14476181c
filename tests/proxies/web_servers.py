"""How each web server is set up: the least configuration that makes it a reverse proxy, and what to run.

Knows the products' own configuration languages. Each function returns a recipe; its arguments are lines in that
language, so that a configuration reads as it would in production. No access logs, one worker where that can be said:
the machine is shared with the origin and the reader.
"""

from __future__ import annotations

import os

from .products import Launch, Recipe, Site


def nginx(*location: str, server: str = "", listen: str = "") -> Recipe:
    """``location``, ``server``: lines of these blocks; ``listen``: parameters of the listening socket."""

    def recipe(site: Site) -> Launch:
        home = site.directory
        paths = (f"{what}_temp_path {home}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        keys = (
            f"ssl_certificate {site.certificate}; ssl_certificate_key {site.certificate};" if site.certificate else ""
        )
        path = site.write(
            "nginx.conf",
            f"""daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
            {"user root;" if os.getuid() == 0 else ""}
            events {{ worker_connections 256; }}
            http {{
              access_log off; {" ".join(paths)}
              server {{
                listen 127.0.0.1:{site.port} {listen}; {keys} {server}
                location / {{ proxy_pass http://127.0.0.1:{site.upstream}; {" ".join(location)} }}
              }}
            }}""",
        )
        return Launch(("-c", path, "-p", str(home), "-e", f"{home}/error.log"))

    return recipe


def apache(*lines: str, modules: tuple[str, ...] = (), flags: str = "") -> Recipe:
    """``lines``: of the server; ``modules``: beside those of a reverse proxy; ``flags``: parameters of ProxyPass."""

    def recipe(site: Site) -> Launch:
        home = site.directory
        wanted = ("mpm_event", "authz_core", "proxy", "proxy_http", *modules)
        loads = (f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in wanted)
        fixed = (
            f"ServerRoot {home}",
            *loads,
            f"Listen 127.0.0.1:{site.port}",
            "ServerName origin.test",
            *(("User www-data", "Group www-data") if os.getuid() == 0 else ()),
            f"PidFile {home}/pid",
            f"ErrorLog {home}/error.log",
            "StartServers 1",
            f"ProxyPass / http://127.0.0.1:{site.upstream}/ {flags}",
        )
        return Launch(("-f", site.write("apache.conf", "\n".join((*fixed, *lines, ""))), "-DFOREGROUND"))

    return recipe


def caddy(*lines: str, flush: str = "0") -> Recipe:
    """``lines``: of the site block; ``flush``: flush_interval of the reverse proxy."""

    def recipe(site: Site) -> Launch:
        own = "\n".join(lines)
        path = site.write(
            "Caddyfile",
            f"{{\nadmin off\nauto_https off\n}}\nhttp://:{site.port} {{\nbind 127.0.0.1\n{own}\n"
            f"reverse_proxy 127.0.0.1:{site.upstream} {{\nflush_interval {flush}\n}}\n}}\n",
        )
        home = str(site.directory)
        return Launch(
            ("run", "--config", path, "--adapter", "caddyfile"),
            {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
        )

    return recipe


def lighttpd(*lines: str) -> Recipe:
    """``lines``: of the server."""

    def recipe(site: Site) -> Launch:
        home = site.directory
        (home / "uploads").mkdir()
        fixed = (
            f'server.document-root = "{home}"',
            'server.bind = "127.0.0.1"',
            f"server.port = {site.port}",
            f'server.errorlog = "{home}/error.log"',
            f'server.upload-dirs = ("{home}/uploads")',
            'server.modules = ("mod_proxy")',
            f'proxy.server = ("" => (("host" => "127.0.0.1", "port" => {site.upstream})))',
        )
        return Launch(("-D", "-f", site.write("lighttpd.conf", "\n".join((*fixed, *lines, "")))))

    return recipe


def h2o(*lines: str) -> Recipe:
    """``lines``: of the top level."""

    def recipe(site: Site) -> Launch:
        own = "\n".join(lines)
        path = site.write(
            "h2o.yaml",
            f"""{"user: root" if os.getuid() == 0 else ""}
num-threads: 1
temp-buffer-path: "{site.directory}"
error-log: {site.directory}/error.log
{own}
hosts:
  default:
    listen: {{host: 127.0.0.1, port: {site.port}}}
    paths:
      "/":
        proxy.reverse.url: "http://127.0.0.1:{site.upstream}/"
""",
        )
        return Launch(("-m", "worker", "-c", path))

    return recipe
