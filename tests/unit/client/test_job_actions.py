"""`dpk pause`, `resume`, `retry`, `add-teacher` and `name`: what they send and print."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
JOB = f"/selection-jobs/{sample.JOB_ID}"


@pytest.mark.parametrize("command", ["pause", "resume", "retry"])
def test_a_job_is_changed_and_its_headline_printed(server: FakeServer, dpk: Dpk, command: str) -> None:
    server.answer(f"POST {JOB}/{command}", sample.job())
    done = dpk(command, sample.JOB_ID)
    assert done.code == 0
    assert sample.job().headline.split()[0] in done.out
    assert json.loads(dpk(command, sample.JOB_ID, "--json").out)["id"] == sample.JOB_ID


def test_what_a_state_does_not_allow_is_one_sentence(server: FakeServer, dpk: Dpk) -> None:
    server.problem(f"POST {JOB}/pause", 409, "The job has finished; only one that waits or runs can be paused.")
    done = dpk("pause", sample.JOB_ID)
    assert done.code == 2
    assert done.err.strip() == "The job has finished; only one that waits or runs can be paused."


def test_one_arm_is_retried(server: FakeServer, dpk: Dpk) -> None:
    server.answer(f"POST {JOB}/retry?teacher=a%2Ft", sample.job())
    server.answer(f"POST {JOB}/retry", sample.job())
    assert dpk("retry", sample.JOB_ID, "--teacher", "a/t").code == 0
    assert server.asked[0].path.endswith("/retry?teacher=a%2Ft")
    assert dpk("retry", sample.JOB_ID, "--teacher", "a/t", "--run", "f00").code == 2


def test_a_teacher_is_added_as_submit_names_it(server: FakeServer, dpk: Dpk) -> None:
    server.answer(f"POST {JOB}/teachers", sample.job())
    assert dpk("add-teacher", sample.JOB_ID, "a/t@pretrained,head=5").code == 0
    sent = json.loads(server.asked[0].body)["teacher"]
    assert sent == {"model": "a/t", "weights": "pretrained", "preparation": "head", "epochs": 5}


def test_a_name_and_tags(server: FakeServer, dpk: Dpk) -> None:
    named = sample.job().model_copy(update={"name": "Release", "tags": ["nightly"]})
    server.answer(f"PATCH {JOB}", named)
    done = dpk("name", sample.JOB_ID, "Release", "--tag", "Nightly")
    assert done.out == "Release #nightly\n"
    assert json.loads(server.asked[0].body) == {"name": "Release", "tags": ["nightly"]}
    assert dpk("name", sample.JOB_ID, "").code == 0
    assert json.loads(server.asked[1].body) == {"name": None}
    wrong = dpk("name", sample.JOB_ID, "--tag", "two words")
    assert wrong.code == 2
    assert "tags[0]" in wrong.err
    assert dpk("name", sample.JOB_ID).code == 2
