"""Files are whole or not there, also when the disk is full."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from dpk_core import artifacts
from dpk_core.disk import machine
from dpk_core.errors import ArtifactFault, DiskFault
from dpk_core.protocol import ArtifactReference


class TestWrite:
    @pytest.mark.parametrize(
        ("number", "sentence"),
        [
            (errno.ENOSPC, "The disk is full on {machine} (artifact root {root}). Free space there;"),
            (errno.EDQUOT, "The disk is full on {machine} (artifact root {root}). Free space there;"),
            (errno.EROFS, "Files cannot be kept on {machine} (artifact root {root}): Read-only file system."),
        ],
    )
    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_what_the_disk_refuses_leaves_nothing_behind_and_names_machine_and_folder(
        self, number: int, sentence: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        artifacts.write(tmp_path, "runs/a.pt", b"old")

        def refuse(*_arguments: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, step, refuse)
        with pytest.raises(DiskFault) as caught:
            artifacts.write(tmp_path, "runs/a.pt", b"new")
        assert str(caught.value).startswith(sentence.format(machine=machine(), root=tmp_path))
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.pt"]
        assert (tmp_path / "runs" / "a.pt").read_bytes() == b"old"

    def test_a_root_that_cannot_be_made_is_a_fault_of_the_disk(self, tmp_path: Path) -> None:
        (tmp_path / "root").write_text("a file")
        with pytest.raises(DiskFault, match="Not a directory"):
            artifacts.write(tmp_path / "root", "runs/a.pt", b"new")

    def test_two_writers_of_the_same_path_both_succeed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second one begins and ends while the first has written its file and not put it in place yet."""
        replace, first = os.replace, threading.Event()

        def replace_after_another(source: Path, target: Path) -> None:
            if not first.is_set():
                first.set()
                artifacts.write(tmp_path, "models/a", b"content")
            replace(source, target)

        monkeypatch.setattr(os, "replace", replace_after_another)
        artifacts.write(tmp_path, "models/a", b"content")
        assert [path.name for path in (tmp_path / "models").iterdir()] == ["a"]
        assert (tmp_path / "models" / "a").read_bytes() == b"content"


class TestRead:
    FILE = ArtifactReference(path="a.pt", sha256="0" * 64, bytes=1)

    def test_a_missing_file_is_a_fault_of_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactFault, match=r"a\.pt cannot be read"):
            artifacts.read(tmp_path, self.FILE)

    def test_a_missing_root_is_not(self, tmp_path: Path) -> None:
        with pytest.raises(DiskFault, match="artifact root"):
            artifacts.read(tmp_path / "unmounted", self.FILE)
