"""The tables that are trained: data, student, teachers, recipes and methods of each, fixed before it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks import trials
from benchmarks.subsets import (
    CIFAR_TABLE,
    COARSE_TABLE,
    FASHION_TABLE,
    FEW_TABLE,
    FINE_TABLE,
    FINETUNED_TABLE,
    FOUR_TABLE,
    GREY_TABLE,
    LONG_TABLE,
    MIDDLE_TABLE,
    PRETRAINING,
    REST_TABLE,
    SHIFTED_TABLE,
    SLIM_TABLE,
    SPARSE_TABLE,
    Subset,
)
from dpk_core.dpk_settings import KdSettings
from dpk_core.recipes import FINE_TUNING_RATE, SMALL
from dpk_core.spec import MethodSpec, Recipe, TrainingSpec

SEEDS = (0, 1, 2, 3, 4)
STUDENT_RECIPE = replace(SMALL, name="benchmark", epochs=8, batch_size=64, augmentation="crop_flip")
TEACHER_RECIPE = replace(STUDENT_RECIPE, epochs=16)

METHODS: dict[str, MethodSpec] = {
    "dpk": MethodSpec(name="dpk"),
    "kd": MethodSpec(name="kd"),
    "kd1": MethodSpec(name="kd", kd=KdSettings(temperature=1.0)),
    "logits": MethodSpec(name="kd", kd=KdSettings(class_weight=1.0, logit_weight=1.0, temperature=1.0)),
    "probe": MethodSpec(name="dpk", profile="probe"),
    "paper": MethodSpec(name="dpk", profile="paper"),
}
"""Ways of teaching by the label that ends a table's name. `logits`: DPK's weights without its feature term (β = 0)."""
CLAIM_ARMS = ("dpk", "logits", "kd1", "kd")
"""From DPK to KD as in the literature, one change at a time: the feature term, the loss weights, the temperature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A student, its candidate teachers of different families, and the data.

    `labels`: the keys of `METHODS` that the student is trained with, a table for each.
    `pretrained_on`: the data that teachers are trained on first, by `pretraining_recipe`; None: they start from random
    weights. `teacher_recipe` is then that of their fine-tuning.
    """

    name: str
    subset: Subset
    student: str
    teachers: tuple[str, ...]
    labels: tuple[str, ...] = ("dpk", "kd")
    student_recipe: Recipe = STUDENT_RECIPE
    teacher_recipe: Recipe = TEACHER_RECIPE
    pretrained_on: Subset | None = None
    pretraining_recipe: Recipe = TEACHER_RECIPE

    def pretrainings(self) -> list[tuple[Subset, TrainingSpec]]:
        """Finished before a teacher's own training can be specified, which names the weights that it starts from."""
        if self.pretrained_on is None:
            return []
        subset = self.pretrained_on
        return [(subset, trials.teacher_spec(subset, model, self.pretraining_recipe)) for model in self.teachers]

    def teacher(self, model: str) -> TrainingSpec:
        """A teacher's own training. Raises LookupError where its pre-training is not finished."""
        start = None
        if self.pretrained_on is not None:
            start = trials.start_from(trials.teacher_spec(self.pretrained_on, model, self.pretraining_recipe))
        return trials.teacher_spec(self.subset, model, self.teacher_recipe, start=start)

    def spec(self, label: str, teacher: str | None, seed: int) -> TrainingSpec:
        """One training of the student; without a teacher it is the same under every label."""
        method = MethodSpec(name="none") if teacher is None else METHODS[label]
        own = None if teacher is None else self.teacher(teacher)
        return trials.student_spec(self.subset, self.student, self.student_recipe, seed, method, own)

    def wanted(self, labels: tuple[str, ...], seed: int) -> list[tuple[Subset, TrainingSpec]]:
        """Every training of a seed, and the teachers', which come first."""
        specs = [self.teacher(model) for model in self.teachers]
        specs.append(self.spec(labels[0], None, seed))
        specs += [self.spec(label, model, seed) for label in labels for model in self.teachers]
        return [(self.subset, spec) for spec in specs]


TEACHERS = (
    "cifar/resnet20", "cifar/resnet56", "cifar/wrn_16_2", "cifar/vgg8", "cifar/shufflenetv2", "cifar/plain6",
)  # fmt: skip
OTHER_TEACHERS = (
    "cifar/resnet32", "cifar/resnet8x4", "cifar/wrn_40_1", "cifar/shufflenetv2", "cifar/vgg13", "cifar/plain8",
)  # fmt: skip
THIRD_TEACHERS = (
    "cifar/resnet44", "cifar/resnet8x4", "cifar/wrn_40_2", "cifar/vgg8", "cifar/shufflenetv1", "cifar/plain10",
)  # fmt: skip
FOURTH_TEACHERS = (
    "cifar/resnet32", "cifar/wrn_16_2", "cifar/vgg8", "cifar/shufflenetv2", "cifar/shufflenetv1", "cifar/plain8",
)  # fmt: skip
FIFTH_TEACHERS = (
    "cifar/resnet20", "cifar/resnet8x4", "cifar/wrn_40_1", "cifar/vgg8", "cifar/shufflenetv2", "cifar/plain10",
)  # fmt: skip
SIXTH_TEACHERS = (
    "cifar/resnet56", "cifar/resnet8x4", "cifar/wrn_16_2", "cifar/vgg13", "cifar/shufflenetv1", "cifar/plain6",
)  # fmt: skip
SEVENTH_TEACHERS = (
    "cifar/resnet20", "cifar/wrn_16_2", "cifar/vgg8", "cifar/shufflenetv2", "cifar/shufflenetv1", "cifar/plain6",
)  # fmt: skip
LONG_RECIPE = replace(
    STUDENT_RECIPE, name="long", epochs=40, schedule="steps", milestones=(25, 30, 35), warmup_epochs=0,
    channels_last=True,
)  # fmt: skip
"""The authors' decay at 150, 180 and 210 of 240 epochs, in a sixth of them."""
FINETUNED_RECIPE = replace(STUDENT_RECIPE, name="finetuned", epochs=12, channels_last=True)
FINE_TUNING = replace(FINETUNED_RECIPE, epochs=8, learning_rate=FINE_TUNING_RATE * STUDENT_RECIPE.learning_rate)
FEW_RECIPE = replace(
    STUDENT_RECIPE, name="few", epochs=32, batch_size=32, learning_rate=STUDENT_RECIPE.learning_rate / 2,
    channels_last=True,
)  # fmt: skip
DEFINITIONS = (
    Definition(name="fashion-resnet8w8", subset=FASHION_TABLE, student="cifar/resnet8w8", teachers=TEACHERS),
    Definition(name="cifar-resnet8", subset=CIFAR_TABLE, student="cifar/resnet8", teachers=TEACHERS),
    Definition(name="fashion-plain2", subset=FASHION_TABLE, student="cifar/plain2", teachers=TEACHERS),
    Definition(name="cifar-plain4", subset=CIFAR_TABLE, student="cifar/plain4", teachers=TEACHERS),
    Definition(name="fine-resnet14w8", subset=FINE_TABLE, student="cifar/resnet14w8", teachers=OTHER_TEACHERS),
    Definition(name="fine-plain2", subset=FINE_TABLE, student="cifar/plain2", teachers=OTHER_TEACHERS),
    Definition(name="sparse-plain4", subset=SPARSE_TABLE, student="cifar/plain4", teachers=THIRD_TEACHERS),
    Definition(name="sparse-resnet14w8", subset=SPARSE_TABLE, student="cifar/resnet14w8", teachers=THIRD_TEACHERS),
    Definition(name="rest-resnet8", subset=REST_TABLE, student="cifar/resnet8", teachers=THIRD_TEACHERS),
    Definition(name="rest-plain4", subset=REST_TABLE, student="cifar/plain4", teachers=THIRD_TEACHERS),
    Definition(name="grey-resnet8", subset=GREY_TABLE, student="cifar/resnet8", teachers=FOURTH_TEACHERS),
    Definition(name="middle-resnet8w8", subset=MIDDLE_TABLE, student="cifar/resnet8w8", teachers=FOURTH_TEACHERS),
    Definition(name="slim-resnet8w4", subset=SLIM_TABLE, student="cifar/resnet8w4", teachers=FIFTH_TEACHERS),
    Definition(name="shifted-plain4", subset=SHIFTED_TABLE, student="cifar/plain4", teachers=FIFTH_TEACHERS),
    Definition(name="four-plain4", subset=FOUR_TABLE, student="cifar/plain4", teachers=SIXTH_TEACHERS),
    Definition(name="four-resnet14w8", subset=FOUR_TABLE, student="cifar/resnet14w8", teachers=SIXTH_TEACHERS),
    Definition(name="coarse-plain2", subset=COARSE_TABLE, student="cifar/plain2", teachers=SIXTH_TEACHERS),
    Definition(
        name="long-plain2", subset=LONG_TABLE, student="cifar/plain2", teachers=SEVENTH_TEACHERS, labels=CLAIM_ARMS,
        student_recipe=LONG_RECIPE, teacher_recipe=LONG_RECIPE,
    ),
    Definition(
        name="pretrained-plain2", subset=FINETUNED_TABLE, student="cifar/plain2", teachers=SEVENTH_TEACHERS,
        labels=CLAIM_ARMS, student_recipe=FINETUNED_RECIPE, teacher_recipe=FINE_TUNING,
        pretrained_on=PRETRAINING, pretraining_recipe=replace(FINETUNED_RECIPE, epochs=16),
    ),
    Definition(
        name="few-resnet8w8", subset=FEW_TABLE, student="cifar/resnet8w8", teachers=SEVENTH_TEACHERS, labels=CLAIM_ARMS,
        student_recipe=FEW_RECIPE, teacher_recipe=replace(FEW_RECIPE, epochs=64),
    ),
)  # fmt: skip
"""No two definitions on one data set have different teachers: readers take a data set's teachers to be the same."""
