"""Which files of runs that are over are still needed.

A checkpoint is kept for whoever goes on from it. Nobody can once a run of the training has finished further on: what
ends before that finds its result, and what ends later goes on from the later checkpoint. Nobody can after a full
training, a failure that speaks against the checkpoint, or a withdrawal. Trainings with a run on its way are left alone.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.runs import repository


def unneeded(session: Session) -> list[str]:
    """The runs whose checkpoints nobody can go on from: their rows may let go of them, and then their files go.

    It reads all runs that are over; the caller's transaction should hold no lock that others wait for.
    """
    rows = repository.resting(session)
    furthest: dict[str, int] = {}
    for row in rows:
        if row.state == "finished" and row.usable and (row.reached is not None or row.stop == row.epochs):
            furthest[row.training_key] = max(row.stop, furthest.get(row.training_key, 0))
    kept = [(row, row.reached) for row in rows if row.reached is not None]
    return [row.id for row, reached in kept if not _leads_on(row, reached, furthest.get(row.training_key, 0))]


def _leads_on(row: repository.Resting, reached: int, furthest: int) -> bool:
    """Whether a run can be made that goes on from this checkpoint.

    `furthest`: the last epoch of finished runs of the training that lead on or are complete, 0 without one.
    """
    if not row.usable:
        return False
    if row.state == "finished":
        return row.stop == furthest < row.epochs
    return reached >= furthest and row.stop > furthest
