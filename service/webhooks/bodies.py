"""What a message says.

It is made of its event when it is first tried, and not in the event's transaction: a fault of the wording costs the
message, never the job that the event is of.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.selection.decide.verdict import Verdict
from service.database.documents import read_stored
from service.database.tables import Event, SelectionJob
from service.presentation.metric_words import words_of_task
from service.presentation.verdict_words import verdict_sentence
from service.webhooks import repository


def payload(kind: str, at: datetime, data: dict[str, Any]) -> str:
    """A message's body; addresses in it are to be put behind the server's."""
    return json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data})


def body_of(session: Session, event_id: int) -> str:
    """The message about an event of a job. Raises Unreadable where another version stored the verdict."""
    event, job, verdict = repository.subject(session, event_id)
    return payload(f"job.{event.kind}", event.created_at, {
        "job": job.id, "student": job.student, "dataset": job.dataset, "method": job.method,
        **_facts(event, job, verdict),
        "leaderboard": f"/selection-jobs/{job.id}/leaderboard", "page": f"/jobs/{job.id}",
    })  # fmt: skip


def _facts(event: Event, job: SelectionJob, verdict: Event | None) -> dict[str, Any]:
    """The verdict of a finished job, or why it failed."""
    if event.kind in ("finished", "verdict"):
        facts = None if verdict is None else read_stored(Verdict, verdict.data)
        said = None if facts is None else verdict_sentence(facts, words_of_task(job.task))
        known = None if facts is None else {"kind": facts.kind, "teacher": facts.best, "tied": list(facts.tied)}
        return {"verdict": known, "sentence": said}
    return {"failure": event.data.get("failure")} if event.kind == "failed" else {}
