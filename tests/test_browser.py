"""What a real Chromium gets: a page that grows, and a stream in as many reads as the hops let through."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streamproof.serving.server import serve

from .support.browser_app import CHUNKS

pytestmark = [pytest.mark.browser, pytest.mark.servers]

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def rendered(url: str, profile: Path) -> str:
    """The document once it has loaded."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing: apt-get install chromium")
        pytest.skip("Chromium is missing: apt-get install chromium")
    command = [chromium, *QUIET, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("via", "reads"), [(None, CHUNKS), ("gae-standard", 1)])
def test_a_browser_reads_a_stream_in_pieces_or_all_at_once(via: str | None, reads: int, tmp_path: Path) -> None:
    """The negative control is the hop that joins: the same page then counts one read."""
    with serve("tests.support.browser_app:app", via=via, options=("--threads", "4")) as server:
        document = rendered(f"{server.url}/", tmp_path)
    found = re.search(r"(\d+) reads?, (\d+) bytes", document)
    assert found is not None, document
    assert int(found[2]) == CHUNKS * len("data: 0\n\n")
    assert int(found[1]) == reads


def test_the_page_of_the_seed_is_whole(tmp_path: Path) -> None:
    with serve("demo_apps.flask_stream:app", options=("--threads", "4")) as server:
        document = rendered(f"{server.url}/streamhtml?nblocks=5&block_size=200", tmp_path)
    assert "<h1>5 blocks of 200 bytes</h1>" in document
    assert document.rstrip().endswith("</html>")
