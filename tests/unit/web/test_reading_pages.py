"""The pages beside a job's own: a run, teachers over all jobs, the HTTP API, and what is not there."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import vl_convert
from fastapi.testclient import TestClient

from dpk_core.codec import to_json
from service.app import create_app
from service.database import tables
from service.database.session import reading, transaction
from service.database.types import utc_now
from service.run_pages.service import run_record
from service.runs import output
from service.scheduling.outcome import Outcome, Stated
from service.settings import Settings, settings
from service.teacher_records.service import teacher_records
from service.web import vega
from service.web.docs_page import docs_page_context, with_code
from tests.contract import job_driver as drive

PERSON = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> TestClient:
    """The application on an empty embedded store."""
    embedded()
    return TestClient(create_app())


class TestRun:
    def test_a_finished_run_shows_what_the_store_knows(self, client: TestClient) -> None:
        job_id = drive.submit(drive.request("cifar/resnet20", policy="halving", seeds=1, promote=1))
        drive.run_to_end(job_id)
        board = drive.board(job_id)
        row = next(row for row in board.rows if row.teacher is not None)
        run_id = row.seeds[0].run_id
        assert f'href="/runs/{run_id}"' in client.get(f"/jobs/{job_id}").text
        assert f'href="/runs/{row.teacher_run_id}"' in client.get(f"/jobs/{job_id}").text
        html = client.get(f"/runs/{run_id}").text
        for part in (
            "resnet8w4 under resnet20 on digits, seed 0", "88.00% accuracy on the validation pictures, 44.00% on the",
            "To epoch 8 of 8", "It goes on after epoch 4 of an earlier run.", "Finished with a validation score of",
            f'href="/jobs/{job_id}"', "<dt>recipe.learning_rate</dt><dd>0.05</dd>", "<dt>torch</dt><dd>2.15.0</dd>",
            "Validation accuracy. value",
        ):  # fmt: skip
            assert part.replace("Validation accuracy. value", 'data-chart="run-score"') in html, part
        # A complete training leaves its weights; the rung before it left a checkpoint.
        assert "Checkpoint</summary>" not in html
        rung = next(run for run in drive.runs_of(job_id, purpose="probe") if run.spec["stop_epoch"] == 4)
        html = client.get(f"/runs/{rung.id}").text
        assert f"{rung.id}.pt" in html
        assert "<dt>After</dt><dd>epoch 4, step 56</dd>" in html
        charts = client.get(f"/runs/{run_id}/charts").json()
        assert list(charts) == ["run-score", "run-share"]
        # The earlier runs of the training measured its first epochs.
        assert [each["epoch"] for each in charts["run-score"]["data"]["values"]] == [*range(1, 9)]

    def test_a_failed_one_says_why(self, client: TestClient) -> None:
        job_id = drive.submit(drive.request("cifar/resnet20", promote=1))
        drive.run_to_end(job_id, lambda _spec: drive.Failure("The loss is not finite.", 3.0))
        run = drive.runs_of(job_id, "failed")[0]
        with reading() as session:
            found = run_record(session, run.id)
        assert [(entry.level, entry.text) for entry in found.log][-1] == ("warning", "Failed. The loss is not finite.")
        assert found.checkpoint is None
        html = client.get(f"/runs/{run.id}").text
        assert html.count("The loss is not finite.") == 2
        assert "data-chart=" not in html
        assert f'action="/jobs/{job_id}/retry"><input type="hidden" name="run" value="{run.id}"><button' in html
        same_site = {"Origin": "http://testserver"}
        client.post(f"/jobs/{job_id}/retry", data={"run": run.id}, headers=same_site, follow_redirects=False)
        assert "/retry" not in client.get(f"/runs/{run.id}").text

    def test_what_its_process_wrote_is_shown_where_it_is_kept(self, client: TestClient) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        first, second = (each.id for each in drive.runs_of(job_id, "queued")[:2])
        drive.claim(first)
        assert f"after the line <code>=== run {first}</code>" in client.get(f"/runs/{first}").text
        log = output.folder(settings().home) / "machine-1-0.log"
        log.parent.mkdir(parents=True)
        for run_id, words in (
            (second, "another's"),
            (first, "an older try"),
            (first, "<b>careful</b>\nlast"),
            (second, ""),
        ):
            output.begin(log, run_id)
            with log.open("a") as file:
                file.write(f"{words}\n" if words else "")
        assert "<code>&lt;b&gt;careful&lt;/b&gt;\nlast</code>" in client.get(f"/runs/{first}").text
        assert output.written(settings().home, second) == []

    def test_one_that_waits_says_so(self, client: TestClient) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        html = client.get(f"/runs/{drive.runs_of(job_id, 'queued')[0].id}").text
        assert "It waits for a worker." in html


class TestTeachers:
    def test_are_counted_over_the_finished_jobs(self, client: TestClient) -> None:
        assert "No job has finished yet." in client.get("/teachers").text
        for number in range(3):
            _add_job(number, state="finished" if number else "running")
        with reading() as session:
            found = teacher_records(session)
        assert found.jobs == 2
        best, other = found.teachers
        assert (best.teacher, len(best.jobs), best.taken, best.fully) == ("cifar/resnet20", 2, 2, 2)
        assert (other.teacher, other.taken, other.fully, other.mean_gain) == ("cifar/resnet8w8", 0, 0, None)
        assert best.mean_gain == pytest.approx(0.015)
        html = client.get("/teachers").text
        assert html.count(f'href="/jobs/{best.jobs[0].id}"') == 2
        assert "Of 2 finished jobs. A row counts the jobs that compared the teacher" in html
        assert "taken, student 88.0%, gain +2.0" in html

    @pytest.mark.usefixtures("client")
    def test_mean_gain_counts_every_full_training(self) -> None:
        drive.finished("cifar/resnet8w8", "cifar/resnet20", policy="exhaustive", promote=2)
        with reading() as session:
            found = {each.teacher: each.mean_gain for each in teacher_records(session).teachers}
        assert found["cifar/resnet20"] == pytest.approx(0.08, abs=0.005)
        assert found["cifar/resnet8w8"] == pytest.approx(0.01, abs=0.005), "it lost, and counts all the same"


def _add_job(number: int, *, state: str) -> None:
    """A job that took resnet20; the gain is a point times its number."""
    stated = Stated(question="q", chances={}, trained={"cifar/resnet20": 0.88})
    outcome = Outcome(
        kind="best", best="cifar/resnet20", seeds=2, tried=2, trained=1, recipe="digits", epochs=8, stated=stated,
        gains={"cifar/resnet20": 0.01 * number},
    )  # fmt: skip
    job_id = drive.submit(drive.request("cifar/resnet8w8", "cifar/resnet20"))
    with transaction() as session:
        job = session.get_one(tables.SelectionJob, job_id)
        job.state, job.outcome, job.finished_at = state, to_json(outcome), utc_now()


class TestImported:
    """Results from elsewhere stand on the pages that they belong to, apart from the leaderboard."""

    def test_on_the_page_of_a_job_that_asks_the_same_and_on_that_of_teachers(self, client: TestClient) -> None:
        job_id = drive.submit()
        bare = client.get(f"/jobs/{job_id}")
        assert "elsewhere" not in bare.text + client.get("/teachers").text
        results = [{"teacher": "cifar/resnet20", "test_score": 0.94}, {"test_score": 0.93}]
        asked = {"student": "cifar/resnet8w4", "dataset": "digits", "method": "kd", "source": "our <cluster>"}
        for change in ({}, {"student": "cifar/resnet56"}, {"dataset": "boxes/pets"}):
            answer = client.post(
                "/imported-results", json={**asked, **change, "settings": {"epochs": 240}, "results": results}
            )
            assert answer.status_code == 200
        page = client.get(f"/jobs/{job_id}", headers={"If-None-Match": bare.headers["ETag"]})
        assert page.status_code == 200
        _, _, section = page.text.partition('<section id="imported">')
        assert section.count("<tr>") == 1 + len(results)
        for part in ("94.00%", "+1.00", "our &lt;cluster&gt;, epochs 240", "no teacher", "protocol "):
            assert part in section
        assert 'id="imported"' not in client.get(f"/jobs/{job_id}/live").text
        teachers = client.get("/teachers").text
        assert "resnet56 on" in teachers
        assert teachers.count("94.00%") == 2
        assert "94.00\N{NO-BREAK SPACE}AP" in teachers


class TestDocs:
    def test_hold_every_operation_with_an_example(self, client: TestClient) -> None:
        document = client.get("/openapi.json").json()
        html = client.get("/docs").text
        for path, methods in document["paths"].items():
            for method in methods:
                assert f"<code>{method.upper()} {path}</code>" in html
        groups = docs_page_context(document)["groups"]
        assert isinstance(groups, Mapping)
        submit = next(each for each in groups["selection jobs"] if each.name == "submit_selection_job")
        assert json.loads(submit.body)["dataset"] == "digits"
        assert '"state": "running"' in submit.answer

    def test_texts_are_escaped(self) -> None:
        assert with_code("`a<b>` & c") == "<code>a&lt;b&gt;</code> &amp; c"


class TestNotFound:
    @pytest.mark.parametrize("path", ["/nothing", "/selection-jobs/f00", "/runs/f00", "/jobs/f00", "/static/f00"])
    def test_people_get_a_page_of_the_house(self, client: TestClient, path: str) -> None:
        answer = client.get(path, headers=PERSON)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "This page is not there" in answer.text
        assert 'href="/">All jobs</a>' in answer.text

    @pytest.mark.parametrize("path", ["/nothing", "/selection-jobs/f00"])
    def test_programs_get_a_problem_document(self, client: TestClient, path: str) -> None:
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


class TestVega:
    def test_is_served_once_made_and_kept_for_the_next_process(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def made(snippet: str) -> str:
            asked.append(snippet)
            return "window.vegaEmbed = 1;"

        monkeypatch.setattr(vl_convert, "javascript_bundle", made)
        for _process in range(2):
            vega.bundle.cache_clear()
            answer = client.get(f"/static/vega.js?v={vega.version()}")
            assert answer.text == "window.vegaEmbed = 1;"
        vega.bundle.cache_clear()
        assert len(asked) == 1
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"

    def test_a_home_that_cannot_be_written_to_costs_time_alone(
        self, embedded: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        embedded(home=tmp_path / "home")
        monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _snippet: "1;")
        monkeypatch.setattr(Path, "write_bytes", _refuse)
        vega.bundle.cache_clear()
        assert gzip.decompress(vega.bundle()) == b"1;"
        vega.bundle.cache_clear()


def _refuse(_path: Path, _content: bytes) -> None:
    raise PermissionError
