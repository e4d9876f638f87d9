"""What the choice of validation pictures does, as a part of a picture's variance: it depends on how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JOBS = sa.table("selection_jobs", sa.column("id", sa.String), sa.column("prior", sa.JSON(none_as_null=True)))
PART, SPREAD = 0.05, 0.002
"""What was believed by default since, and before: a job measures its own as soon as two teachers are trained fully."""


def upgrade() -> None:
    """Tells the part in the stored priors."""
    _exchange("picture_spread", "picture_part", PART)


def downgrade() -> None:
    """Tells the standard deviation in them."""
    _exchange("picture_part", "picture_spread", SPREAD)


def _exchange(old: str, new: str, value: float) -> None:
    for job_id, prior in _priors():
        kept = {name: each for name, each in prior.items() if name != old}
        op.get_bind().execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(prior={**kept, new: value}))


def _priors() -> Iterator[tuple[str, dict[str, Any]]]:
    for job_id, prior in op.get_bind().execute(sa.select(JOBS.c.id, JOBS.c.prior)).all():
        if prior is not None:
            yield job_id, prior
