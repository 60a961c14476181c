"""A throw-away certificate for a proxy, and how a reader comes to trust it.

Knows the openssl command and Python's contexts. Does not know who listens.
"""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_COMMAND = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=origin.test"


def make(directory: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file in this directory."""
    path, public = directory / "certificate.pem", directory / "public.pem"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(public)]
    subprocess.run([*_COMMAND.split(), *more], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + public.read_bytes())
    return path


def trusting(certificate: Path | None, protocol: str) -> ssl.SSLContext | None:
    """How a reader speaks TLS to who has this certificate, with this ALPN protocol; None where there is none."""
    if certificate is None:
        return None
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols([protocol])
    return context
