"""What a request would come to: the plan that pre-flight makes, and what it would cost by what was timed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpk_core.codec import to_json
from dpk_core.selection.decide.job_results import LEAST_SEEDS
from service.database.session import reading
from service.health import service as health
from service.models.service import parameter_count
from service.preflight import repository, schemas
from service.preflight.repository import Timed
from service.scheduling import repository as scheduling
from service.scheduling.evidence import StoredByTraining
from service.scheduling.plan import Plan
from service.selection_jobs.preflight import check
from service.selection_jobs.request_notices import request_notices
from service.selection_jobs.views import detectors_view
from service.settings import settings
from service.wire.jobs import SelectionJobRequest, TappedStage


def preflight(request: SelectionJobRequest) -> schemas.Preflight:
    """Raises Rejected naming everything that is wrong. Opens its own transactions, as the check reads files."""
    plan = check(request, settings().data_root, settings().weights_root)
    teachers = [arm for arm in plan.arms if arm is not None]
    keys = {arm: plan.teacher_run(arm).training.key() for arm in teachers}
    with reading() as session:
        ready = repository.prepared(session, sorted(keys.values()))
        known = repository.timed(session, plan.dataset, ["none", plan.method.name])
        stored = scheduling.stored(session, plan)
        slots = health.slots(session)
    paces = _Paces(plan, known)
    preparing = [paces.preparation(arm) for arm in teachers if keys[arm] not in ready]
    return schemas.Preflight(
        student=request.student.label,
        parameters=parameter_count(plan.student),
        teachers=[
            schemas.PreflightTeacher(
                label=arm, parameters=parameter_count(plan.preparation(arm).model), ready=keys[arm] in ready,
                epochs=plan.preparation(arm).recipe.epochs,
                taps=[TappedStage.model_validate(to_json(stage)) for stage in plan.taps.get(arm, ())],
            )
            for arm in teachers
        ],
        channels=plan.channels, side=plan.side, detectors=detectors_view(plan),
        train_pictures=plan.train_pictures, epochs=plan.epochs, rungs=list(plan.rungs),
        batch_size=plan.student_recipe.batch_size, trainings=len(plan.arms) * len(plan.seeds),
        least_seconds=_sum([*preparing, *_least(plan, paces, stored)]),
        most_seconds=_sum([*preparing, *_most(plan, paces, stored)]),
        slots=slots,
        rough=paces.rough,
        notes=[
            *(each.message for each in request_notices(plan, parameter_count)),
            *plan.recipe_notes, *(each.message for each in plan.data_findings),
        ],
    )  # fmt: skip


@dataclass(slots=True)
class _Paces:
    """Seconds per picture pass, by the closest kind of training that was timed. `rough`: not of the very models, or on
    another canvas, whose pixels then count."""

    plan: Plan
    known: Sequence[Timed]
    rough: bool = False

    def preparation(self, teacher: str) -> float | None:
        """Seconds that the preparation of a teacher takes."""
        prepared = self.plan.preparation(teacher)
        teachers = [each for each in self.known if each.purpose == "teacher"]
        return self._seconds(
            [[each for each in teachers if each.model == prepared.model], teachers], max(1, prepared.recipe.epochs)
        )

    def training(self, teacher: str | None, epochs: int) -> float | None:
        """Seconds of so many epochs of a student's training."""
        model = None if teacher is None else self.plan.preparation(teacher).model
        students = [each for each in self.known if each.purpose != "teacher"]
        own = [each for each in students if each.model == self.plan.student]
        return self._seconds([[each for each in own if each.teacher == model], own, students], epochs)

    def _seconds(self, groups: Sequence[Sequence[Timed]], epochs: int) -> float | None:
        detection = self.plan.student_recipe.detection
        canvas = None if detection is None else (detection.canvas.height, detection.canvas.width)
        passes = self.plan.steps_per_epoch * self.plan.student_recipe.batch_size * epochs
        alike = [[each for each in group if each.canvas == canvas] for group in groups]
        for place, group in enumerate(each for pair in zip(alike, groups, strict=True) for each in pair):
            if group:
                self.rough = self.rough or place > 0
                seconds, timed = sum(each.seconds for each in group), sum(each.passes * _pixels(each) for each in group)
                return passes * (1 if canvas is None else canvas[0] * canvas[1]) * seconds / timed
        return None


def _pixels(timed: Timed) -> int:
    """Of a canvas; 1 without one, where all pictures of a data set have one size."""
    return 1 if timed.canvas is None else timed.canvas[0] * timed.canvas[1]


def _most(plan: Plan, paces: _Paces, stored: StoredByTraining) -> list[float | None]:
    return [_rest(paces, stored, (arm, seed), plan.epochs) for arm in plan.arms for seed in plan.seeds]


def _least(plan: Plan, paces: _Paces, stored: StoredByTraining) -> list[float | None]:
    """A first look at every teacher, and full trainings under one of them and under none."""
    first, seeds = plan.rungs[0], plan.seeds[:LEAST_SEEDS]
    full = {(arm, seed) for arm in (plan.arms[0], None) for seed in seeds}
    looks = {(arm, plan.seeds[0]) for arm in plan.arms if arm is not None} - full
    return [
        *(_rest(paces, stored, training, plan.epochs) for training in sorted(full, key=str)),
        *(_rest(paces, stored, training, first) for training in sorted(looks, key=str)),
    ]


def _rest(paces: _Paces, stored: StoredByTraining, training: tuple[str | None, int], epochs: int) -> float | None:
    held = stored[training].up_to(epochs) if training in stored else 0
    return 0.0 if held >= epochs else paces.training(training[0], epochs - held)


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
