"""When a run may be tried again, which workers cannot carry it out, and what troubles a worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.database.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITS = ("not_before", "disk_full_epoch", "stranded_epoch")


def upgrade() -> None:
    """Adds the columns and the table of refusals."""
    for name in WAITS:
        op.add_column("runs", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("runs", sa.Column("last_error", sa.Text(), nullable=True))
    op.add_column("workers", sa.Column("trouble", sa.Text(), nullable=True))
    op.create_table(
        "run_refusals",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("worker_id", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_refusals_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "worker_id", name=op.f("pk_run_refusals")),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("run_refusals")
    op.drop_column("workers", "trouble")
    for name in ("last_error", *reversed(WAITS)):
        op.drop_column("runs", name)
