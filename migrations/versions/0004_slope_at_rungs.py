"""How much of the slope shows at each rung: jobs that began before it was thought of believed that all of it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JOBS = sa.table("selection_jobs", sa.column("id", sa.String), sa.column("prior", sa.JSON(none_as_null=True)))


def upgrade() -> None:
    """Tells it in the stored priors."""
    for job_id, prior in _priors():
        rungs = len(prior["mismatch"])
        _store(job_id, {**prior, "follows": [1.0] * rungs, "tilt": [0.0] * rungs})


def downgrade() -> None:
    """Takes it out of them; a job that believed otherwise goes on with beliefs that are a little too sure."""
    for job_id, prior in _priors():
        _store(job_id, {name: value for name, value in prior.items() if name not in ("follows", "tilt")})


def _priors() -> Iterator[tuple[str, dict[str, Any]]]:
    for job_id, prior in op.get_bind().execute(sa.select(JOBS.c.id, JOBS.c.prior)).all():
        if prior is not None:
            yield job_id, prior


def _store(job_id: str, prior: dict[str, Any]) -> None:
    op.get_bind().execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(prior=prior))
