"""`dpk runs`, `logs`, `compare` and `open`."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable

import pytest

from client import runs
from dpk_core.tasks import METRICS
from service.job_runs.examples import LOG, RUN_DETAILS, RUN_ID, RUN_LIST
from service.job_runs.schemas import JobLog, JobRunDetails, JobRunList
from service.wire.jobs import JobList
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
JOB = f"/selection-jobs/{sample.JOB_ID}"


def test_every_run_is_a_line(server: FakeServer, dpk: Dpk) -> None:
    server.answer(f"GET {JOB}/runs", JobRunList.model_validate(RUN_LIST))
    header, row = dpk("runs", sample.JOB_ID).out.splitlines()
    assert header.split("\t")[:4] == ["run", "purpose", "teacher", "seed"]
    assert row.split("\t") == [
        RUN_ID[:8], "confirm", "resnet20", "1", "24", "finished", "95.4%", "94.7%", "11 s", "cpu",
    ]  # fmt: skip
    assert json.loads(dpk("runs", sample.JOB_ID, "--json").out) == RUN_LIST


def test_runs_of_detectors_are_in_ap(server: FakeServer, dpk: Dpk) -> None:
    server.answer(f"GET {JOB}/runs", JobRunList.model_validate({**RUN_LIST, "metric": METRICS["detection"]}))
    row = dpk("runs", sample.JOB_ID).out.splitlines()[1]
    assert row.split("\t")[6:8] == ["95.4 AP", "94.7 AP"]


def test_the_log_of_a_job_is_read_part_by_part(server: FakeServer, dpk: Dpk) -> None:
    first = JobLog.model_validate(LOG)
    server.answer(f"GET {JOB}/log?after=0", first)
    server.answer(f"GET {JOB}/log?after=7", first.model_copy(update={"lines": []}))
    assert dpk("logs", sample.JOB_ID).out == "5 Jan 2026, 09:00 UTC  Exploring begins.\n"
    (line,) = dpk("logs", sample.JOB_ID, "--json").out.splitlines()
    assert json.loads(line) == LOG["lines"][0]


def test_following_waits_until_the_job_is_over(server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "POLL_SECONDS", 0.0)
    nothing = JobLog(lines=[], next_after=0, over=False)
    server.answer(f"GET {JOB}/log?after=0", nothing, nothing, JobLog.model_validate({**LOG, "over": True}))
    assert dpk("logs", sample.JOB_ID, "--follow").out.endswith("Exploring begins.\n")
    assert len(server.asked) == 3


def test_a_run_is_named_by_the_beginning_of_its_id(server: FakeServer, dpk: Dpk) -> None:
    server.answer(f"GET {JOB}/runs", JobRunList.model_validate(RUN_LIST))
    server.answer(f"GET {JOB}/runs/{RUN_ID}", JobRunDetails.model_validate(RUN_DETAILS))
    said = dpk("logs", sample.JOB_ID, RUN_ID[:6])
    assert said.out.splitlines() == [
        "cifar/resnet8w4 under cifar/resnet20, seed 1, to epoch 24: finished.",
        "epoch\tvalidation_score", "1\t0.31",
    ]  # fmt: skip
    unknown = dpk("logs", sample.JOB_ID, "ffff")
    assert (unknown.code, unknown.err) == (2, "No run of the job begins with ffff; `dpk runs` lists them.\n")


class TestCompare:
    OTHER = "f" * 32

    @pytest.fixture(autouse=True)
    def boards(self, server: FakeServer) -> None:
        board, other = sample.leaderboard(), sample.leaderboard()
        other.job.id = self.OTHER
        other.job.request.seeds += 1
        other.rows = other.rows[1:]
        server.answer(f"GET {JOB}/leaderboard", board)
        server.answer(f"GET /selection-jobs/{self.OTHER}/leaderboard", other)

    def test_teachers_and_what_was_asked_stand_side_by_side(self, dpk: Dpk) -> None:
        out = dpk("compare", sample.JOB_ID, self.OTHER).out
        seeds = sample.job().request.seeds
        assert f"seeds: {seeds} in {sample.JOB_ID[:8]}, {seeds + 1} in ffffffff." in out
        rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines() if "\t" in line}
        board = sample.leaderboard()
        first, second = board.rows[0], board.rows[1]
        assert rows[first.teacher or "no teacher"][1] == "–"
        assert rows[second.teacher or "no teacher"][2] == "0.00"

    def test_json_says_whether_the_numbers_may_be_compared(self, dpk: Dpk) -> None:
        found = json.loads(dpk("compare", sample.JOB_ID, self.OTHER, "--json").out)
        assert found["same_protocol"] is True
        assert list(found["asked"]) == ["seeds"]
        assert {row["teacher"] for row in found["rows"]} == {row.teacher for row in sample.leaderboard().rows}


def test_detectors_are_compared_in_ap(server: FakeServer, dpk: Dpk) -> None:
    board = sample.leaderboard().model_copy(update={"metric": METRICS["detection"]})
    server.answer(f"GET {JOB}/leaderboard", board)
    _, *rows = [line for line in dpk("compare", sample.JOB_ID, sample.JOB_ID).out.splitlines() if "\t" in line]
    scores = [cell for row in rows for cell in row.split("\t")[1:3] if cell != "–"]
    assert scores
    assert all(cell.endswith(" AP") for cell in scores)


def test_open_prints_the_address_and_takes_a_short_id(
    server: FakeServer, dpk: Dpk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_it(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    server.answer(
        f"GET /selection-jobs?prefix={sample.JOB_ID[:6]}&limit=5", JobList(jobs=[sample.job()], next_before=None)
    )
    server.answer(f"GET {JOB}", sample.job())
    assert dpk("open", sample.JOB_ID[:6]).out == f"{server.url}/jobs/{sample.JOB_ID}\n"
    assert json.loads(dpk("open", "--json").out) == {"url": f"{server.url}/", "opened": True}
    assert opened == [f"{server.url}/jobs/{sample.JOB_ID}", f"{server.url}/"]
