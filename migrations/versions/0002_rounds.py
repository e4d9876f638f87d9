"""Rounds: trainings that stop and go on at any number of rungs, instead of one probe and one promotion."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from service.database.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = dict[str, Any]

JOBS = sa.table(
    "selection_jobs",
    sa.column("id", sa.String),
    sa.column("stage", sa.String),
    sa.column("request", sa.JSON),
    sa.column("plan", sa.JSON),
)
CANDIDATES = sa.table("candidates", sa.column("status", sa.String))
LINKS = sa.table("job_runs", sa.column("purpose", sa.String))

STAGES = {"probing": "exploring", "training": "confirming"}
STATUSES = {"probing": "exploring", "probed": "exploring"}
PURPOSES = {"probe": "explore", "full": "confirm"}


def upgrade() -> None:
    """Adds rounds and what decides them, and tells what is stored in the new terms."""
    op.create_table(
        "rounds",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["selection_jobs.id"], name=op.f("fk_rounds_job_id_selection_jobs")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_rounds")),
    )
    op.add_column("selection_jobs", sa.Column("prior", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("selection_jobs", sa.Column("started_epoch", sa.Double(), nullable=True))
    _rename(STAGES, STATUSES, PURPOSES)
    for job_id, request, plan in _jobs():
        epochs = plan["student_recipe"]["epochs"]
        plan["rungs"] = [plan.pop("probe_epochs"), epochs]
        if (probe := request["budget"].pop("probe_epochs", None)) is not None:
            request["budget"]["rungs"] = [probe, epochs]
        _store(job_id, request, plan)


def downgrade() -> None:
    """Keeps the rung before the last as the probe; what else was decided by rounds is lost."""
    for job_id, request, plan in _jobs():
        rungs = plan.pop("rungs")
        plan.pop("spending", None)
        plan["probe_epochs"] = rungs[-2] if len(rungs) > 1 else max(1, rungs[-1] - 1)
        known = {"epochs", "promote", "teacher_epochs", "batch_size"}
        request["budget"] = {name: value for name, value in request["budget"].items() if name in known}
        request["budget"]["probe_epochs"] = plan["probe_epochs"]
        _store(job_id, request, plan)
    back = {"explore": "probe", "confirm": "full", "audit": "full"}
    statuses = {"prepared": "waiting", "exploring": "probing", "stopped": "not_promoted"}
    _rename({new: old for old, new in STAGES.items()}, statuses, back)
    op.drop_column("selection_jobs", "started_epoch")
    op.drop_column("selection_jobs", "prior")
    op.drop_table("rounds")


def _rename(stages: dict[str, str], statuses: dict[str, str], purposes: dict[str, str]) -> None:
    columns = ((JOBS, "stage", stages), (CANDIDATES, "status", statuses), (LINKS, "purpose", purposes))
    for table, column, words in columns:
        for old, new in words.items():
            op.get_bind().execute(sa.update(table).where(table.c[column] == old).values({column: new}))


def _jobs() -> list[tuple[str, Json, Json]]:
    rows = op.get_bind().execute(sa.select(JOBS.c.id, JOBS.c.request, JOBS.c.plan))
    return [(row.id, row.request, row.plan) for row in rows]


def _store(job_id: str, request: Json, plan: Json) -> None:
    op.get_bind().execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(request=request, plan=plan))
