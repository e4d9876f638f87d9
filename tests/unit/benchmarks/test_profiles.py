"""The two profiles are compared on the seeds that both have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import profiles, record, table
from benchmarks.table import Table
from tests.unit.benchmarks.made_up_table import made_up

SAME, OTHER = (0.5, 0.55, 0.65, 0.75, 0.85), (0.5, 0.85, 0.75, 0.65, 0.55)
"""No teacher, then students in one order and in the opposite one."""


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The intervals here are whole or empty, which fewer draws show as well."""
    monkeypatch.setattr(profiles, "DRAWS", 500)


def of(profile: str, truth: tuple[float, ...]) -> Table:
    """A table of five seeds."""
    found = made_up(f"profiles-plain4-{profile}", 0, truth)
    found.metadata.update(student="cifar/plain4", trained=[{"machine": "m"}] * 5)
    return found


def test_the_same_order_agrees_and_the_opposite_one_does_not() -> None:
    same = profiles.compared(of("probe", SAME), of("paper", SAME), [0, 1, 2, 3, 4])
    assert (same["tau"], same["tau_low"], same["tau_high"]) == (1, 1, 1)
    assert same["targets"][0]["met"]
    assert same["agreement_with_itself"] == {"probe": 1, "paper": 1}
    assert [row["teacher"] for row in same["rows"]] == [f"family/teacher{index}" for index in range(4)]
    assert len(same["rows"][0]["paper"]) == 5
    opposite = profiles.compared(of("probe", SAME), of("paper", OTHER), [0, 1])
    assert opposite["tau"] == -1
    assert not opposite["targets"][0]["met"]
    assert len(opposite["rows"][0]["paper"]) == 2


def test_seeds_are_found_by_name_not_by_place() -> None:
    found = of("probe", SAME)
    found.metadata["seeds"] = [4, 3, 2, 1, 0]
    by_seed_TS = profiles.accuracies(found, [4, 0])
    assert np.array_equal(by_seed_TS, found.test_right_ASN[1:, [0, 4]].mean(2))


def test_two_seeds_are_enough_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profiles, "FOLDER", tmp_path)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    profiles.report()
    assert "0 of 5 seeds are finished" in capsys.readouterr().out
    for profile in ("probe", "paper"):
        table.grow(of(profile, SAME), (*range(5), 5), tmp_path)
    profiles.report()
    assert json.loads((tmp_path / "profiles.json").read_text())["tau"] == 1
