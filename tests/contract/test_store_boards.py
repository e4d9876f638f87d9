"""Boards from the store, and answers that are sent only where they changed, on SQLite and on Postgres."""

from __future__ import annotations

import gc

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from dpk_core.spec import RunSpec
from service.app import create_app
from service.best_teacher import shortcut
from service.database.session import reading, transaction
from service.database.tables import Board, Run, SelectionJob, StoredJudgement, Worker
from service.database.types import epoch_now, utc_now
from service.leaderboards import earlier, service
from service.wire.boards import Leaderboard
from tests.contract import job_driver as drive

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app())


@pytest.fixture
def job_id() -> str:
    """A job that has just begun."""
    found = drive.submit(drive.request("cifar/resnet20", seeds=1, epochs=2, rungs=(1, 2), promote=1))
    drive.advance(found)
    return found


@pytest.fixture
def finished(job_id: str) -> str:
    drive.run_to_end(job_id)
    return job_id


def forget() -> None:
    """As another process, which has nothing in memory."""
    service._kept.clear()
    earlier.earlier.cache.clear()


def never(*_: object) -> None:
    raise AssertionError


class TestStored:
    def test_a_finished_board_is_made_once(self, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
        made = service.made(finished)
        monkeypatch.setattr(service, "build", never)
        forget()
        again = service.made(finished)
        assert (again.body, again.etag, again.final) == (made.body, made.etag, True)
        assert again.leaderboard() == made.leaderboard()

    def test_one_of_an_older_version_is_made_anew(self, finished: str) -> None:
        made = service.made(finished)
        with transaction() as session:
            session.execute(update(Board).values(version=0, document="{}", etag="old"))
        forget()
        assert service.made(finished).body == made.body
        with reading() as session:
            assert session.scalars(select(Board.version)).all() == [service.VERSION]

    def test_what_best_teacher_gives_is_beside_it(self, finished: str) -> None:
        first = service.answer(finished)
        board = service.made(finished).leaderboard()
        assert board.verdict is not None
        assert first["verdict"] == board.verdict.model_dump(mode="json") == service.answer(finished)["verdict"]

    def test_an_unfinished_board_is_not_stored(self, job_id: str) -> None:
        assert not service.made(job_id).final
        with reading() as session:
            assert session.scalar(select(func.count()).select_from(Board)) == 0

    def test_what_is_kept_in_memory_is_counted(self, finished: str) -> None:
        forget()
        made = service.made(finished)
        assert made.leaderboard().job.id == finished
        assert service._kept.currsize == len(made.body)
        assert not [each for each in gc.get_referents(made) if isinstance(each, Leaderboard)]
        assert earlier.earlier.cache.currsize == 1
        service.made(drive.submit(drive.request("cifar/resnet20", epochs=4, rungs=(1, 4), promote=1)))
        assert earlier.earlier.cache.currsize == 1 + 2, "with a record of the earlier job's teacher"

    def test_a_question_is_judged_once(self, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert service.made(finished).final
        later = [drive.submit(drive.request("cifar/resnet20", epochs=4, rungs=(1, 4), promote=1)) for _ in "ab"]
        first = service.made(later[0]).leaderboard()
        with reading() as session:
            assert session.scalar(select(func.count()).select_from(StoredJudgement)) == 1
        forget()
        monkeypatch.setattr(earlier, "evaluate_rules", never)
        assert service.made(later[1]).leaderboard().trust == first.trust


class TestNearChance:
    def made(self, chance: str, **budget: object) -> Leaderboard:
        """Teachers whose names begin like `chance` learned nothing."""

        def outcomes(spec: RunSpec) -> float:
            blind = spec.training.role == "teacher" and spec.training.model.startswith(chance)
            return 0.1 if blind else drive.by_skill(spec)

        job_id = drive.submit(drive.request(policy="exhaustive", **budget))
        drive.run_to_end(job_id, outcomes)
        return drive.board(job_id)

    def test_it_is_not_trained_with_and_the_row_says_so(self) -> None:
        found = self.made("cifar/resnet8w8")
        rows = {row.teacher: row for row in found.rows}
        blind = rows["cifar/resnet8w8"]
        assert (blind.status, blind.rank, blind.gain, blind.full) == ("not_promoted", None, None, None)
        assert blind.reason == "Not trained under: the teacher tells the classes no better than chance."
        assert not [run for run in drive.runs_of(found.job.id) if run.teacher == "cifar/resnet8w8"]
        verdict = drive.final_verdict(found.job.id)
        shown = rows[str(verdict["best"])].gain
        assert shown is not None
        assert shown.model_dump() == verdict["gain"], "a near-chance teacher moves nobody's gain"

    def test_where_no_teacher_learned_anything_all_compete(self) -> None:
        found = self.made("")
        assert {row.status for row in found.rows} == {"finished"}
        assert found.verdict is not None
        assert found.verdict.sentence.startswith("Undecided: resnet20, the best one, beats no teacher by ")


class TestRunning:
    def test_a_board_is_made_when_something_changed(self, job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
        first = service.made(job_id)
        with monkeypatch.context() as context:
            context.setattr(service, "build", never)
            assert service.made(job_id) is first
        held = drive.claim(drive.runs_of(job_id, "queued")[0].id)
        claimed = service.made(job_id)
        with transaction() as session:
            session.execute(update(Run).where(Run.id == held.run_id).values(step=1))
        stepped = service.made(job_id)
        with transaction() as session:
            now = session.scalar(select(epoch_now()))
            session.add(Worker(id="w", queues="runs,control", slots=3, started_at=utc_now(), seen_epoch=now))
        assert len({first.etag, claimed.etag, stepped.etag, service.made(job_id).etag}) == 4


class TestConditional:
    @pytest.mark.parametrize(
        "path", ["/selection-jobs/{}", "/selection-jobs/{}/leaderboard", "/jobs/{}", "/jobs/{}/live"]
    )
    def test_what_has_not_changed_is_not_sent_again(self, client: TestClient, job_id: str, path: str) -> None:
        address = path.format(job_id)
        first = client.get(address)
        tag = first.headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            again = client.get(address, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        drive.run_to_end(job_id)
        later = client.get(address, headers={"If-None-Match": tag})
        assert later.status_code == 200
        assert later.headers["etag"] != tag
        ended = client.get(address, headers={"If-None-Match": later.headers["etag"]})
        assert ended.status_code == 304

    def test_a_finished_board_in_memory_is_sent_as_the_endpoint_does(self, client: TestClient, finished: str) -> None:
        address = f"/selection-jobs/{finished}/leaderboard"
        first, second = client.get(address), client.get(address)
        assert (first.content, first.headers) == (second.content, second.headers)
        assert client.head(address).headers == first.headers
        assert client.get(address, params={"typo": 1}).status_code == 422
        assert client.post(address).status_code == 405

    def test_best_teacher_changes_with_the_jobs(self, client: TestClient, finished: str) -> None:
        asked = {"student": "cifar/resnet8w4", "dataset": "digits"}
        first = client.get("/best-teacher", params=asked)
        tag = {"If-None-Match": first.headers["etag"]}
        assert client.get("/best-teacher", params=asked, headers=tag).status_code == 304
        assert first.json()["age_seconds"] % 60 == 0
        live = drive.submit(drive.request("cifar/resnet8w8", epochs=2, rungs=(1, 2), promote=1))
        then = client.get("/best-teacher", params=asked, headers=tag)
        assert (then.status_code, then.json()["job"], then.json()["running"]["job"]) == (200, finished, live)

    def test_a_question_asked_before_is_answered_as_the_endpoint_does(
        self, client: TestClient, finished: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = "/best-teacher?student=cifar/resnet8w4&dataset=digits"
        first = client.get(address)
        reached: list[object] = []
        monkeypatch.setattr(shortcut, "remember", reached.append)  # what the endpoint does and nobody else
        second = client.get(address)
        assert (first.json()["job"], second.status_code, reached) == (finished, 200, [])
        assert (first.content, first.headers) == (second.content, second.headers)
        assert client.head(address).headers == first.headers
        monkeypatch.undo()
        assert client.get(address + "&typo=1").status_code == 422
        with transaction() as session:
            session.execute(update(SelectionJob).values(student="cifar/resnet20"))
        nothing = client.get(address)
        assert (nothing.status_code, nothing.headers["content-type"]) == (404, "application/problem+json")

    def test_an_unknown_job_is_unknown_whatever_the_client_has(self, client: TestClient) -> None:
        for path in ("/selection-jobs/none", "/selection-jobs/none/leaderboard", "/jobs/none"):
            assert client.get(path, headers={"If-None-Match": "*"}).status_code == 404
