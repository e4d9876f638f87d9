"""`dpk best-teacher`: what it says and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.best_teacher.examples import BEST_TEACHER
from service.best_teacher.schemas import BestTeacher
from service.problems import NotFound, StillRunning
from service.schemas import Problem
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]
PATH = "GET /best-teacher?student=a%2Fs&dataset=digits"
ASK = ("best-teacher", "--student", "a/s", "--dataset", "digits")
RUNNING = {"job": "1", "page": "/jobs/1", "state": "queued"}


def answer(**change: Any) -> BestTeacher:
    return BestTeacher.model_validate(BEST_TEACHER | change)


class TestWords:
    def test_the_whole_answer(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer())
        assert dpk(*ASK).out.splitlines() == [
            BEST_TEACHER["sentence"],
            "Best of the teachers with a chance of 58%, within 0.3 points of the best with 83%; expected loss 0.11 "
            "points.",
            "Expected accuracy: 94.2% (93.4 to 95.0%).",
            "Gain over no teacher: 1.4 points (90% interval 0.8 to 2.0).",
            "From 3 seeds of 24 epochs; 5 teachers, 5 tried, 2 trained fully. Finished 5 Jan 2026, 09:04 UTC, "
            "24 h 00 min ago, under protocol 5c0a9e21.",
            "Also under this protocol: undecided: 1 seed, 1 teacher (job 7b0c6f1e2d3a4958b7c6d5e4f3021a9b).",
            "Not to be ranked with it: resnet14, 60 epochs instead of 24 (job 1d2c3b4a5f6e7d8c9b0a1f2e3d4c5b6a).",
            f"Page: {server.url}/jobs/9f1c7a52b8e94f0da3c15be0a7c4d218",
        ]

    def test_json_is_the_whole_document(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(f"{PATH}&stamp=5c0a9e21", answer())
        assert json.loads(dpk(*ASK, "--stamp", "5c0a9e21", "--json").out) == BEST_TEACHER

    def test_of_many_other_answers_the_rest_is_counted(self, server: FakeServer, dpk: Dpk) -> None:
        server.answer(PATH, answer(others=BEST_TEACHER["others"][1:] * 7))
        assert "; 2 more." in dpk(*ASK).out


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"verdict": "best", "tied": []}, 0),
        ({"verdict": "best", "running": RUNNING}, 0),
        ({"verdict": "tie"}, 3),
        ({"verdict": "no_teacher", "teacher": None}, 4),
        ({"verdict": "undecided", "teacher": None}, 5),
        ({"verdict": "undecided", "teacher": None, "running": RUNNING}, 7),
        ({"verdict": "best", "stale": True}, 6),
        ({"verdict": "undecided", "stale": True}, 6),
        ({"verdict": "best", "stale": True, "running": RUNNING}, 7),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_exit_codes(server: FakeServer, dpk: Dpk, change: dict[str, Any], code: int, form: tuple[str, ...]) -> None:
    server.answer(PATH, answer(**change))
    assert dpk(*ASK, *form).code == code


@pytest.mark.parametrize(("error", "code"), [(NotFound, 6), (StillRunning, 7)])
def test_without_an_answer(server: FakeServer, dpk: Dpk, error: type[NotFound], code: int) -> None:
    kind = f"urn:dpk-select:problem:{error.kind}"
    server.answer(PATH, Problem(type=kind, title="", status=404, detail="Nothing yet."), status=404)
    done = dpk(*ASK)
    assert (done.code, done.out, done.err) == (code, "", "Nothing yet.\n")
