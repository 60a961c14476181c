"""JSON lines: what is written is read again, files rotate, and processes share them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamproof import Outcome, TraceError
from streamproof.cli import main
from streamproof.exporters.jsonl import JsonLines, read

from ..support.exported import trace


class TestJsonLines:
    def test_what_is_written_is_read_again_without_bodies(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        JsonLines(path)(trace())
        JsonLines(path, bodies=True)(trace())
        bare, full = read(path)
        assert [chunk.size for chunk in bare.chunks] == [10, 5, 1]
        assert not bare.has_data
        assert full == trace()
        assert path.stat().st_mode & 0o777 == 0o600

    def test_it_rotates_before_it_grows_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        size = len(trace().to_json()) + 1
        write = JsonLines(path, max_bytes=2 * size, backups=2, bodies=True)
        for number in range(9):
            write(trace(target=f"/{number}"))
        kept = [
            [each.request.target for each in read(tmp_path / name)] for name in ("t.jsonl", "t.jsonl.1", "t.jsonl.2")
        ]
        assert kept == [["/8"], ["/6", "/7"], ["/4", "/5"]]
        assert not (tmp_path / "t.jsonl.3").exists()

    def test_processes_share_a_file_and_lose_nothing(self, tmp_path: Path) -> None:
        path, size = tmp_path / "t.jsonl", len(trace().to_json()) + 40
        children = []
        for worker in range(4):
            if (pid := os.fork()) == 0:
                write = JsonLines(path, max_bytes=10 * size, backups=30, bodies=True)
                for number in range(40):
                    write(trace(target=f"/{worker}-{number}"))
                os._exit(0)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        files = [each for each in tmp_path.iterdir() if "lock" not in each.name]
        found = sorted(entry.request.target for each in files for entry in read(each))
        assert found == sorted(f"/{worker}-{number}" for worker in range(4) for number in range(40))

    def test_clean_traces_are_sampled_and_others_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        chances = iter((0.05, 0.5, 0.2))
        write = JsonLines(path, sample=0.1, chance=lambda: next(chances))
        for outcome in (Outcome.COMPLETE, Outcome.COMPLETE, Outcome.CUT, Outcome.CLIENT_GONE, Outcome.COMPLETE):
            write(trace(outcome))
        assert [each.outcome for each in read(path)] == ["complete", "cut", "client_gone"]

    def test_a_full_disk_is_an_error_and_leaves_no_half_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "t.jsonl"
        JsonLines(path)(trace())
        whole, real = path.read_bytes(), os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
        with pytest.raises(OSError, match="Is the disk full"):
            JsonLines(path)(trace())
        monkeypatch.undo()
        assert path.read_bytes() == whole

    def test_a_spoiled_line_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        path.write_text(trace().to_json() + "\n{\n")
        with pytest.raises(TraceError, match=r"t\.jsonl, line 2: "):
            list(read(path))

    def test_replay_reads_a_line_of_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "t.jsonl"
        write = JsonLines(path)
        write(trace(target="/first"))
        assert main(["replay", str(path), "--json"]) in (0, 1)
        write(trace(target="/second"))
        assert main(["replay", f"{path}:2", "--via", "passthrough", "--json"]) in (0, 1)
        assert main(["replay", str(path)]) == 2
        assert "t.jsonl:1 for the first" in capsys.readouterr().err
        assert main(["replay", f"{path}:3"]) == 2
        assert "Expected 1 to 2" in capsys.readouterr().err
