"""Checkpoints and weights on disk."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from dpk_core import artifacts
from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import DetectorSettings
from dpk_core.errors import ArtifactFault
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.protocol import ArtifactReference, Checkpoint
from dpk_core.training.training import Training

T = TypeVar("T")

PREPROCESSING, DETECTOR = "preprocessing", "detector"
"""Their entries in the metadata of weights."""


class CheckpointWriter:
    """Writes `<prefix>-<step>.pt` under `root`; one writer per prefix at a time.

    It deletes no file: only the worker knows which checkpoint the database has recorded, and so which are needed.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self.root, self.prefix = root, prefix
        self.last: Checkpoint | None = None

    def write(self, training: Training) -> Checkpoint:
        """The checkpoint of the training's present step, on disk; written unless it is there already.

        Raises TrainingDiverged rather than keeping a broken state.
        """
        if self.last is not None and self.last.step == training.step:
            return self.last
        training.averages.check(training.step)
        buffer = io.BytesIO()
        torch.save(training.state(), buffer)
        file = artifacts.write(self.root, f"{self.prefix}-{training.step}.pt", buffer.getvalue())
        self.last = Checkpoint(file=file, step=training.step, epoch=training.epoch, seconds=training.seconds)
        return self.last


def resume(training: Training, root: Path, checkpoint: Checkpoint) -> None:
    """Takes `training` to the state of `checkpoint`.

    Raises ArtifactFault when the file is missing, broken or of another training.
    """
    content = artifacts.read(root, checkpoint.file)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ArtifactFault(f"The file {checkpoint.file.path} is no checkpoint.") from error
    try:
        training.restore(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactFault(f"The checkpoint {checkpoint.file.path} does not fit this training: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What is stored with weights: how pictures are prepared for them, and how a detector is built."""

    preprocessing: ModelPreprocessing | None = None
    detector: DetectorSettings | None = None


NOTHING_SAVED = Saved()


def save_weights(model: nn.Module, root: Path, path: str, beside: Saved = NOTHING_SAVED) -> ArtifactReference:
    """Writes the model's parameters and buffers as safetensors, with what belongs to them."""
    # Copies, as a module with two names has its numbers under both, and safetensors takes none that share memory.
    state = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}
    entries = {PREPROCESSING: beside.preprocessing, DETECTOR: beside.detector}
    metadata = {name: json.dumps(to_json(each)) for name, each in entries.items() if each is not None}
    return artifacts.write(root, path, safetensors.torch.save(state, metadata or None))


def saved_beside(root: Path, reference: ArtifactReference) -> Saved:
    """What `save_weights` stored with the weights.

    Raises ArtifactFault when the file is missing or broken.
    """
    content = artifacts.read(root, reference)
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        entries = header.get("__metadata__", {})
        return Saved(
            preprocessing=_entry(entries, PREPROCESSING, ModelPreprocessing),
            detector=_entry(entries, DETECTOR, DetectorSettings),
        )
    except (ValueError, AttributeError) as error:
        raise ArtifactFault(f"The weights {reference.path} do not say how they are used: {error}.") from error


def _entry(entries: Mapping[str, str], name: str, kind: type[T]) -> T | None:
    return from_json(kind, json.loads(entries[name])) if name in entries else None


def load_weights(model: nn.Module, root: Path, reference: ArtifactReference) -> None:
    """Fills `model` from safetensors. Raises ArtifactFault when the file is missing, broken or of another model."""
    content = artifacts.read(root, reference)
    try:
        model.load_state_dict(safetensors.torch.load(content))
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactFault(f"The weights {reference.path} do not fit the model: {error}.") from error
