"""Recipes as code, each a function of its epochs and batch size; nothing is read from files or the environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from dpk_core.codec import Json, WrongValue, from_json, merged, to_json
from dpk_core.detection_settings import COCO as COCO_DETECTORS
from dpk_core.detection_settings import BoxAugmentation, Canvas, DetectionSettings, PyramidSettings
from dpk_core.dpk_settings import CIFAR_DPK, IMAGENET_DPK, DpkSettings, KdSettings
from dpk_core.spec import LEAST_BATCH, Recipe
from dpk_core.tasks import TaskName

CIFAR100 = Recipe(
    name="cifar100", epochs=240, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
    schedule="steps", milestones=(150, 180, 210), augmentation="crop_flip",
)  # fmt: skip
"""The literature's usual one: no mixup, no label smoothing, no clipping (method sheet, section 7)."""

CIFAR100_PAPER = replace(CIFAR100, name="cifar100_paper", clip_norm=1.0, label_smoothing=0.1, mixup=0.2)
"""The defaults of the authors of DPK (method sheet, section 7)."""

IMAGENET = Recipe(
    name="imagenet", epochs=100, batch_size=8 * 256, learning_rate=0.1, momentum=0.9, weight_decay=1e-4,
    schedule="steps", milestones=(25, 50, 75), decay=0.5, augmentation="resized_crop_flip", randaugment=9, erasing=0.25,
    accumulation=2, nesterov=False,
)  # fmt: skip
"""The paper's for ImageNet as far as it goes here. Its 8 x 256 pictures with accumulation 2 are read as an update of
2048 in two parts, so CKA sees 1024. RandAugment's magnitude and the probability of erasing are not handed down; 9 and
.25 are the usual ones. Not in it: the pretrained checkpoint that the authors' student starts from. Results under it are
therefore not like for like with theirs."""

DIGITS = Recipe(
    name="digits", epochs=24, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
    schedule="cosine", warmup_epochs=1, augmentation="shift", module_learning_rate=1e-3,
)  # fmt: skip
"""Seconds per run on one CPU core. In so few steps DPK's modules need a higher rate than the authors'."""

SMALL = replace(DIGITS, name="small", epochs=30, batch_size=128)
"""A short budget for small real data sets on a CPU."""

PHOTOS = replace(SMALL, name="photos", augmentation="resized_crop_flip")
"""`small` with flips and resized crops, for pictures of 64 px and more."""

DETECTION_SMALL = Recipe(
    name="detection_small", epochs=20, batch_size=4, learning_rate=1e-3, momentum=0.0, weight_decay=1e-2,
    schedule="cosine", warmup_epochs=1, optimiser="adamw", clip_norm=5.0, module_learning_rate=1e-3,
    detection=DetectionSettings(),
)  # fmt: skip
"""Detectors from scratch on some hundred pictures, minutes on a CPU core: MobileNetV3-small comes to about .42 AP on
the 205 pictures of BCCD."""

COCO = Recipe(
    name="coco", epochs=24, batch_size=16, learning_rate=0.01, momentum=0.9, weight_decay=1e-4, schedule="steps",
    milestones=(16, 22), clip_norm=35.0, nesterov=False,
    detection=DetectionSettings(
        canvas=Canvas(height=1024, width=1024), **COCO_DETECTORS, augmentation=BoxAugmentation(zoom=1.0, colour=0.0)
    ),
)  # fmt: skip
"""The paper's for MS COCO as far as it goes here (method sheet, section 7): its schedule of 24 epochs. The literature
fits pictures into 1333 x 800 px; on this canvas P4 and P5 come to 64 tokens each. The batch size is the usual one."""

FINE_TUNING_RATE = 0.1
"""Part of a recipe's learning rate by which trained weights are trained on; the whole of it would undo them."""

AS_IS = Recipe(
    name="as_is", epochs=0, batch_size=1, learning_rate=0.0, momentum=0.0, weight_decay=0.0, schedule="cosine",
)  # fmt: skip
"""No training. The same whatever the job's recipe, so that weights are judged on a data set once."""

LEAST_PART = max(least for least, _ in LEAST_BATCH.values())
"""Pictures that a part of an accumulated batch keeps, so that it is enough for every method."""

LEAST_STEPS = 8
"""Steps of an epoch below which a recipe takes smaller batches: with fewer, short trainings hardly begin."""

SMALLEST_FIT = 16
"""Pictures in a batch below which no recipe goes by itself."""

RECIPES: dict[str, Recipe] = {
    entry.name: entry for entry in (DIGITS, CIFAR100, CIFAR100_PAPER, IMAGENET, SMALL, PHOTOS)
}
"""The recipes of classification by name."""

DETECTION_RECIPES: dict[str, Recipe] = {entry.name: entry for entry in (DETECTION_SMALL, COCO)}
"""The recipes of detection by name."""

RECIPES_OF: dict[TaskName, dict[str, Recipe]] = {"classification": RECIPES, "detection": DETECTION_RECIPES}
"""The recipes of each task by name."""

DPK_DEFAULTS: dict[str, DpkSettings] = {name: IMAGENET_DPK if name == "imagenet" else CIFAR_DPK for name in RECIPES}
"""The settings of DPK that belong to each recipe: weights, stages and clamps."""


def as_is(base: Recipe) -> Recipe:
    """No training, for weights of networks of the recipe's task; detectors are built as the recipe has them."""
    return replace(AS_IS, detection=base.detection)


def fine_tuning(base: Recipe) -> Recipe:
    """The recipe by which trained weights are trained on."""
    return replace(base, name=f"{base.name}_fine_tuning", learning_rate=FINE_TUNING_RATE * base.learning_rate)


def recipe(
    name: str, *, epochs: int | None = None, batch_size: int | None = None, train_pictures: int | None = None
) -> Recipe:
    """The recipe `name` for other `epochs`, another `batch_size`, or, where that is None, for `train_pictures`.

    Milestones keep their places in the training. The learning rate follows a batch size that was asked for
    (`batch_factor`), that of the modules, which have AdamW, by the square root; it stays where the batch is fitted to
    few pictures (`fitting_batch`), to get further in an epoch. A batch has fewer parts where they would be too small
    for CKA.

    Raises KeyError for an unknown name.
    """
    base = (RECIPES | DETECTION_RECIPES)[name]
    total = base.epochs if epochs is None else epochs
    if batch_size is None and train_pictures is not None:
        base = replace(base, batch_size=fitting_batch(base, train_pictures))
    pictures = base.batch_size if batch_size is None else batch_size
    return replace(
        base,
        epochs=total,
        batch_size=pictures,
        learning_rate=base.learning_rate * batch_factor(base, pictures),
        module_learning_rate=base.module_learning_rate * math.sqrt(pictures / base.batch_size),
        accumulation=min(base.accumulation, max(1, pictures // LEAST_PART)),
        warmup_epochs=min(base.warmup_epochs, total - 1),
        milestones=_scaled(base.milestones, total, base.epochs),
    )


def fitting_batch(base: Recipe, train_pictures: int) -> int:
    """The recipe's batch size, halved until an epoch has `LEAST_STEPS` steps; never below `SMALLEST_FIT`."""
    batch = base.batch_size
    while train_pictures // batch < LEAST_STEPS and batch // 2 >= SMALLEST_FIT:
        batch //= 2
    return batch


def batch_factor(base: Recipe, batch_size: int) -> float:
    """Factor of the learning rate for batches of `batch_size`.

    Larger ones under SGD: their ratio (Goyal et al. 2017, 1706.02677). Smaller ones, and under AdamW: its square root
    (Krizhevsky 2014, 1404.5997), so that more steps an epoch also get further in it.
    """
    ratio = batch_size / base.batch_size
    return ratio if base.optimiser == "sgd" and ratio > 1 else math.sqrt(ratio)


def chosen_recipe(
    name: str, settings: Mapping[str, Json], *, epochs: int | None = None, batch_size: int | None = None,
    train_pictures: int | None = None, milestones_of: int | None = None,
) -> Recipe:  # fmt: skip
    """`recipe` with `settings`, by name in JSON, in place of its own.

    `milestones_of`: the epochs that milestones among the settings are counted in; None: those of this training.

    Raises WrongValue at `recipe.<setting>`.
    """
    base = recipe(name, epochs=epochs, batch_size=batch_size, train_pictures=train_pictures)
    if settings.get("optimiser", base.optimiser) != base.optimiser and "learning_rate" not in settings:
        message = f"the {base.learning_rate:g} of recipe {name} is for {base.optimiser}; name a learning rate for "
        raise WrongValue("recipe.learning_rate", f"{message}{settings['optimiser']}")
    if (base.detection is None) != (settings.get("detection", to_json(base.detection)) is None):
        task = "classes" if base.detection is None else "boxes"
        raise WrongValue("recipe.detection", f"recipe {name} is one for {task}; take another one")
    if settings.get("schedule", base.schedule) == "cosine":
        settings = {"milestones": [], **settings}
    elif not settings.get("milestones", base.milestones):
        raise WrongValue("recipe.milestones", "schedule 'steps' needs the epochs at which it lowers the rate")
    chosen = from_json(Recipe, merged(to_json(base), dict(settings)), "recipe")
    if "milestones" in settings:
        _check_milestones(chosen.milestones, milestones_of or chosen.epochs)
    if "milestones" in settings and milestones_of is not None:
        chosen = replace(chosen, milestones=_scaled(chosen.milestones, chosen.epochs, milestones_of))
    return replace(chosen, warmup_epochs=min(chosen.warmup_epochs, max(0, chosen.epochs - 1)))


def chosen_dpk(name: str, settings: Mapping[str, Json]) -> DpkSettings:
    """The settings of DPK that belong to the recipe `name`, with `settings` in place of some. Raises WrongValue at
    `method.<setting>`."""
    return from_json(DpkSettings, merged(to_json(DPK_DEFAULTS[name]), settings), "method")


def chosen_kd(settings: Mapping[str, Json]) -> KdSettings:
    """The literature's settings of KD, the same under every recipe, with `settings` in place of some.

    Raises WrongValue at `method.<setting>`.
    """
    return from_json(KdSettings, dict(settings), "method")


def chosen_pyramid(settings: Mapping[str, Json]) -> PyramidSettings:
    """The settings of detection's methods, with `settings` in place of some.

    Raises WrongValue at `method.<setting>`.
    """
    return from_json(PyramidSettings, merged(to_json(PyramidSettings()), settings), "method")


def _check_milestones(milestones: tuple[int, ...], epochs: int) -> None:
    outside = [milestone for milestone in milestones if not 1 <= milestone < epochs]
    if outside:
        message = f"the rate is lowered after epochs 1 … {epochs - 1} of {epochs}; {outside[0]} would change nothing"
        raise WrongValue("recipe.milestones", message)


def _scaled(milestones: tuple[int, ...], epochs: int, of: int) -> tuple[int, ...]:
    return tuple(max(1, round(milestone * epochs / of)) for milestone in milestones)
