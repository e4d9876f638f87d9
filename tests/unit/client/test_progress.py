"""Progress on a terminal and in a log."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from client import progress
from service.wire.jobs import Job
from tests.unit.web import sample


def _moments() -> Iterator[Job]:
    yield sample.job("queued", "queued")
    yield sample.job("running", "exploring")
    yield sample.job()


def test_a_terminal_shows_every_stage_with_a_bar_and_the_remaining_time() -> None:
    screen = io.StringIO()
    last = progress.follow(Console(file=screen, force_terminal=True, width=80), _moments())
    assert last.state == "finished"
    for text in ("Pre-flight", "Teachers prepared", "Exploring", "40%", "Verdict", "about 2 min 08 s left", "━"):
        assert text in screen.getvalue()


def test_a_log_gets_no_line_twice_and_few_about_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100, 1))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    probing = sample.job("running", "exploring")
    jobs = []
    for done in range(0, 120, 10):
        stages = [s.model_copy(update={"done": done}) if s.state == "running" else s for s in probing.progress]
        jobs.append(probing.model_copy(update={"progress": stages}))
    log = io.StringIO()
    progress.follow(Console(file=log, width=80), [probing, probing, *jobs, sample.job()])
    lines = log.getvalue().splitlines()
    assert len(lines) == len(set(lines))
    assert 3 <= len(lines) <= 7
    assert lines[-1] == "The job is finished."


def test_what_must_be_tended_is_tended_at_every_look() -> None:
    tended = []
    progress.follow(Console(file=io.StringIO()), _moments(), tend=lambda: tended.append(1))
    assert len(tended) == 3


def test_a_failed_stage_is_called_failed() -> None:
    job = sample.job("failed", "exploring", failure="No arm was trained to the end.")
    stages = [
        stage.model_copy(update={"state": state})
        for stage, state in zip(job.progress, ("done", "failed", "not_reached", "not_reached"), strict=True)
    ]
    screen = io.StringIO()
    moment = job.model_copy(update={"progress": stages})
    progress.follow(Console(file=screen, force_terminal=True, width=80), [moment])
    assert "failed" in next(line for line in screen.getvalue().splitlines() if "Exploring" in line)
    assert "not reached" in screen.getvalue()
    assert "The job failed." in screen.getvalue()
