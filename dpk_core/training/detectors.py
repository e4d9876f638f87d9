"""The detector that a training begins with, and what it takes over from its teacher."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.detection.detectors import check_canvas, kind_and_backbone
from dpk_core.detection.inheriting import inherit
from dpk_core.detection.models import build_detector, load_classifier
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import ArtifactFault, InvalidRequest
from dpk_core.models.weights import WeightedModel, Weights, check_finite, read_weights, torchvision_state
from dpk_core.randomness import derive
from dpk_core.spec import TrainingSpec

FIELD = "weights"


def detector_of(name: str, settings: DetectionSettings, card: DatasetCard, seed: int) -> nn.Module:
    """The detector `name` as the recipe has it, with random weights. Raises InvalidRequest where its levels do not
    cover the canvas in whole cells."""
    chosen = settings.of(kind_and_backbone(name, "model")[0])
    check_canvas(settings.canvas, chosen, "recipe.detection.canvas")
    return build_detector(name, classes=card.classes, seed=seed, settings=chosen)


def starting_detector(spec: TrainingSpec, card: DatasetCard, weights: Weights) -> WeightedModel:
    """The student or teacher before its first step, on the CPU. `weights`: `random`, the tag of a published classifier
    for the backbone, or a safetensors file of the whole detector. Raises InvalidRequest where they do not fit."""
    assert spec.recipe.detection is not None
    model = detector_of(spec.model, spec.recipe.detection, card, derive(spec.seed, "student"))
    if weights == "random":
        return WeightedModel(model=model)
    if isinstance(weights, Path):
        source = weights.name
        try:
            model.load_state_dict(read_weights(weights))
        except RuntimeError as error:  # the sentence's last line names the first parameter that differs
            reason = str(error).splitlines()[-1].strip()
            raise InvalidRequest(FIELD, f"The weights {source} are not those of this {spec.model}: {reason}") from error
        notes: tuple[str, ...] = ()
    else:
        backbone = kind_and_backbone(spec.model, "model")[1]
        source = f"published for torchvision/{backbone}"
        try:
            load_classifier(model, torchvision_state(backbone, weights))
        except (OSError, ArtifactFault) as error:
            raise InvalidRequest(FIELD, f"The weights {source} cannot be had here: {error}") from error
        notes = (f"Its backbone has the weights {source}; neck and heads are drawn anew.",)
    check_finite(model, source)
    return WeightedModel(model=model, notes=notes)


def take_over(student: nn.Module, teacher: nn.Module, card: DatasetCard) -> str:
    """Copies the teacher's neck and heads into the student, in place; a sentence about it. The teacher was trained on
    the same classes. Raises InvalidRequest where the two are of different kinds."""
    classes = [str(number) for number in range(card.classes)]
    found = inherit(student, teacher, classes, classes)
    whole = len(found.copied) + len(found.own)
    return f"Its neck and heads begin as the teacher's: {len(found.copied)} of their {whole} tensors fit."
