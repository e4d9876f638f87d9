"""What a person should know of a request when it is made, before anything is trained; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dpk_core.catalogue.weight_names import split_weights
from dpk_core.selection.decide.job_results import LEAST_SEEDS
from service.presentation.numbers import counted, listed, short
from service.scheduling.plan import Plan
from service.wire.jobs import Notice


def request_notices(plan: Plan, parameters: Callable[[str], int | None]) -> list[Notice]:
    """Of too few seeds, of teachers smaller than the student, and of a limit that leaves arms untrained.

    `parameters`: how many a model has; None where that is not known.
    """
    return [Notice(level="warning", message=message) for message in _sentences(plan, parameters)]


def _sentences(plan: Plan, parameters: Callable[[str], int | None]) -> Iterator[str]:
    if len(plan.seeds) < LEAST_SEEDS:
        yield (
            f"With {counted(len(plan.seeds), 'seed')} the noise between trainings cannot be told from the effect of a "
            f"teacher, so the verdict will be undecided; ask for {LEAST_SEEDS} seeds or more."
        )
    teachers = [arm for arm in plan.arms if arm is not None]
    own = parameters(plan.student)
    sizes = {teacher: parameters(split_weights(teacher)[0]) for teacher in teachers}
    smaller = [short(teacher) for teacher, size in sizes.items() if own is not None and size is not None and size < own]
    if smaller:
        every = "every teacher" if len(smaller) == len(teachers) > 1 else listed(smaller)
        yield (
            f"The student {short(plan.student)} has more parameters than {every}; check that student and teachers are "
            "not interchanged."
        )
    runs = plan.spending.runs
    if runs is not None and runs < len(plan.arms):
        yield (
            f"At most {counted(runs, 'training')} (budget.runs) cannot cover {counted(len(teachers), 'teacher')} and "
            "the student without one, so some will not be trained at all."
        )
