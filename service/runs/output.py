"""What training processes write themselves, as warnings and tracebacks: one file for each slot of a worker, under its
home, with a line where each run begins. A server on the same machine, or on the same home, can show it."""

from __future__ import annotations

import time
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

MOST_LINES = 60
MOST_BYTES = 256 * 1024
"""Looked at of a file, from its end."""
MOST_FILES = 50
MOST_KEPT_BYTES = 16 * 1024 * 1024
"""A file larger than this is emptied when the next run begins."""
KEEP_SECONDS = 7 * 86_400.0
"""A file is kept after its worker has left."""
_MARK = "=== run "


def folder(home: Path) -> Path:
    """Where the files are."""
    return home / "logs"


def begin(log: Path, run_id: str) -> None:
    """Notes in a slot's file that what follows is this run's. A file past `MOST_KEPT_BYTES` begins anew: its runner
    appends, so what it writes next stands at the start. A full disk is no reason not to train."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        if file.tell() > MOST_KEPT_BYTES:
            file.truncate(0)
        file.write(f"{_MARK}{run_id}\n")


def name(worker_id: str, slot: int) -> str:
    """The name of a slot's file."""
    return f"{worker_id}-{slot}.log"


def remove_old(home: Path, workers: Container[str]) -> None:
    """Deletes files that none of these workers writes to and that were not written to for `KEEP_SECONDS`."""
    for file in folder(home).glob("*.log"):
        if file.stem.rpartition("-")[0] not in workers and file.stat().st_mtime < time.time() - KEEP_SECONDS:
            file.unlink(missing_ok=True)


def is_mark(line: str) -> bool:
    """Whether a line is one that `begin` wrote."""
    return line.startswith(_MARK)


def written(home: Path, run_id: str) -> list[str] | None:
    """The last lines that the run's newest attempt wrote; None where no file here has it."""
    try:
        files = sorted(folder(home).glob("*.log"), key=lambda file: -file.stat().st_mtime)[:MOST_FILES]
        for file in files:
            if (found := _section(file, run_id)) is not None:
                return found
    except OSError:
        return None
    return None


def _section(file: Path, run_id: str) -> list[str] | None:
    with file.open("rb") as log:
        log.seek(max(0, log.seek(0, 2) - MOST_BYTES))
        _, mark, after = log.read().decode(errors="replace").rpartition(f"{_MARK}{run_id}\n")
    return after.partition(_MARK)[0].splitlines()[-MOST_LINES:] if mark else None
