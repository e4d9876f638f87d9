"""The sample leaderboard with six teachers and five seeds, all trained fully: what a page's weight is judged by."""

from __future__ import annotations

from service.wire.boards import Leaderboard
from service.wire.choices import TeacherChoice
from tests.unit.web import sample
from tests.unit.web.sample_curve import curve

SIXTH = "cifar/resnet32"


def six_teachers(epochs: int = 240) -> Leaderboard:
    """A finished job whose trainings took so many epochs."""
    board = sample.leaderboard("finished", seeds=5)
    last = board.rows[-2]
    sixth = last.model_copy(update={"teacher": SIXTH, "label": "resnet32", "candidate_id": 120, "rank": 7})
    full = board.rows[0]
    rows = [
        row.model_copy(update={"full": full.full, "test": full.test, "gain": row.teacher and full.gain,
                               "seeds": [seed.model_copy(update={"run_id": "0" * 32}) for seed in full.seeds]})
        for row in [*board.rows, sixth]
    ]  # fmt: skip
    curves = []
    for index, row in enumerate(rows):
        if row.teacher is not None:
            curves.append(curve(index, row.label, "teacher", 0, 0.95, epochs, shares=False))
        curves += [
            curve(index, row.label, "student", seed, 0.93 + 0.002 * index + 0.001 * seed, epochs,
                  shares=row.teacher is not None)
            for seed in range(5)
        ]  # fmt: skip
    places = {row.label: row.candidate_id for row in rows}
    curves = [each.model_copy(update={"candidate_id": places[each.label]}) for each in curves]
    request = board.job.request.model_copy(
        update={"teachers": [*board.job.request.teachers, TeacherChoice(model=SIXTH)]}
    )
    setup = board.setup.model_copy(update={"epochs": epochs, "rungs": [epochs // 4, epochs // 2, epochs]})
    job = board.job.model_copy(update={"request": request})
    return board.model_copy(update={"job": job, "rows": rows, "curves": curves, "setup": setup})
