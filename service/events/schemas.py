"""What a job's events look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from service.schemas import Wire

EventKind = Literal[
    "created", "stage_changed", "candidate_changed", "decision", "run_finished", "notice", "verdict",
    "paused", "resumed", "retried", "teacher_added", "described", "cancelling", "finished", "failed", "cancelled",
]  # fmt: skip

LAST_KINDS = frozenset({"finished", "failed", "cancelled"})
"""After one of these nothing more happens to a job, unless a person lets it run again."""


class JobEvent(Wire):
    """Something that happened to a job. `id` grows; a stream goes on after the `Last-Event-ID` it is given."""

    id: int
    kind: EventKind
    data: dict[str, Any]
    created_at: datetime
