"""What runs noticed reaches the leaderboards of all jobs that use them, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.protocol import Notice, RunResult
from dpk_core.spec import RunSpec
from service.best_teacher.service import best_teacher
from service.runs.claims import Claim
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, Failure, by_skill

pytestmark = pytest.mark.usefixtures("store")

HEAD = Notice(level="info", message="Teacher: the head was drawn anew.")
SHARE = Notice(level="warning", message="In most steps the share of stage last took its fallback value.")


@pytest.fixture
def noticing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the best teacher and of its students find something to say."""
    plain = drive.result

    def result(held: Claim, accuracy: float) -> RunResult:
        training = held.spec.training
        names = (training.model, training.teacher.model if training.teacher else "")
        notices = (HEAD if training.role == "teacher" else SHARE,) if "cifar/resnet20" in names else ()
        return replace(plain(held, accuracy), notices=notices)

    monkeypatch.setattr(drive, "result", result)


@pytest.mark.usefixtures("noticing")
def test_notices_come_with_runs_that_were_reused() -> None:
    drive.run_to_end(drive.submit())
    again = drive.submit(drive.request(policy="exhaustive", promote=1))
    drive.run_to_end(again)
    board = drive.board(again)
    assert board.ledger.reused > 0
    rows = {row.teacher: [notice.message for notice in row.notices] for row in board.rows}
    assert rows.pop("cifar/resnet20") == [SHARE.message, HEAD.message]
    assert not any(rows.values())


@ON_SQLITE
@pytest.mark.usefixtures("noticing")
def test_a_verdict_on_teachers_that_learned_nothing_is_marked_everywhere() -> None:
    def blind(spec: RunSpec) -> float:
        return 0.1 if spec.training.role == "teacher" else by_skill(spec)

    job_id = drive.submit()
    drive.run_to_end(job_id, blind)
    board = drive.board(job_id)
    assert board.verdict is not None
    (caution,) = board.verdict.cautions
    assert caution.startswith("No teacher tells the classes better than chance: ")
    assert board.job.verdict == board.job.headline == f"{board.verdict.sentence} Caution: {caution}"
    assert "Caution" not in board.verdict.sentence
    answer = best_teacher("cifar/resnet8w4", "digits", "dpk")
    assert (answer.cautions, answer.sentence) == ([caution], board.job.headline)


def test_a_job_whose_every_arm_fails_says_its_cause_once() -> None:
    job_id = drive.submit()
    drive.run_to_end(job_id, lambda _: Failure("The data are gone."))
    board = drive.board(job_id)
    assert (board.job.state, board.job.stage) == ("failed", "confirming")
    assert board.job.failure == board.job.headline == "No training finished. The data are gone."
    assert [stage.state for stage in board.job.progress] == ["failed", "not_reached", "failed", "not_reached"]
    assert board.verdict is None
    assert all((row.reason or "").endswith(" failed: The data are gone.") for row in board.rows)
    kinds = [event.kind for event in drive.events_of(job_id)]
    assert kinds[-1] == "failed"
