"""`dpk demo`, as `make demo` calls it, with shorter trainings: the main job from an empty folder to the report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from client.demo_job import DEMO_JOB
from service.wire.boards import Leaderboard
from tests.acceptance.system import PATIENT, ROOT

pytestmark = PATIENT

SEEDS = 2
SHORTER = f"""
from client import demo
from client.command import main

budget = demo.DEMO_JOB.budget.model_copy(update={{"epochs": 3, "teacher_epochs": 2}})
demo.DEMO_JOB = demo.DEMO_JOB.model_copy(update={{"budget": budget, "seeds": {SEEDS}}})
main(["demo"])
"""


def test_the_demo_answers_with_everything_it_promises(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DPK_")}
    done = subprocess.run(
        [sys.executable, "-c", SHORTER], cwd=ROOT, env={**ours, "DPK_HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (report,), (page,) = (home / "reports").glob("*.json"), (home / "reports").glob("*.html")
    assert str(report) in done.stdout
    assert str(page) in done.stdout
    assert "Traceback" not in done.stdout + done.stderr

    board = Leaderboard.model_validate_json(report.read_text())
    assert {row.teacher for row in board.rows} == {*map(str, DEMO_JOB.teachers), None}
    assert len(DEMO_JOB.teachers) >= 5
    assert board.verdict is not None
    assert board.verdict.final
    assert board.verdict.sentence.split(".")[0] in " ".join(done.stdout.split())
    for row in board.rows:
        assert len(row.seeds) == SEEDS
        assert (row.teacher is None) == (row.teacher_accuracy is None)
        trained = row.status == "finished"
        assert all(seed.full_score is not None for seed in row.seeds) == trained
        assert all((seed.test_score is None) == (seed.full_score is None) for seed in row.seeds)
    # Exploring may have trained others fully too.
    assert sum(row.status == "finished" for row in board.rows) >= DEMO_JOB.budget.promote + 1
    assert [each.stage for each in board.decisions][-1] == "confirming"
    assert sum(row.chance or 0 for row in board.rows) == pytest.approx(1)
    assert len({row.teacher_accuracy for row in board.rows if row.teacher is not None}) > 3, "the teachers look alike"
    for curve in board.curves:
        taught = curve.purpose == "student" and curve.label != "no teacher"
        assert all(("share.last" in point.values) == taught for point in curve.points)
    measured = [each for each in board.correlations if each.value is not None]
    assert all(each.low is not None and each.high is not None for each in measured)
    assert board.ledger.spent > 0
    assert board.ledger.saved is not None
    assert "<script" not in page.read_text()

    left = [
        each for each in psutil.process_iter(["environ"]) if (each.info["environ"] or {}).get("DPK_HOME") == str(home)
    ]
    assert left == []
