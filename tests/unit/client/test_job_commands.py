"""`dpk submit`, `watch`, `leaderboard` and `cancel`: what they send, print and end with."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client import watching
from client.exit_codes import ExitCode
from service.wire.boards import Leaderboard
from service.wire.jobs import JobList, SelectionJobRequest
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
JOB = f"/selection-jobs/{sample.JOB_ID}"
PRINTABLE = "This must be printable ASCII characters, without spaces at its ends."
ASKED = ("--student", "a/s", "--dataset", "digits", "--teacher", "a/t")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


class TestSubmit:
    def test_sends_the_options_and_prints_id_and_page(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        done = dpk("submit", "--student", "a/s", "--dataset", "digits", "--teacher", "a/t", "--teacher", "a/u",
                   "--seeds", "2", "--promote", "2",
                   "--rung", "3", "--rung", "8", "--policy", "halving", "--prefer-cheaper")  # fmt: skip
        assert done.code == 0
        assert done.out.splitlines() == [sample.JOB_ID, f"{server.url}/jobs/{sample.JOB_ID}"]
        assert json.loads(server.asked[0].body) == {
            "student": "a/s", "dataset": "digits", "teachers": ["a/t", "a/u"], "seeds": 2,
            "budget": {"promote": 2, "rungs": [3, 8], "policy": "halving", "prefer_cheaper": True},
        }  # fmt: skip

    def test_a_teacher_may_bring_its_weights(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        teachers = ["a/t@pretrained", "a/t@file:w.safetensors,head=5", "a/u,auto=3"]
        named = [word for teacher in teachers for word in ("--teacher", teacher)]
        assert dpk("submit", "--student", "a/s@pretrained", "--dataset", "d", *named).code == 0
        sent = json.loads(server.asked[0].body)
        assert sent["student"] == "a/s@pretrained"
        assert sent["teachers"] == [
            "a/t@pretrained",
            {"model": "a/t", "weights": "file:w.safetensors", "preparation": "head", "epochs": 5},
            {"model": "a/u", "epochs": 3},
        ]

    def test_settings_of_method_and_recipe(self, server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        (tmp_path / "mine.json").write_text('{"name": "cifar100", "mixup": 0.2}')
        done = dpk(
            "submit", *ASKED, "--method", "dpk", "--profile", "paper", "--set", "method.feature_weight=3",
            "--set", "method.share.schedule=fixed", "--set", 'method.stages=[{"name": "last", "weight": 1}]',
            "--recipe", str(tmp_path / "mine.json"), "--set", "recipe.precision=bfloat16",
            "--set", "recipe.clip_norm=null",
        )  # fmt: skip
        assert done.code == 0, done.err
        sent = json.loads(server.asked[0].body)
        assert sent["method"] == {
            "name": "dpk", "profile": "paper", "feature_weight": 3.0, "share": {"schedule": "fixed"},
            "stages": [{"name": "last", "weight": 1.0}],
        }  # fmt: skip
        assert sent["recipe"] == {"name": "cifar100", "mixup": 0.2, "precision": "bfloat16", "clip_norm": None}

    @pytest.mark.parametrize(
        ("options", "method"), [(["--method", "kd"], "kd"), (["--profile", "paper"], {"profile": "paper"})]
    )
    def test_what_is_not_set_is_not_sent(
        self, server: FakeServer, dpk: Dpk, options: list[str], method: object
    ) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        assert dpk("submit", *ASKED, *options).code == 0
        sent = json.loads(server.asked[0].body)
        assert sent["method"] == method
        assert "recipe" not in sent

    def test_takes_a_file(self, server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        request = {"student": "a/s", "dataset": "digits", "teachers": ["a/t"]}
        (tmp_path / "job.json").write_text(json.dumps(request))
        done = dpk("submit", "--file", str(tmp_path / "job.json"), "--idempotency-key", "ci-1", "--json")
        assert json.loads(done.out)["id"] == sample.JOB_ID
        assert json.loads(server.asked[0].body) == request
        assert server.asked[0].headers["Idempotency-Key"] == "ci-1"

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--student", "a/s", "--dataset", "d"], "teachers: This is required.\n"),
            (["--student", "a/s"], "  dataset: This is required.\n  teachers: This is required.\n"),
            (["--student", "a/s", "--dataset", "d", "--teacher", "t", "--method", "dkp"],
             "'crd', 'dkd', 'dist', 'reviewkd', 'feature_mse', 'fgd' or 'inherit'. Nearest valid choice: dpk.\n"),
            (["--file", "missing.json"], "missing.json cannot be read"),
            ([*ASKED, "--method", "missing.json"], "missing.json cannot be read"),
            ([*ASKED, "--set", "seeds=3"], "--set takes method.NAME=VALUE or recipe.NAME=VALUE, not 'seeds=3'.\n"),
            ([*ASKED, "--set", "method.share"], "--set takes method.NAME=VALUE"),
            ([*ASKED, "--set", "method.x=1", "--set", "method.x.y=1"], "method.x.y cannot be set: x is no object.\n"),
            ([*ASKED, "--set", "method.feature_wieght=3"],
             "method.feature_wieght: There is no such field. Nearest valid choice: feature_weight.\n"),
            ([*ASKED, "--set", "recipe.precision=bf16"],
             "recipe.precision: This must be one of 'float32', 'tf32', 'bfloat16' or 'float16'. Nearest valid choice: "
             "bfloat16.\n"),
            (["--file", "missing.json", "--student", "a/s"], "Give either --file or single options"),
            (["--student", "a/s", "--dataset", "d", "--teacher", "t,haed"],
             "teachers[0].preparation: This must be one of 'auto', 'train', 'as_is', 'head' or 'fine_tune'. Nearest "
             "valid choice: head.\n"),
            (["--student", "a/s", "--dataset", "d", "--teacher", "t", "--seeds", "99"],
             "seeds: This must be at most 20.\n"),
        ],
    )  # fmt: skip
    def test_bad_input_is_one_sentence(self, dpk: Dpk, arguments: list[str], sentence: str) -> None:
        done = dpk("submit", *arguments)
        assert done.code == 2
        assert sentence in done.err
        assert "Traceback" not in done.err
        assert done.out == ""

    def test_a_refusal_is_said(self, server: FakeServer, dpk: Dpk) -> None:
        server.problem("POST /selection-jobs", 422, "dataset: There is no data set 'digit'.")
        done = dpk("submit", "--student", "a/s", "--dataset", "digit", "--teacher", "a/t")
        assert (done.code, done.err) == (2, "dataset: There is no data set 'digit'.\n")

    def test_quiet_prints_the_id_alone(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("POST /selection-jobs", sample.job(), status=202)
        assert dpk("submit", *ASKED, "--quiet").out == f"{sample.JOB_ID}\n"

    @pytest.mark.parametrize(
        ("options", "shown"),
        [
            ([], ["The job is finished.", "Take resnet20."]),
            (["--quiet"], []),
        ],
    )
    def test_wait_follows_to_the_end(self, server: FakeServer, dpk: Dpk, options: list[str], shown: list[str]) -> None:
        server.answer("POST /selection-jobs", sample.job("queued", "queued"), status=202)
        server.answer(f"GET {JOB}", sample.job(verdict="Take resnet20."))
        done = dpk("submit", *ASKED, "--wait", *options)
        assert done.code == 0
        assert done.out.splitlines()[0] == sample.JOB_ID
        assert done.out.splitlines()[1 if options else 2 :] == shown

    def test_wait_ends_as_watch_does(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("POST /selection-jobs", sample.job("queued", "queued"), status=202)
        server.answer(f"GET {JOB}", sample.job("failed", "exploring", failure="Every arm failed."))
        done = dpk("submit", *ASKED, "--wait", "--json")
        assert (done.code, done.err) == (ExitCode.JOB_ENDED, "Every arm failed.\n")
        assert json.loads(done.out)["state"] == "failed"

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (["--quiet", "--json"], "Give either --quiet or --json, not both.\n"),
            (["--timeout", "3"], "--timeout is for following a job; give it with --wait.\n"),
            (
                ["--idempotency-key", "é"],
                f"Idempotency-Key: {PRINTABLE}\n",
            ),
        ],
    )
    def test_what_does_not_go_together_is_one_sentence(self, dpk: Dpk, options: list[str], sentence: str) -> None:
        done = dpk("submit", *ASKED, *options)
        assert (done.code, done.err, done.out) == (ExitCode.WRONG_USE, sentence, "")


class TestWatch:
    def test_prints_a_line_per_stage_and_the_verdict(self, server: FakeServer, dpk: Dpk) -> None:
        moments = [
            sample.job("queued", "queued"),
            sample.job("running", "preparing"),
            sample.job("running", "exploring"),
        ]
        server.answer(f"GET {JOB}", *moments, sample.job(verdict="Take resnet20."))
        done = dpk("watch", sample.JOB_ID)
        assert done.code == 0
        assert done.out.splitlines() == [
            "The job is queued: it waits for a worker to begin.",
            "Teachers prepared: 40%, about 2 min 08 s left",
            "Exploring: 40%, about 2 min 08 s left",
            "The job is finished.",
            "Take resnet20.",
        ]

    def test_json_is_one_document_a_line(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(
            f"GET {JOB}", sample.job("running", "exploring"), sample.job("running", "exploring"), sample.job()
        )
        lines = dpk("watch", sample.JOB_ID, "--json").out.splitlines()
        assert [json.loads(line)["state"] for line in lines] == ["running", "finished"]

    def test_a_failed_job_ends_with_1_and_its_reason(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}", sample.job("failed", "exploring", failure="Every arm failed."))
        done = dpk("watch", sample.JOB_ID)
        assert (done.code, done.err) == (1, "Every arm failed.\n")

    def test_a_cancelled_job_ends_with_its_sentence(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}", sample.job("cancelled", "exploring"))
        done = dpk("watch", sample.JOB_ID)
        assert done.code == 1
        assert done.err.startswith("Cancelled by request on 23 Nov 2026, 09:34 UTC, while short trainings")

    def test_an_unknown_job_is_nothing_found(self, server: FakeServer, dpk: Dpk) -> None:
        server.problem("GET /selection-jobs/nix", 404, "There is no selection job 'nix'.")
        done = dpk("watch", "nix")
        assert (done.code, done.err) == (ExitCode.NOTHING_FOUND, "There is no selection job 'nix'.\n")

    def test_a_restart_of_the_server_is_told_and_survived(
        self, server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "NOTICED", 0.0)
        server.answer(f"GET {JOB}", sample.job("running", "exploring"))
        server.answer(f"GET {JOB}", "<html>Bad gateway</html>", "<html>Bad gateway</html>", status=502)
        server.answer(f"GET {JOB}", sample.job(verdict="Take resnet20."))
        done = dpk("watch", sample.JOB_ID)
        assert (done.code, done.out.splitlines()[-1]) == (0, "Take resnet20.")
        assert done.err.splitlines() == [
            f"The server at {server.url} does not answer; trying again for up to 2 min 00 s.",
            f"The server at {server.url} answers again.",
        ]

    def test_a_job_without_a_worker_says_so(self, server: FakeServer, dpk: Dpk) -> None:
        waiting = "No training worker is there. Start one: dpk worker."
        server.answer(f"GET {JOB}", sample.job("queued", "queued", waiting_for=waiting), sample.job())
        assert dpk("watch", sample.JOB_ID).err == f"{waiting}\n"

    def test_a_time_limit_has_its_own_code(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}", sample.job("running", "exploring"))
        done = dpk("watch", sample.JOB_ID, "--timeout", "0")
        assert done.code == ExitCode.TIME_OUT
        assert done.err == f"The job is running after 0 s; it goes on. Follow it again: dpk watch {sample.JOB_ID}\n"

    def test_ctrl_c_ends_with_130(self, server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(_seconds: float) -> None:
            raise KeyboardInterrupt

        server.answer(f"GET {JOB}", sample.job("running", "exploring"))
        monkeypatch.setattr(time, "sleep", interrupt)
        assert dpk("watch", sample.JOB_ID).code == 130


class TestLeaderboard:
    def test_shows_the_table_the_verdict_and_the_page(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}/leaderboard", sample.leaderboard())
        done = dpk("leaderboard", sample.JOB_ID)
        assert done.code == 0
        assert len(done.out.splitlines()) <= 25
        assert "Teacher accuracy and student" not in done.out
        done = dpk("leaderboard", sample.JOB_ID, "--explain")
        assert done.code == 0
        assert re.search(r"1  resnet20 +96.9   64%  95.65 ±0.54  \+2.5", done.out)
        assert "Take resnet20; resnet14 is within noise" in done.out
        assert "Teacher accuracy and student accuracy after the probe: 0.83, 95% interval −0.11 to 0.99" in done.out
        assert "2 min 18 s saved" in done.out
        assert "\n1: " in done.out
        assert "; seed 0, to epoch " in done.out
        assert ". Confirming. " in done.out
        assert f"Page: {server.url}/jobs/{sample.JOB_ID}" in done.out
        table = done.out.split("\n\n")[0]
        assert max(len(line.rstrip()) for line in table.splitlines()) <= 80

    def test_the_request_it_names_repeats_the_job(self, server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
        board = sample.leaderboard()
        server.answer(f"GET {JOB}/leaderboard", board)
        server.answer(f"GET {JOB}/request", board.job.request)
        server.answer("POST /selection-jobs", board.job)
        said = dpk("leaderboard", sample.JOB_ID, "--explain").out
        assert (
            f"To repeat this: dpk request {sample.JOB_ID} > request.json, then dpk submit --file request.json" in said
        )
        assert "Trained on x86_64 CPU: dpk-select 0.1.0, torch 2.15.0." in said
        file = tmp_path / "request.json"
        file.write_text(dpk("request", sample.JOB_ID).out)
        assert dpk("submit", "--file", str(file)).code == 0
        sent = SelectionJobRequest.model_validate_json(server.asked[-1].body)
        assert sent == board.job.request

    def test_what_was_not_trained_shows_its_expectation_in_brackets(self, server: FakeServer, dpk: Dpk) -> None:
        board = sample.leaderboard()
        row = next(row for row in board.rows if row.full is None)
        assert row.expected is not None
        server.answer(f"GET {JOB}/leaderboard", board)
        out = dpk("leaderboard", sample.JOB_ID).out
        table = out.partition("\n\n")[0]
        (line,) = [line for line in table.splitlines() if f" {row.label} " in line]
        assert f"({100 * row.expected.value:.1f})" in line
        assert "in brackets: expected, not trained fully" in " ".join(out.split())

    def test_teachers_that_brought_weights_say_how_they_were_prepared(self, server: FakeServer, dpk: Dpk) -> None:
        board = sample.with_weights()
        server.answer(f"GET {JOB}/leaderboard", board)
        out = dpk("leaderboard", sample.JOB_ID, "--explain").out
        assert "resnet20@file:mine/t.safetensors, taken as it is, 0.4\N{NO-BREAK SPACE}s" in out
        assert "resnet14, 8 epochs of training, 12\N{NO-BREAK SPACE}s" in out

    def test_notices_and_cautions_are_said(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}/leaderboard", sample.with_notices())
        lines = dpk("leaderboard", sample.JOB_ID, "--explain").out.splitlines()
        for line in (
            "resnet14: The teacher tells the classes no better than chance.",
            "resnet14: Teacher: the head was drawn anew.",
            "Caution: resnet14 has learned nothing.",
            "The limit of 5 trainings (budget.runs) cut the job short.",
        ):
            assert lines.count(line) == 1

    def test_a_job_that_waits_has_no_empty_columns_and_tables(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}/leaderboard", sample.leaderboard("queued"))
        out = dpk("leaderboard", sample.JOB_ID).out
        assert out.splitlines()[1].split() == ["teacher", "status"]
        assert "–" not in out
        assert "cheaper rule" not in out
        assert "training spent" not in out

    def test_rows_that_failed_alike_are_said_together(self, server: FakeServer, dpk: Dpk) -> None:
        board = sample.leaderboard("exploring")
        failed = {"status": "failed", "reason": "The preparation failed: The data are gone."}
        rows = [row.model_copy(update=failed) for row in board.rows[:2]]
        server.answer(f"GET {JOB}/leaderboard", board.model_copy(update={"rows": rows}))
        out = dpk("leaderboard", sample.JOB_ID).out
        assert out.count("The data are gone.") == 1
        assert f"{rows[0].label} and {rows[1].label}: The preparation failed: The data are gone." in out

    def test_json_is_the_whole_document(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"GET {JOB}/leaderboard", sample.leaderboard())
        assert Leaderboard.model_validate_json(dpk("leaderboard", sample.JOB_ID, "--json").out) == sample.leaderboard()

    def test_names_are_no_markup(self, server: FakeServer, dpk: Dpk) -> None:
        board = sample.leaderboard()
        rows = [board.rows[0].model_copy(update={"label": "[red]x[/red]"})]
        server.answer(f"GET {JOB}/leaderboard", board.model_copy(update={"rows": rows}))
        assert "[red]x[/red]" in dpk("leaderboard", sample.JOB_ID).out


class TestCancel:
    def test_says_the_new_state(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"POST {JOB}/cancel", sample.job("cancelling", "exploring"), status=202)
        assert dpk("cancel", sample.JOB_ID).out == "The job is being cancelled: its trainings are being stopped.\n"

    def test_a_job_that_is_over_cannot_be_cancelled(self, server: FakeServer, dpk: Dpk) -> None:
        server.problem(f"POST {JOB}/cancel", 409, "The job has finished; it cannot be cancelled any more.")
        assert dpk("cancel", sample.JOB_ID).code == 2


def test_a_server_that_is_not_there_is_one_sentence(dpk: Dpk, monkeypatch: pytest.MonkeyPatch) -> None:
    done = dpk("cancel", "1", "--server", "http://127.0.0.1:9")
    assert done.code == 2
    assert done.err.startswith("Nothing answers at http://127.0.0.1:9;")
    assert len(done.err.splitlines()) == 1


class TestJobs:
    def test_the_newest_with_what_they_came_to(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /selection-jobs?limit=20", JobList(jobs=[sample.job()], next_before=None))
        header, row, *_ = dpk("jobs").out.splitlines()
        assert header.split()[:8] == ["id", "state", "asked", "student", "data", "leader", "gain", "cost"]
        assert row.split()[:2] == [sample.JOB_ID[:8], sample.job().state]

    def test_a_state_is_checked_before_anything_is_asked(self, server: FakeServer, dpk: Dpk) -> None:
        done = dpk("jobs", "--state", "done")
        assert done.code == ExitCode.WRONG_USE
        assert "'done' is none of queued, running" in done.err
        assert server.asked == []

    def test_none(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /selection-jobs?state=failed&limit=20", JobList(jobs=[], next_before=None))
        assert dpk("jobs", "--state", "failed").out == "There are no such jobs.\n"


class TestShortIds:
    def test_a_beginning_that_one_job_has(self, server: FakeServer, dpk: Dpk) -> None:
        short = sample.JOB_ID[:8]
        server.answer(f"GET /selection-jobs?prefix={short}&limit=5", JobList(jobs=[sample.job()], next_before=None))
        server.answer(f"GET {JOB}/leaderboard", sample.leaderboard("finished"))
        assert dpk("leaderboard", short).code == 0

    def test_one_that_several_have(self, server: FakeServer, dpk: Dpk) -> None:
        other = sample.job().model_copy(update={"id": sample.JOB_ID[:8] + "0" * 24})
        server.answer(
            f"GET /selection-jobs?prefix={sample.JOB_ID[:8]}&limit=5",
            JobList(jobs=[sample.job(), other], next_before=None),
        )
        done = dpk("cancel", sample.JOB_ID[:8])
        assert done.code == ExitCode.WRONG_USE
        assert f"Several jobs begin with {sample.JOB_ID[:8]}: {sample.JOB_ID}, {other.id}." in " ".join(
            done.err.split()
        )

    def test_one_that_none_has_is_asked_for_as_it_is(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer("GET /selection-jobs?prefix=abcd&limit=5", JobList(jobs=[], next_before=None))
        server.problem("GET /selection-jobs/abcd/leaderboard", 404, "There is no selection job 'abcd'.")
        assert dpk("leaderboard", "abcd").code == ExitCode.NOTHING_FOUND
