"""What stays loaded between runs: data sets and teachers, the least recently used ones leaving first."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card, dataset_card
from dpk_core.catalogue.detection.detectors import is_detector, kind_and_backbone
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.own_models import OwnModel, make_known
from dpk_core.catalogue.plugins import FAMILY
from dpk_core.codec import from_json
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.detection_settings import DetectionSettings
from dpk_core.disk import machine
from dpk_core.errors import DataFault, InvalidRequest, MissingHere
from dpk_core.models.build import build_model
from dpk_core.models.preprocessing import entrance, feed_as_trained
from dpk_core.preprocessing import AS_DATA
from dpk_core.protocol import ArtifactReference
from dpk_core.spec import TrainingSpec
from dpk_core.training.checkpoint import load_weights, saved_beside

DATASETS = 2
TEACHERS = 4


def models_here(spec: TrainingSpec, uploads: Iterable[dict[str, Any]] = (), root: Path | None = None) -> None:
    """Makes the uploads known, whose files lie under the artifact root.

    Raises MissingHere where this machine lacks a plug-in that the run needs, or has another version of it.
    """
    for document in uploads:
        make_known(from_json(OwnModel, document), root)
    for name in (spec.model, *([] if spec.teacher is None else [spec.teacher.model])):
        if is_detector(name):
            kind_and_backbone(name, "model")  # without the lists of classifiers, which take longer to read
            continue
        try:
            model_card(name, "model")
        except InvalidRequest as error:
            if name.startswith(f"{FAMILY}/"):
                raise MissingHere(f"{machine()} does not have the plug-in {name}: {error.message}") from error
            raise


def data_for(spec: TrainingSpec, data_root: Path | None, device: torch.device) -> ImageData:
    """The data set the specification names.

    Raises MissingHere when this machine does not have it with the content that the specification was made for.
    """
    return _load_data(_card(spec, data_root), data_root, device)


def teacher_for(
    model: str, weights: ArtifactReference, root: Path, data: ImageData, detection: DetectionSettings | None = None
) -> nn.Module:
    """The teacher with its weights, frozen, on the data's device. It takes pictures as the student does, and sees them
    as it was trained on them. `detection`: how a detector is built
    whose weights do not say so.

    Raises ArtifactFault when its weights are broken.
    """
    statistics = tuple(data.mean.tolist()), tuple(data.std.tolist())
    return _load_teacher(model, detection, weights, root, data.card, statistics, data.device)


def _card(spec: TrainingSpec, data_root: Path | None) -> DatasetCard:
    root = "DPK_DATA_ROOT is not set" if data_root is None else f"data root {data_root}"
    try:
        if spec.recipe.detection is None:
            card = dataset_card(spec.dataset, data_root, "dataset")
        else:
            card = box_dataset_card(spec.dataset, data_root, "dataset", spec.recipe.detection)
    except InvalidRequest as error:
        raise MissingHere(f"{machine()} does not have the data set {spec.dataset} ({root}).") from error
    except DataFault as error:
        raise MissingHere(
            f"{machine()} cannot use its copy of the data set {spec.dataset} ({root}): {error}"
        ) from error
    if card.fingerprint != spec.data_fingerprint:
        raise MissingHere(
            f"{machine()} has another version of the data set {spec.dataset} ({root}): its fingerprint is "
            f"{card.fingerprint}, but the run was made for {spec.data_fingerprint}."
        )
    return card


@functools.lru_cache(maxsize=DATASETS)
def _load_data(card: DatasetCard, data_root: Path | None, device: torch.device) -> ImageData:
    return load_dataset(card, data_root, device)


@functools.lru_cache(maxsize=TEACHERS)
def _load_teacher(
    model: str, detection: DetectionSettings | None, weights: ArtifactReference, root: Path, card: DatasetCard,
    statistics: tuple[tuple[float, ...], tuple[float, ...]], device: torch.device,
) -> nn.Module:  # fmt: skip
    saved = saved_beside(root, weights)
    own = saved.preprocessing or AS_DATA
    if detection is None:
        channels = own.channels(card.channels)
        teacher = build_model(model, classes=card.classes, channels=channels, seed=0, side=own.side or card.side)
    else:
        # Here, as torchvision takes longer to import than torch.
        from dpk_core.training.detectors import detector_of

        if saved.detector is not None:
            detection = detection.built(kind_and_backbone(model, "model")[0], saved.detector)
        teacher = detector_of(model, detection, card, seed=0)
    load_weights(teacher, root, weights)
    if own != AS_DATA:
        mean_C, std_C = (torch.tensor(each, device=device) for each in statistics)
        feed_as_trained(teacher if detection is None else entrance(teacher), own, mean_C, std_C)
    return teacher.to(device).eval().requires_grad_(False)
