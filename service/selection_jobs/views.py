"""Jobs as lists and pollers see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.catalogue.weight_names import split_weights
from dpk_core.codec import to_json
from dpk_core.selection.decide.verdict import Verdict as Facts
from service.database.documents import read_stored
from service.database.tables import SelectionJob, Verdict
from service.health import service as health
from service.models import service as models
from service.presentation.decision_words import failure_sentence
from service.presentation.metric_words import WORDS
from service.presentation.verdict_words import cautioned, verdict_sentence
from service.presentation.words import headline
from service.scheduling.costs import total_seconds
from service.scheduling.plan import Plan
from service.scheduling.snapshot import Snapshot
from service.scheduling.states import JobFailure
from service.selection_jobs.notices import cautions, job_notices
from service.selection_jobs.progress import remaining_seconds, stages
from service.selection_jobs.request_notices import request_notices
from service.wire import boards
from service.wire import jobs as schemas


def links(job_id: str) -> schemas.Links:
    """The addresses of a job."""
    base = f"/selection-jobs/{job_id}"
    return schemas.Links(
        self=base, leaderboard=f"{base}/leaderboard", events=f"{base}/events", cancel=f"{base}/cancel",
        page=f"/jobs/{job_id}", report=f"{base}/report", request=f"{base}/request",
    )  # fmt: skip


def current_verdict(snapshot: Snapshot, verdict: Verdict | None) -> boards.Verdict | None:
    """The newest verdict as it crosses the wire. A failed or cancelled job says nothing any more, and one in which no
    student has been trained yet, nothing so far."""
    if verdict is None or snapshot.job.state in ("failed", "cancelled"):
        return None
    if not verdict.final and verdict.document["chance"] is None:
        return None
    facts = read_stored(Facts, verdict.document)
    return boards.Verdict(
        kind=facts.kind, sentence=verdict_sentence(facts, WORDS[snapshot.plan.task]), best=facts.best,
        tied=list(facts.tied), final=facts.final,
        margin=facts.margin, chance=facts.chance, near=facts.near, regret=facts.regret, change=facts.change,
        cautions=cautions(snapshot),
    )  # fmt: skip


def read_uploads(session: Session, snapshots: Iterable[Snapshot]) -> None:
    """Makes the uploaded networks of these jobs known to this process, before `job_view` looks at their sizes: looked
    up then, they would take a second connection of the pool while the caller holds the first."""
    plans = [each.plan for each in snapshots]
    models.read_uploads(
        session, {split_weights(label)[0] for plan in plans for label in (plan.student, *filter(None, plan.arms))}
    )


def job_view(
    snapshot: Snapshot, verdict: Verdict | None, slots: int, missing_worker: str | None, tags: list[str]
) -> schemas.Job:
    """The job with its progress and an estimate of the rest.

    `slots`: runs that live workers can carry out at once; `missing_worker`: sentence about the kind that is not there.
    """
    job = snapshot.job
    said = current_verdict(snapshot, verdict)
    words = None if said is None else cautioned(said.sentence, said.cautions)
    failure = _failure(snapshot)
    return schemas.Job(
        id=job.id,
        state=job.state,
        stage=job.stage,
        revision=job.revision,
        request=schemas.SelectionJobRequest.model_validate(job.request),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        failure=failure,
        progress=stages(snapshot),
        remaining_seconds=remaining_seconds(snapshot, slots),
        waiting_for=missing_worker
        if job.state in ("queued", "running") and not health.is_new(job.created_at)
        else None,
        verdict=words,
        headline=headline(job.state, job.stage, job.finished_at, failure, words),
        notices=[*_asked(snapshot), *job_notices(snapshot)],
        name=job.name,
        tags=tags,
        **_leader(None if said is None or verdict is None else read_stored(Facts, verdict.document)),
        cost=total_seconds(snapshot),
        taps={
            teacher: [schemas.TappedStage.model_validate(to_json(stage)) for stage in stages]
            for teacher, stages in snapshot.plan.taps.items()
            if stages
        },
        detectors=detectors_view(snapshot.plan),
        links=links(job.id),
    )


def unreadable_view(job: SelectionJob, sentence: str, tags: list[str]) -> schemas.Job:
    """A job of which only the row can be read; `sentence` says so in place of results."""
    return schemas.Job.model_validate(
        {
            "id": job.id, "state": job.state, "stage": job.stage, "revision": job.revision, "request": job.request,
            "created_at": job.created_at, "started_at": job.started_at, "finished_at": job.finished_at,
            "failure": sentence, "progress": [], "remaining_seconds": None, "verdict": None, "headline": sentence,
            "notices": [], "name": job.name, "tags": tags, "cost": job.cost, "links": links(job.id),
        }
    )  # fmt: skip


def detectors_view(plan: Plan) -> schemas.Detectors | None:
    """What is known of a plan's detectors; None of a plan of classifiers."""
    planned, detection = plan.detectors, plan.student_recipe.detection
    if planned is None or detection is None:
        return None
    return schemas.Detectors.model_validate(
        {
            "height": detection.canvas.height, "width": detection.canvas.width, "parameters": planned.parameters,
            "levels": {teacher: to_json(list(found)) for teacher, found in planned.levels.items()},
        }
    )  # fmt: skip


def _leader(facts: Facts | None) -> dict[str, Any]:
    """The kind of verdict, and who leads with which chance and gain; nobody where no teacher helps."""
    if facts is None:
        return {}
    gain = None if facts.gain is None else facts.gain.value
    leader = None if facts.kind == "no_teacher" else facts.lead
    return {"verdict_kind": facts.kind, "leader": leader, "chance": facts.chance, "gain": gain}


def _asked(snapshot: Snapshot) -> list[schemas.Notice]:
    """While there is time to ask otherwise."""
    is_new = snapshot.job.state in ("queued", "running")
    return request_notices(snapshot.plan, models.parameter_count) if is_new else []


def _failure(snapshot: Snapshot) -> str | None:
    if snapshot.job.failure is None:
        return None
    failed = [(arm.label, arm.first_failed.failure) for arm in snapshot.arms if arm.first_failed is not None]
    return failure_sentence(read_stored(JobFailure, snapshot.job.failure), failed)
