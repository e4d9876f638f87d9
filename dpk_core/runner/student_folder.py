"""A folder that `dpk export` wrote, as a network: weights, architecture and preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from dpk_core.catalogue.own_models import UPLOAD
from dpk_core.codec import from_json
from dpk_core.detection_settings import DetectorSettings
from dpk_core.errors import DataFault, first_line
from dpk_core.models.build import build_model, repeat_grey
from dpk_core.models.exported import ExportedModel, unpacked

WEIGHTS, CONFIG, PROGRAM = "model.safetensors", "config.json", "program.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentFolder:
    """A student in evaluation mode. It takes B x `channels` x `height` x `width` pictures in 0 … 255, less `mean` and
    divided by `deviation` by channel. `fingerprint`: of the data that it was trained on. `config`: the whole of
    `config.json`. `detector`: how a detector is built; None of a classifier."""

    model: nn.Module
    architecture: str
    classes: int
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    fingerprint: str | None
    config: Mapping[str, Any] = field(default_factory=dict)
    detector: DetectorSettings | None = None


def read_student(folder: Path) -> StudentFolder:
    """The student of a folder. Raises DataFault where its files are missing or do not belong together, InvalidRequest
    where its architecture is not known here."""
    config = _config(folder)
    try:
        architecture = str(config["model"] if "model" in config else config["architecture"])
        classes, (channels, height, width) = int(config["num_classes"]), map(int, config["input_size"])
        mean, deviation = (tuple(255 * float(each) for each in config[name]) for name in ("mean", "std"))
        detector = _detector(config)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataFault(
            f"{folder / CONFIG} is no configuration of a student ({type(error).__name__}: {error}); export the student "
            "again."
        ) from None
    if not len(mean) == len(deviation) == channels:
        raise DataFault(f"{folder / CONFIG} has not one mean and one std for each of {channels} channels.")
    if detector is None:
        model = _built(folder, architecture, classes, channels, height)
    else:
        from dpk_core.detection.models import build_detector  # here, as torchvision takes longer to import than torch

        model = build_detector(architecture, classes=classes, seed=0, settings=detector)
    try:
        model.load_state_dict(safetensors.torch.load(_bytes(folder / WEIGHTS)))
    except (SafetensorError, RuntimeError) as error:
        message = f"{folder / WEIGHTS} does not hold the weights of {architecture}: {first_line(error)}"
        raise DataFault(message) from None
    return StudentFolder(
        model=model.eval(), architecture=architecture, classes=classes, channels=channels, height=height,
        width=width, mean=mean, deviation=deviation, fingerprint=config.get("data_fingerprint"), config=config,
        detector=detector,
    )  # fmt: skip


def _detector(config: Mapping[str, Any]) -> DetectorSettings | None:
    return None if config.get("task") != "detection" else from_json(DetectorSettings, config["detector"]["settings"])


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads(_bytes(folder / CONFIG))
    except (ValueError, RecursionError):
        raise DataFault(f"{folder / CONFIG} is no JSON; export the student again.") from None
    if not isinstance(config, dict):
        raise DataFault(f"{folder / CONFIG} is no JSON object; export the student again.")
    return config


def _built(folder: Path, architecture: str, classes: int, channels: int, side: int) -> nn.Module:
    """The network with whatever weights. An upload is built from its program, which lies in the folder."""
    if not architecture.startswith(f"{UPLOAD}/"):
        try:
            return build_model(architecture, classes=classes, channels=channels, seed=0, side=side)
        except ValueError as error:
            raise DataFault(f"{architecture} cannot be built as {folder / CONFIG} says: {error}") from None
    try:
        program, state = unpacked(_bytes(folder / PROGRAM))
        model = ExportedModel(program, classes)
        model.take(state, "buffer", "constant")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFault(f"{folder / PROGRAM} is no program of an uploaded network ({error}).") from None
    if program.channels == 3 and channels == 1:
        model.register_forward_pre_hook(repeat_grey)
    return model


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataFault(f"{file} cannot be read ({error.strerror}); name a folder that `dpk export` wrote.") from None
