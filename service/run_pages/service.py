"""One run, gathered from its row, its measurements and the events of its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.tasks import METRICS
from service.database.tables import JobRun, Run, SelectionJob
from service.leaderboards.curves import points
from service.presentation.metric_words import WORDS
from service.problems import NotFound
from service.run_pages import repository
from service.run_pages.schemas import JobOfRun, KeptCheckpoint, LogEntry, RunRecord
from service.runs.output import written
from service.runs.repository import refusals
from service.settings import settings


def run_record(session: Session, run_id: str) -> RunRecord:
    """What is known of the run. Raises NotFound."""
    run = repository.find(session, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r}.")
    training, result = run.spec["training"], run.result or {}
    links = repository.links(session, run_id)
    weights = result.get("weights")
    return RunRecord.model_validate(
        {
            **_columns(run),
            "epoch": run.spec["stop_epoch"],
            "epochs": training["recipe"]["epochs"],
            "metric": METRICS[training["task"]],
            "worker": run.lease_owner if run.state == "running" else None,
            **{name: result.get(name) for name in ("validation_score", "test_score", "guess_score", "parameters")},
            "near_chance": bool(result.get("near_chance")),
            "weights": None if weights is None else weights["path"],
            "versions": result.get("versions") or {},
            "notices": run.final_notices,
            "checkpoint": _checkpoint(run),
            "log": _log(session, run, links),
            "output": None if run.started_at is None else written(settings().home, run.id),
            "jobs": [_job(link, job) for link, job in links],
            "points": points(repository.measurements(session, run.training_key, run.spec["stop_epoch"])),
        }
    )


def _columns(run: Run) -> dict[str, Any]:
    names = (
        "id", "state", "purpose", "student", "teacher", "dataset", "method", "seed", "step", "total_steps", "seconds",
        "wasted_seconds", "attempts", "device", "failure_kind", "failure", "last_error", "spec", "content_key",
        "training_key",
    )  # fmt: skip
    return {name: getattr(run, name) for name in names}


def _job(link: JobRun, job: SelectionJob) -> JobOfRun:
    return JobOfRun(
        id=job.id, student=job.student, dataset=job.dataset, purpose=link.purpose, reused=link.reused,
        can_retry=not link.retried and job.state not in ("cancelling", "cancelled"),
    )  # fmt: skip


def _checkpoint(run: Run) -> KeptCheckpoint | None:
    kept = run.checkpoint or (run.inherited if run.state in ("queued", "running") else None)
    if kept is None:
        return None
    inherited = run.checkpoint is None
    return KeptCheckpoint.model_validate({**kept, **kept["file"], "inherited": inherited})


def _log(session: Session, run: Run, links: Sequence[tuple[JobRun, SelectionJob]]) -> list[LogEntry]:
    found = [*_own_entries(run), *_events(session, run, links)]
    found += [LogEntry(at=each.created_at, level="warning", text=each.reason) for each in refusals(session, run.id)]
    return sorted(found, key=lambda entry: entry.at)


def _own_entries(run: Run) -> Iterator[LogEntry]:
    yield LogEntry(at=run.created_at, level="info", text="Asked for.")
    if run.started_at is not None:
        again = "" if run.attempts < 2 else f" Attempts since it last got further: {run.attempts}."
        went_on = (
            "" if run.inherited is None else f" It goes on after epoch {run.inherited['epoch']} of an earlier run."
        )
        yield LogEntry(at=run.started_at, level="info", text=f"Begun.{went_on}{again}")
    if run.finished_at is not None:
        yield LogEntry(
            at=run.finished_at, level="info" if run.state == "finished" else "warning", text=_ending(run)
        )  # fmt: skip


def _ending(run: Run) -> str:
    if run.state == "failed":
        return f"Failed. {run.failure or ''}".rstrip()
    if run.result is None:
        return "Cancelled."
    score = WORDS[run.spec["training"]["task"]].score(run.result["validation_score"], 2)
    return f"Finished with a validation score of {score}."


def _events(session: Session, run: Run, links: Sequence[tuple[JobRun, SelectionJob]]) -> Iterator[LogEntry]:
    """The events that its jobs recorded about it, each once."""
    seen = set()
    for _, job in links:
        for event in repository.notices(session, job.id):
            message = event.data.get("message")
            if event.data.get("run_id") == run.id and message not in seen:
                seen.add(message)
                yield LogEntry(at=event.created_at, level=event.data["level"], text=message)
