"""What a run took over: the checkpoint of another run of its training is settled, not looked for at each claim."""

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


def upgrade() -> None:
    """Adds the column, and tells of stored runs what they took over, as far as the times tell it."""
    op.add_column("runs", sa.Column("inherited", sa.JSON(none_as_null=True), nullable=True))
    trainings: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    for run in op.get_bind().execute(sa.select(RUNS).where(RUNS.c.checkpoint.is_not(None)).order_by(RUNS.c.created_at)):
        trainings[run.training_key].append(run)
    for runs in trainings.values():
        for run in runs:
            if (found := _inherited(run, runs)) is not None:
                op.get_bind().execute(sa.update(RUNS).where(RUNS.c.id == run.id).values(inherited=found))


def downgrade() -> None:
    """Drops the column."""
    op.drop_column("runs", "inherited")


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
