"""Fidelity, rivals and stamps of real jobs on SQLite and on Postgres, with run results fed by hand."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm.attributes import flag_modified

from dpk_core.codec import from_json
from service.database.session import reading, transaction
from service.database.tables import Run, SelectionJob
from service.leaderboards.earlier import comparison_groups
from service.scheduling.outcome import Outcome
from service.scheduling.plan import Plan
from service.wire.choices import ModelChoice
from service.wire.jobs import SelectionJobRequest
from service.wire.setting_choices import MethodChoice, RecipeChoice
from service.wire.trust import Rival
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS, by_skill

pytestmark = pytest.mark.usefixtures("store")

BEST = "cifar/resnet20"


def rivals(job_id: str) -> dict[str, Rival]:
    return {rival.name: rival for rival in drive.board(job_id).trust.rivals}


def finished(**changes: int) -> str:
    job_id = drive.submit(asked(**changes))
    drive.run_to_end(job_id)
    return job_id


def asked(*, epochs: int = 8, **changes: int) -> SelectionJobRequest:
    """A job that trains two teachers fully, so that rules can be judged."""
    return drive.request(epochs=epochs, rungs=(2, 4, epochs), policy="halving", **changes)


class TestRivals:
    @ON_SQLITE
    def test_every_rule_is_judged_on_the_fully_trained(self) -> None:
        job_id = finished()
        trust, found = drive.board(job_id).trust, rivals(job_id)
        assert (trust.teachers, trust.trained, trust.audited, trust.winner) == (3, 2, 0, BEST)
        assert trust.note.startswith("Over the 2 of 3 teachers that were trained fully; the others were dropped")
        for name in ("probe", "teacher_accuracy", "logme", "leep"):
            assert (found[name].picks, found[name].hit) == ([BEST], 1.0), name
            regret = found[name].regret
            assert regret is not None
            assert regret.value == 0
        assert found["h_score"].picks == ["cifar/resnet8w8"]
        assert (found["h_score"].hit, found["h_score"].trained_picks) == (None, ["cifar/resnet14w8"])
        # All teachers have the same size here, and students start equally far from all of them.
        assert found["size"].picks == found["cka_gap"].picks == sorted(TEACHERS)
        random = found["random"]
        assert random.regret is not None
        assert found["h_score"].regret is not None
        assert random.regret.value == pytest.approx(found["h_score"].regret.value / 2)

    @ON_SQLITE
    def test_fully_trained_is_what_the_verdict_calls_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(drive.SKILL, "cifar/resnet14w8", 0.879)
        job_id = drive.submit(drive.request(seeds=3, promote=2))
        drive.run_to_end(job_id)
        board = drive.board(job_id)
        full = {row.teacher: row.full.seeds for row in board.rows if row.teacher is not None and row.full is not None}
        assert (len(full), min(full.values())) == (2, 2), "confirming has stopped early"
        assert (board.trust.trained, board.trust.winner) == (2, BEST)
        with reading() as session:
            stated = from_json(Outcome, session.get_one(SelectionJob, job_id).outcome).stated
        assert stated is not None
        assert stated.trained.keys() == full.keys()

    def test_scores_are_on_the_rows(self) -> None:
        rows = {row.teacher: row for row in drive.board(finished()).rows}
        assert rows[BEST].scores == {
            "size": 1234, "logme": pytest.approx(0.98), "leep": pytest.approx(-0.02), "h_score": pytest.approx(8.02),
            "ratio_1_2": 2.0,
            "cka_gap": pytest.approx(0.55),
        }  # fmt: skip
        assert rows[None].scores == {}

    @ON_SQLITE
    def test_while_nothing_is_trained_fully_nothing_is_claimed(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        assert drive.board(job_id).trust.winner is None
        assert all(rival.regret is None and rival.record.questions == 0 for rival in rivals(job_id).values())

    @ON_SQLITE
    def test_the_previous_winner_is_that_of_this_student_before(self) -> None:
        first = finished()
        assert "No earlier job" in (rivals(first)["previous_winner"].note or "")
        assert rivals(finished())["previous_winner"].picks == [BEST]
        # Of a job without that teacher it cannot be the pick, and another student has another history.
        assert rivals(finished_with("cifar/resnet8w8", "cifar/resnet14w8"))["previous_winner"].picks == []
        other = drive.request().model_copy(update={"student": ModelChoice(model="cifar/resnet8")})
        assert rivals(drive.submit(other))["previous_winner"].picks == []

    @ON_SQLITE
    def test_other_settings_are_another_method(self) -> None:
        finished()
        stronger = drive.request().model_copy(update={"method": MethodChoice(feature_weight=3.0)})
        job_id = drive.submit(stronger)
        assert rivals(job_id)["previous_winner"].picks == []
        with reading() as session:
            job = session.get_one(SelectionJob, job_id)
            plan = from_json(Plan, job.plan)
            assert comparison_groups(session, job, plan) == ()
        drive.run_to_end(job_id)
        again = drive.submit(stronger)
        assert rivals(again)["previous_winner"].picks == [BEST]

    @ON_SQLITE
    def test_other_protocols_are_other_questions(self) -> None:
        first = finished()
        longer = finished(epochs=12)
        found = rivals(longer)
        assert found["probe"].record.questions == 2
        assert found["previous_winner"].record.questions == 1
        assert rivals(first)["probe"].record.questions == 1
        store = {
            each.statistic: each.pairs
            for each in drive.board(longer).correlations
            if each.scope == "store" and each.name == "probe_full"
        }
        assert store == {"pearson": 4, "spearman": 4, "kendall": 4}

    def test_the_same_question_again_counts_once(self) -> None:
        finished()
        again = rivals(finished())
        assert again["probe"].record.questions == 1
        # Nor do further seeds make it another one.
        assert rivals(finished(seeds=3))["probe"].record.questions == 1

    @ON_SQLITE
    def test_a_store_from_before_there_were_scores_is_read(self) -> None:
        first = finished()
        with transaction() as session:
            for run in session.scalars(select(Run)):
                assert run.result is not None
                run.result.pop("scores", None)
                flag_modified(run, "result")
        found = rivals(first)
        assert (found["logme"].picks, found["logme"].note) == ([], "Not measured.")
        assert found["teacher_accuracy"].picks == [BEST]


class TestStamp:
    @ON_SQLITE
    def test_it_is_of_the_protocol_and_not_of_teachers_or_seeds(self) -> None:
        board = drive.board(finished())
        stamps = {row.stamp for row in board.rows}
        assert stamps == {board.trust.stamp}
        assert len(board.trust.stamp) == 8
        same = drive.submit(drive.request("cifar/resnet20", "cifar/resnet8w8", seeds=4, promote=1))
        assert drive.board(same).trust.stamp == board.trust.stamp
        for change in (
            {"student": ModelChoice(model="cifar/resnet8")}, {"method": MethodChoice(profile="paper")},
            {"method": MethodChoice(name="kd")}, {"method": MethodChoice(feature_weight=3.0)},
            {"recipe": RecipeChoice(name="cifar100")}, {"recipe": RecipeChoice(mixup=0.2)},
        ):  # fmt: skip
            changed = drive.submit(drive.request().model_copy(update=change))
            assert drive.board(changed).trust.stamp != board.trust.stamp, change
        assert drive.board(drive.submit(asked(epochs=9))).trust.stamp != board.trust.stamp

    @ON_SQLITE
    def test_a_row_of_another_training_version_is_not_ranked(self) -> None:
        job_id = finished()
        with transaction() as session:
            for run in session.scalars(select(Run).where(Run.teacher == BEST)):
                run.spec["training"]["version"] += 1
                flag_modified(run, "spec")
        board = drive.board(job_id)
        odd = next(row for row in board.rows if row.teacher == BEST)
        assert odd.stamp != board.trust.stamp
        assert odd.rank is None
        assert [row.rank for row in board.rows] == [1, 2, 3, None]


def finished_with(*teachers: str) -> str:
    job_id = drive.submit(drive.request(*teachers))
    drive.run_to_end(job_id, by_skill)
    return job_id
