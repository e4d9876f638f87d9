"""What is settled instead of looked for anew: the checkpoint that a run took over of another one of its training, and
the training version of a job's runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from service.database.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RUNS = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("training_key", sa.String),
    sa.column("spec", sa.JSON),
    sa.column("state", sa.String),
    sa.column("withdrawn", sa.Boolean),
    sa.column("created_at", UtcDateTime),
    sa.column("started_at", UtcDateTime),
    sa.column("finished_at", UtcDateTime),
    sa.column("checkpoint", sa.JSON(none_as_null=True)),
    sa.column("inherited", sa.JSON(none_as_null=True)),
)

JOBS = sa.table("selection_jobs", sa.column("id", sa.String), sa.column("plan", sa.JSON))
LINKS = sa.table("job_runs", sa.column("job_id", sa.String), sa.column("run_id", sa.String))

SILENT_VERSION = 2
"""The training version that a plan has which names none."""


def upgrade() -> None:
    """Adds the column, and tells of stored runs what they took over, as far as the times tell it; tells the version in
    the plans of jobs that began under an older one."""
    op.add_column("runs", sa.Column("inherited", sa.JSON(none_as_null=True), nullable=True))
    trainings: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    for run in op.get_bind().execute(sa.select(RUNS).where(RUNS.c.checkpoint.is_not(None)).order_by(RUNS.c.created_at)):
        trainings[run.training_key].append(run)
    for runs in trainings.values():
        for run in runs:
            if (found := _inherited(run, runs)) is not None:
                op.get_bind().execute(sa.update(RUNS).where(RUNS.c.id == run.id).values(inherited=found))
    for job_id, version in _versions().items():
        if version != SILENT_VERSION:
            _store_version(job_id, {"version": version})


def downgrade() -> None:
    """Drops the column and the versions."""
    for (job_id,) in op.get_bind().execute(sa.select(JOBS.c.id)).all():
        _store_version(job_id, {})
    op.drop_column("runs", "inherited")


def _versions() -> dict[str, int]:
    """By job, the oldest version of any of its runs."""
    rows = sa.select(LINKS.c.job_id, RUNS.c.spec).join(RUNS, RUNS.c.id == LINKS.c.run_id)
    found: dict[str, int] = {}
    for job_id, spec in op.get_bind().execute(rows):
        version = int(spec["training"]["version"])
        found[job_id] = min(version, found.get(job_id, version))
    return found


def _store_version(job_id: str, version: dict[str, int]) -> None:
    chosen = JOBS.c.id == job_id
    plan = op.get_bind().execute(sa.select(JOBS.c.plan).where(chosen)).scalar_one()
    kept = {name: value for name, value in plan.items() if name != "version"}
    op.get_bind().execute(sa.update(JOBS).where(chosen).values(plan=kept | version))


def _inherited(run: sa.Row[Any], others: Sequence[sa.Row[Any]]) -> dict[str, Any] | None:
    """The furthest checkpoint, short of the run's end and of its own, that another one had left when it started."""
    left = [
        other.checkpoint
        for other in others
        if other.state in ("finished", "cancelled")
        and not other.withdrawn
        and run.started_at is not None
        and other.finished_at is not None
        and other.finished_at <= run.started_at
        and other.checkpoint["step"] <= run.checkpoint["step"]
        and other.checkpoint["epoch"] < run.spec["stop_epoch"]
    ]
    return max(left, key=lambda checkpoint: int(checkpoint["step"]), default=None)
