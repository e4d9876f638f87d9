"""Rows that are kept know what they were made by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import calibration, record


def test_code_counts_and_words_do_not(tmp_path: Path) -> None:
    said = {}
    for name, source in {
        "plain": "def twice(x):\n    return 2 * x\n",
        "documented": '"""A module."""\n\n\ndef twice(x):\n    """Two times."""\n    return 2 * x  # exact\n',
        "other": "def twice(x):\n    return 3 * x\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
        said[name] = record._without_words(tmp_path / f"{name}.py")
    assert said["plain"] == said["documented"] != said["other"]


@pytest.mark.parametrize("changed", ["verdict.py", "tasks.py", "replay.py"])
def test_what_decides_counts(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, read = record.made_by("replay"), record._without_words
    monkeypatch.setattr(
        record, "_without_words", lambda source: read(source) + (source.name if source.name == changed else "")
    )
    record._code.cache_clear()
    assert record.made_by("replay") != before
    record._code.cache_clear()


def test_data_count(tmp_path: Path) -> None:
    data = tmp_path / "table.npz"
    data.write_bytes(b"1")
    before = record.made_by("replay", data=data)
    assert before != record.made_by("table", data=data) != record.made_by("replay")
    data.write_bytes(b"2")
    assert record.made_by("replay", data=data) != before


def test_a_calibration_makes_rows_of_other_code_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    rows = list(calibration.wanted(1))
    made = [{"part": row.part, "name": row.name, "jobs": 1, "made_by": row.made_by} for row in rows]
    made[1]["made_by"] = "other code"
    (tmp_path / "calibration.json").write_text(json.dumps({"rows": made}))
    assert calibration.missing(rows) == [rows[1]]
