"""Whether stated chances came true, read from real jobs on SQLite and on Postgres."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from dpk_core.codec import from_json, to_json
from dpk_core.errors import InvalidRequest
from dpk_core.selection.decide.verdict import Verdict
from service.calibration.schemas import Calibration
from service.calibration.service import calibration
from service.database.session import reading, transaction
from service.database.tables import Decision, SelectionJob
from service.scheduling import repository
from service.scheduling.evidence import job_results
from service.scheduling.outcome import Outcome, Stated, outcome
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS

pytestmark = pytest.mark.usefixtures("store")

SURE = {"cifar/resnet20": 0.92, "cifar/resnet14w8": 0.05, "cifar/resnet8w8": 0.03}


def ask(dataset: str | None = None, method: str | None = None) -> Calibration:
    with reading() as session:
        return calibration(session, dataset, method)


def stated(chances: dict[str, float], *, epochs: int = 8, promote: int = 3) -> str:
    """A finished job that stated these chances when it began to confirm."""
    job_id = drive.submit(drive.request(epochs=epochs, rungs=(2, 4, epochs), promote=promote, policy="halving"))
    drive.run_to_end(job_id)
    say(job_id, chances)
    return job_id


def say(job_id: str, chances: dict[str, float]) -> None:
    """Puts other chances in the place of those that the job stated, as if it had ended with them."""
    with transaction() as session:
        for each in session.scalars(select(Decision).where(Decision.job_id == job_id)):
            summary = {**each.document["summary"], "chances": chances} if chances else None
            each.document = {**each.document, "summary": summary}
        session.flush()
        job = session.get_one(SelectionJob, job_id)
        verdict = from_json(Verdict, repository.newest_verdicts(session, [job_id])[job_id].document)
        snapshot = repository.snapshot(session, job)
        results = job_results(snapshot, repository.measured(session, snapshot))
        job.outcome = to_json(outcome(snapshot, verdict, results))


def stated_by(job_id: str) -> Stated:
    with reading() as session:
        document = session.get_one(SelectionJob, job_id).outcome
    found = from_json(Outcome, document).stated
    assert found is not None
    return found


@ON_SQLITE
def test_jobs_that_stated_nothing_are_no_record() -> None:
    stated({})
    found = ask()
    assert (found.jobs, found.claims, found.held, found.bins) == (0, 0, None, [])
    assert found.sentence == (
        "Not measurable yet: of 0 jobs that stated chances, 0 trained enough teachers fully to tell whether they held; "
        "it takes 5."
    )


@ON_SQLITE
def test_what_is_said_of_full_trainings_that_are_known_is_no_claim() -> None:
    job_id = drive.submit(drive.request(policy="exhaustive"))
    drive.run_to_end(job_id)
    assert all(each.chances for each in drive.board(job_id).decisions)
    assert (ask().jobs, ask().claims) == (1, 0), "before any result it held all teachers possible"


@ON_SQLITE
def test_chances_are_those_from_before_the_first_full_training() -> None:
    job_id = drive.submit(drive.request(promote=3, policy="halving"))
    drive.run_to_end(job_id)
    assert ask().jobs == 1
    trained = next(
        each for each in drive.board(job_id).decisions if any(step.epochs == 8 for step in each.steps)
    )  # the last one that was made without a full training
    assert stated_by(job_id).chances == trained.chances
    assert set(trained.chances) == set(TEACHERS)


@ON_SQLITE
def test_enough_judged_jobs_make_a_record() -> None:
    for epochs in range(8, 12):
        stated(SURE, epochs=epochs)
    # Trained fully: the likeliest and another one, which the stated set leaves out.
    stated(SURE, epochs=12, promote=2)
    found = ask()
    assert (found.jobs, found.claims, found.exhaustive, found.size) == (5, 5, 4, 1)
    assert found.held is not None
    assert found.held.value == 1
    assert [(each.count, each.won.value) for each in found.bins] == [(5, 0), (5, 0), (5, 1)]
    assert found.sentence.startswith("The stated 90% sets held the winner in 100% of 5 jobs (90% interval 65 to 100%)")


@ON_SQLITE
def test_a_set_that_was_trained_alone_is_not_judged() -> None:
    stated(SURE, promote=1)
    assert (ask().jobs, ask().claims) == (1, 0)


def test_the_same_question_counts_once() -> None:
    stated(SURE)
    stated(SURE)
    assert ask().jobs == 1


def test_it_can_be_asked_of_one_method_or_data_set() -> None:
    stated(SURE)
    assert ask("digits", "dpk").jobs == 1
    assert ask(method="kd").jobs == 0
    with pytest.raises(InvalidRequest, match="digits"):
        ask("digitz")


@ON_SQLITE
def test_a_failed_teacher_is_no_miss() -> None:
    job_id = drive.submit(drive.request(promote=3, policy="halving"))
    failing = drive.Failure("The pictures are gone.")
    drive.run_to_end(
        job_id,
        lambda spec: failing if spec.is_full and spec.training.teacher and spec.training.teacher.model == TEACHERS[0]
        else drive.by_skill(spec),
    )  # fmt: skip
    say(job_id, SURE)
    assert (ask().claims, ask().exhaustive) == (1, 1)
