"""The replays go on where they were stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import record, selection, subsets


def test_a_table_is_replayed_once_for_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replays: list[int] = []

    def replayed(_own: object, jobs: int) -> list[dict[str, Any]]:
        replays.append(jobs)
        return [{"way": "random", "regret": 0.5}]

    monkeypatch.setattr(subsets, "WORK", tmp_path)
    monkeypatch.setattr(selection, "replayed", replayed)
    name = "coarse-plain2-kd"
    assert selection._one(name, 3) == selection._one(name, 3) == [{"way": "random", "regret": 0.5}]
    assert replays == [3]
    selection._one(name, 4)
    monkeypatch.setattr(record, "made_by", lambda *_modules, **_data: "changed")
    selection._one(name, 4)
    assert replays == [3, 4, 4]
