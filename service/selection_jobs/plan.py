"""What a request means: every default filled in, every run it can lead to spelled out. Pure; stored with the job."""

from __future__ import annotations

from dataclasses import dataclass

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.recipes import recipe
from dpk_core.spec import MethodSpec, Recipe, RunSpec, TeacherReference, TrainingSpec
from service.selection_jobs.schemas import SelectionJobRequest

TEACHER_SEED = 0
"""Every job trains a teacher with the same seed, so that its weights are found again by content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job's resolved request. `arms`: the teachers in the request's order, then None for no teacher."""

    student: str
    dataset: str
    data_fingerprint: str
    method: MethodSpec
    arms: tuple[str | None, ...]
    seeds: tuple[int, ...]
    student_recipe: Recipe
    teacher_recipe: Recipe
    probe_epochs: int
    promote: int
    train_pictures: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches only: an incomplete last batch is left out, so every CKA step sees `batch_size` pictures."""
        return self.train_pictures // self.student_recipe.batch_size

    def teacher_run(self, teacher: str) -> RunSpec:
        """The preparation of a teacher."""
        training = TrainingSpec(
            role="teacher", model=teacher, dataset=self.dataset, data_fingerprint=self.data_fingerprint,
            method=MethodSpec(name="none"), teacher=None, recipe=self.teacher_recipe, seed=TEACHER_SEED,
        )  # fmt: skip
        return RunSpec(training=training, stop_epoch=self.teacher_recipe.epochs)

    def student_run(self, teacher: str | None, seed: int, *, full: bool) -> RunSpec:
        """The student's probe or full training under `teacher`; None: without a teacher, at equal budget."""
        reference = None
        if teacher is not None:
            reference = TeacherReference(model=teacher, training_key=self.teacher_run(teacher).training.key())
        training = TrainingSpec(
            role="student", model=self.student, dataset=self.dataset, data_fingerprint=self.data_fingerprint,
            method=MethodSpec(name="none") if teacher is None else self.method, teacher=reference,
            recipe=self.student_recipe, seed=seed,
        )  # fmt: skip
        return RunSpec(training=training, stop_epoch=self.student_recipe.epochs if full else self.probe_epochs)


def make_plan(request: SelectionJobRequest, data: DatasetCard) -> Plan:
    """Fills in the defaults. Expects a request that pre-flight has passed."""
    name = request.recipe or data.default_recipe
    budget = request.budget
    student_recipe = recipe(name, epochs=budget.epochs, batch_size=budget.batch_size)
    return Plan(
        student=request.student,
        dataset=data.name,
        data_fingerprint=data.fingerprint,
        method=MethodSpec(name=request.method, profile=request.profile),
        arms=(*request.teachers, None),
        seeds=tuple(range(request.seeds)),
        student_recipe=student_recipe,
        teacher_recipe=recipe(name, epochs=budget.teacher_epochs, batch_size=budget.batch_size),
        probe_epochs=budget.probe_epochs or default_probe_epochs(student_recipe.epochs),
        promote=min(budget.promote, len(request.teachers)),
        train_pictures=data.train_pictures,
    )


def default_probe_epochs(epochs: int) -> int:
    """A quarter of the full training, at least one epoch and less than all."""
    return max(1, min(epochs - 1, epochs // 4))
