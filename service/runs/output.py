"""What training processes write themselves, as warnings and tracebacks: one file for each slot of a worker, under its
home, with a line where each run begins. A server on the same machine, or on the same home, can show it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

MOST_LINES = 60
MOST_BYTES = 256 * 1024
"""Looked at of a file, from its end."""
MOST_FILES = 50
_MARK = "=== run "


def folder(home: Path) -> Path:
    """Where the files are."""
    return home / "logs"


def begin(log: Path, run_id: str) -> None:
    """Notes in a slot's file that what follows is this run's. A full disk is no reason not to train."""
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{_MARK}{run_id}\n")


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
