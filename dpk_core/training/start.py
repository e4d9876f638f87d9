"""The network that a training begins with: drawn from the seed, or with trained weights that are what they were."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.parameters import weights_card
from dpk_core.catalogue.published import published_for
from dpk_core.catalogue.weight_names import OWN
from dpk_core.catalogue.weights import check_obtainable, file_identity, weights_file
from dpk_core.disk import machine
from dpk_core.errors import InvalidRequest, MissingHere
from dpk_core.models.published import library, published
from dpk_core.models.weights import WeightedModel, Weights, build_with_weights
from dpk_core.preprocessing import AS_DATA
from dpk_core.randomness import derive
from dpk_core.spec import TrainingSpec

FIELD = "weights"


def starting_model(spec: TrainingSpec, card: DatasetCard, weights_root: Path | None) -> WeightedModel:
    """The network before the first step, on the CPU; what its weights do not decide is decided by the seed alone.

    Where only the head trains, nothing else takes a gradient. Raises MissingHere where this machine does not have the
    weights that the specification was made for, InvalidRequest where they do not fit, or have another head and are to
    be taken as they are.
    """
    if spec.task == "detection":
        # Here, as torchvision takes longer to import than torch.
        from dpk_core.training.detectors import starting_detector

        return starting_detector(spec, card, _weights_here(spec, weights_root))
    own = spec.preprocessing or AS_DATA
    built = build_with_weights(
        spec.model, classes=card.classes, channels=own.channels(card.channels), seed=derive(spec.seed, "student"),
        side=own.side or card.side, weights=_weights_here(spec, weights_root), class_map=spec.class_map,
    )  # fmt: skip
    if built.replaced and spec.recipe.epochs == 0:
        raise InvalidRequest(FIELD, f"{spec.model} cannot be taken as it is: {built.notes[-1]}")
    if spec.trains == "head":
        _freeze_body(spec.model, built.model)
    return built


def _weights_here(spec: TrainingSpec, root: Path | None) -> Weights:
    try:
        return _weights(spec, root)
    except InvalidRequest as error:
        raise MissingHere(f"{machine()} cannot start {spec.model} from its weights: {error.message}") from error


def _weights(spec: TrainingSpec, root: Path | None) -> Weights:
    start = spec.start
    if start is None:
        return "random"
    if start.source == "file":
        path = weights_file(start.name, root, FIELD)
        if (found := file_identity(path, start.name, FIELD)) != start.identity:
            message = f"The weights {start.name} are {found} here, but the run was made for {start.identity}."
            raise InvalidRequest(FIELD, message)
        return path
    if start.source == "own":
        return OWN
    model = spec.model
    offered = (
        {tag: each for tag, (_, each) in published_for(model, FIELD).items()}
        if spec.task == "detection"
        else (published(model))
    )
    tag = next((tag for tag, each in offered.items() if each.name == start.name), None)
    if tag is None:
        names = ", ".join(each.name for each in offered.values()) or "nothing"
        publisher = library("torchvision/resnet18" if spec.task == "detection" else model)
        here = f"{publisher} here publishes {names}"
        raise InvalidRequest(FIELD, f"{here} for {model}, but the run was made for {start.name}.")
    check_obtainable(model, offered[tag], FIELD)
    return tag


def _freeze_body(name: str, model: nn.Module) -> None:
    head = weights_card(name, FIELD).head
    parameters = dict(model.named_parameters())
    if not head or not head.keys() <= parameters.keys():
        raise InvalidRequest(FIELD, f"The installed library's {name} has no head of its own that could be trained.")
    for key, parameter in parameters.items():
        parameter.requires_grad_(key in head)
