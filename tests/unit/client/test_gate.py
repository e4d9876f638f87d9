"""`dpk gate` passes where the answer is the expected one, and fails wherever that is not known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from client.exit_codes import ExitCode
from client.gate_checks import Demands, checks, exit_code
from service.best_teacher.examples import BEST_TEACHER
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher
from service.schemas import Problem
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
PATH = "GET /best-teacher?student=a%2Fs&dataset=digits"
ASK = ("gate", "--student", "a/s", "--dataset", "digits")
BEST, OTHER, THIRD = "cifar/resnet20", "cifar/resnet14", "cifar/resnet56"
ROOT = Path(__file__).parents[3]


def answer(**change: Any) -> BestTeacher:
    sure = {"verdict": "best", "tied": [], "chance": 0.91}
    return BestTeacher.model_validate(BEST_TEACHER | sure | change)


NO_HELP = {"verdict": "no_teacher", "teacher": None, "chance": None, "expected_loss": None}
UNDECIDED = {"verdict": "undecided", "teacher": None}
RUNNING = {"running": {"job": "1", "page": "/jobs/1", "state": "queued"}}
TIED = {"verdict": "tie", "tied": [OTHER]}


class TestExitCode:
    @pytest.mark.parametrize(
        ("change", "demands", "code"),
        [
            ({}, {}, ExitCode.FINE),
            ({}, {"expect": BEST}, ExitCode.FINE),
            ({}, {"expect": OTHER}, ExitCode.CHANGED),
            ({}, {"expect": "none"}, ExitCode.CHANGED),
            (TIED, {}, ExitCode.TIE),
            (TIED, {"expect": BEST}, ExitCode.TIE),
            (TIED, {"expect": OTHER, "allow_tie": True}, ExitCode.FINE),
            (TIED, {"expect": THIRD, "allow_tie": True}, ExitCode.CHANGED),
            (NO_HELP, {}, ExitCode.NO_TEACHER),
            (NO_HELP, {"expect": BEST}, ExitCode.NO_TEACHER),
            (NO_HELP, {"expect": "none", "min_chance": 0.9}, ExitCode.FINE),
            (UNDECIDED, {"expect": BEST}, ExitCode.UNDECIDED),
            (UNDECIDED | RUNNING, {"expect": BEST}, ExitCode.RUNNING),
            ({"stale": True, "stale_because": ["The data changed."]}, {"expect": BEST}, ExitCode.NOTHING_FOUND),
            ({"stale": True, "stale_because": ["The data changed."]} | RUNNING, {}, ExitCode.RUNNING),
            ({"stale": True, "stale_because": ["The data changed."]}, {"expect": OTHER}, ExitCode.NOTHING_FOUND),
            ({}, {"max_age": 86400.0}, ExitCode.FINE),
            ({}, {"max_age": 86399.0}, ExitCode.NOTHING_FOUND),
            ({}, {"min_chance": 0.91, "max_loss": 0.0011}, ExitCode.FINE),
            ({}, {"min_chance": 0.92}, ExitCode.UNDECIDED),
            ({"chance": None}, {"min_chance": 0.0}, ExitCode.UNDECIDED),
            ({}, {"max_loss": 0.001}, ExitCode.UNDECIDED),
            ({}, {"expect": OTHER, "min_chance": 0.92}, ExitCode.CHANGED),
        ],
    )
    def test_it_is_that_of_the_first_check_that_fails(
        self, change: dict[str, Any], demands: dict[str, Any], code: ExitCode
    ) -> None:
        assert exit_code(checks(answer(**change), Demands(**demands))) == code


class TestCommand:
    def test_it_says_each_check(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer())
        done = dpk(*ASK, "--expect", OTHER, "--max-age", "2d")
        assert done.code == ExitCode.CHANGED
        assert done.out.splitlines() == [
            "Failed: a/s on digits.",
            "passed  fresh: Data, weights and training code are those of the job.",
            "passed  age: The answer is 24 h 00 min old; allowed: 48 h 00 min.",
            f"passed  decided: {BEST_TEACHER['sentence']}",
            f"FAILED  teacher: The best teacher is {BEST}; expected: {OTHER}.",
            f"Page: {server.url}{BEST_TEACHER['page']}",
        ]

    def test_nothing_found_fails(self, server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
        server.problem(PATH, 404, "No finished job asked this.")
        done = dpk(*ASK, "--json", "--junit", str(tmp_path / "gate.xml"))
        assert done.code == ExitCode.NOTHING_FOUND
        report = json.loads(done.out)
        assert (report["passed"], report["answer"], report["exit_code"]) == (False, None, 6)
        assert ElementTree.parse(tmp_path / "gate.xml").getroot().attrib["failures"] == "1"  # noqa: S314 - our own file

    def test_files_for_pipelines(self, server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
        server.answer(PATH, answer())
        server.answer(f"GET /selection-jobs/{BEST_TEACHER['job']}/leaderboard", sample.leaderboard())
        summary, junit = tmp_path / "summary.md", tmp_path / "gate.xml"
        summary.write_text("# Before\n")
        assert dpk(*ASK, "--summary", str(summary), "--junit", str(junit), "--min-chance", ".95").code == 5
        text = summary.read_text()
        assert text.startswith("# Before\n## Teacher gate failed (exit code 5")
        assert (
            "| chance | **failed** | Its chance of being the best teacher is 91%; at least 95% is asked for. |" in text
        )
        assert '```mermaid\nxychart-beta\n    title "Student accuracy by teacher, in percent"\n    x-axis ["' in text
        suite = ElementTree.parse(junit).getroot()  # noqa: S314 - our own file
        assert [case.attrib["name"] for case in suite] == ["fresh", "decided", "teacher", "chance"]
        assert [case.find("failure") is not None for case in suite] == [False, False, False, True]

    def test_no_server_and_wrong_ages_are_wrong_use(self, dpk: Dpk, monkeypatch: pytest.MonkeyPatch) -> None:
        assert dpk(*ASK, "--max-age", "a month").code == ExitCode.WRONG_USE
        monkeypatch.setenv("DPK_SERVER", "http://127.0.0.1:9")
        assert dpk(*ASK).code == ExitCode.WRONG_USE


class TestStart:
    """A nightly job: ask, train what is missing, decide."""

    ASK = (*ASK, "--teacher", "a/t", "--start")
    STAMPED = "GET /best-teacher?student=a%2Fs&dataset=digits&method=dpk&stamp=5c0a9e21"

    def starts(self, server: FakeServer, **change: Any) -> None:
        started = {"answer": None, "holds": False, "because": "It is missing.", "stamp": "5c0a9e21"}
        job = sample.job("queued", "queued")
        asked = AskedBestTeacher.model_validate({**started, "job": job, **change})
        server.answer("POST /best-teacher", asked, status=202)

    def test_it_waits_and_decides_under_the_protocol_of_the_question(self, server: FakeServer, dpk: Dpk) -> None:
        self.starts(server)
        server.answer(f"GET /selection-jobs/{sample.JOB_ID}", sample.job())
        server.answer(self.STAMPED, answer())
        done = dpk(*self.ASK, "--wait", "--expect", BEST, "--max-age", "30d")
        assert done.code == 0
        assert json.loads(server.asked[0].body) == {
            "student": "a/s", "dataset": "digits", "teachers": ["a/t"], "max_age_seconds": 30 * 86400.0,
        }  # fmt: skip
        assert done.err.startswith(f"It is missing. Job {sample.JOB_ID}: ")

    def test_an_answer_that_holds_starts_nothing(self, server: FakeServer, dpk: Dpk) -> None:
        self.starts(server, job=None, holds=True, answer=answer())
        server.answer(self.STAMPED, answer())
        assert (dpk(*self.ASK).code, len(server.asked)) == (0, 2)

    def test_without_waiting_it_is_still_running(self, server: FakeServer, dpk: Dpk) -> None:
        self.starts(server)
        problem = Problem(type="urn:dpk-select:problem:running", title="Running", status=404, detail="It runs.")
        server.answer(self.STAMPED, problem, status=404)
        assert dpk(*self.ASK).code == ExitCode.RUNNING

    @pytest.mark.parametrize(("state", "code"), [("failed", ExitCode.JOB_ENDED), ("running", ExitCode.TIME_OUT)])
    def test_a_job_without_an_end_fails_the_gate_with_a_report(
        self, server: FakeServer, dpk: Dpk, tmp_path: Path, state: Any, code: ExitCode
    ) -> None:
        self.starts(server)
        server.answer(f"GET /selection-jobs/{sample.JOB_ID}", sample.job(state, "exploring"))
        junit = tmp_path / "gate.xml"
        assert dpk(*self.ASK, "--wait", "--timeout", "0", "--junit", str(junit)).code == code
        assert "failure" in junit.read_text()

    @pytest.mark.parametrize(
        "options",
        [
            ["--start"], ["--wait"], ["--teacher", "a/t"], ["--start", "--teacher", "a/t", "--stamp", "00000000"],
            ["--start", "--teacher", "a/t", "--timeout", "5"],
        ],
    )  # fmt: skip
    def test_what_does_not_go_together_is_one_sentence(self, dpk: Dpk, options: list[str]) -> None:
        done = dpk(*ASK, *options)
        assert (done.code, done.err.count("\n")) == (ExitCode.WRONG_USE, 1)


class TestPipelines:
    """The scripts of the action and of the template, run as their services run them."""

    @pytest.mark.parametrize(("expect", "code"), [(BEST, 0), (OTHER, 9)])
    def test_github(self, server: FakeServer, tmp_path: Path, expect: str, code: int) -> None:
        server.answer(PATH, answer())
        server.answer(f"GET /selection-jobs/{BEST_TEACHER['job']}/leaderboard", sample.leaderboard())
        (step,) = yaml.safe_load((ROOT / "deploy/github/teacher-gate/action.yml").read_text())["runs"]["steps"]
        given = {"server": server.url, "student": "a/s", "dataset": "digits", "expect": expect, "junit": "gate.xml"}
        values = {
            name: given.get(text.removeprefix("${{ inputs.").removesuffix(" }}"), "")
            for name, text in step["env"].items()
        }
        assert run(step["run"], tmp_path, **values, GITHUB_STEP_SUMMARY="summary.md") == code
        assert (tmp_path / "gate.xml").exists()
        assert "Teacher gate" in (tmp_path / "summary.md").read_text()

    @pytest.mark.parametrize(("expect", "code"), [(BEST, 0), (OTHER, 9), ("", 0)])
    def test_gitlab(self, server: FakeServer, tmp_path: Path, expect: str, code: int) -> None:
        server.answer(PATH, answer())
        job = yaml.safe_load((ROOT / "deploy/gitlab/teacher-gate.yml").read_text())["teacher-gate"]
        values = {"DPK_SERVER": server.url, "STUDENT": "a/s", "DATASET": "digits", "EXPECT": expect}
        assert run("\n".join(job["script"]), tmp_path, **values) == code
        assert (tmp_path / job["artifacts"]["reports"]["junit"]).exists()


def run(script: str, folder: Path, **environment: str) -> int:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **environment}
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment).returncode
