"""Every snippet in the README and the docs runs.

A ``python`` block runs as it stands, in a process and an empty folder of its own. ``<!-- file: NAME -->`` above a
block of any kind writes it to that file first, for the blocks after it in the same document. A ``console`` block's
lines that begin with ``$`` run in a shell there; ``<!-- status: N -->`` above it names the exit status, else 0. Lines
of its output must all appear in what the command prints, numbers aside; ``…`` stands for what is left out.
``<!-- not run: WHY -->`` says why a block can't run in a test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(
    r"(?P<notes>(?:<!-- [^>]* -->\n)*)(?P<indent>[ ]*)```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)\n(?P=indent)```", re.DOTALL
)
_NOTE = re.compile(r"<!-- (?P<name>[a-z ]+): (?P<value>[^>]*) -->")


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    notes: dict[str, str]
    line: int


def blocks(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        notes = {note["name"]: note["value"] for note in _NOTE.finditer(match["notes"])}
        body = "\n".join(line.removeprefix(match["indent"]) for line in match["text"].split("\n"))
        found.append(Block(match["kind"], body, notes, text.count("\n", 0, match.start()) + 1))
    return found


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    places = os.pathsep.join((str(folder), str(ROOT)))
    return {**os.environ, "PATH": path, "PYTHONPATH": places, "NO_COLOR": "1", "COLUMNS": "80", "DEMO_DELAY": "0.1"}


def shape(line: str) -> str:
    """A line without what changes from run to run: numbers, spacing, bars."""
    line = re.sub(r" \|.*", " |", line)
    line = re.sub(r" \|.*", " |", line)  # a waterfall's marks are where the clock had them
    return re.sub(r"\s+", " ", re.sub(r"[\d.]+(?:ms|s)?|[▁▂▃▄▅▆▇█·|]+", "#", line)).strip()


def run_console(block: Block, folder: Path, place: str) -> None:
    wanted: list[str] = []
    command: str | None = None

    def finish() -> None:
        if command is None:
            return
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert done.returncode == int(block.notes.get("status", "0")), f"{place}: $ {command}\n{done.stdout}"
        printed = {shape(line) for line in done.stdout.splitlines()}
        for line in wanted:
            if "…" not in line and shape(line):
                assert shape(line) in printed, f"{place}: $ {command}\nnever printed {line!r}, but\n{done.stdout}"

    for line in block.text.split("\n"):
        if line.startswith("$ "):
            finish()
            command, wanted = line[2:], []
        elif line.startswith("> ") and command is not None and command.endswith("\\"):
            command += "\n" + line[2:]
        else:
            wanted.append(line)
    finish()


@pytest.mark.servers
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_snippet_runs(document: Path, tmp_path: Path) -> None:
    for block in blocks(document):
        place = f"{document.name}:{block.line}"
        if "not run" in block.notes:
            continue
        if "file" in block.notes:
            target = tmp_path / block.notes["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text + "\n", "utf-8")
        if block.kind == "python" and "only" not in block.notes.get("kind", ""):
            done = subprocess.run(
                [sys.executable, "-c", block.text],
                cwd=tmp_path,
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                timeout=100,
            )
            assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}"
        elif block.kind == "console":
            run_console(block, tmp_path, place)
        else:
            assert block.kind in ("toml", "ini", "json", "text", "mermaid", "sh"), f"{place}: what is {block.kind}?"


def test_there_are_snippets_to_run() -> None:
    assert sum(len(blocks(document)) for document in DOCUMENTS) >= 5


def test_a_snippet_that_fails_is_seen(tmp_path: Path) -> None:
    """The check itself can fail: a wrong status, a line that is never printed."""
    with pytest.raises(AssertionError, match="false"):
        run_console(Block("console", "$ false", {}, 1), tmp_path, "here")
    with pytest.raises(AssertionError, match="never printed 'other'"):
        run_console(Block("console", "$ echo one\nother", {}, 1), tmp_path, "here")
    run_console(Block("console", "$ echo took 5 s\ntook 7.1 s", {}, 1), tmp_path, "here")
