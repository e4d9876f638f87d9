"""Checkpoints and weights on disk."""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Mapping
from contextlib import suppress
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
KEPT = 2
"""Checkpoints of a prefix that stay on disk."""


class CheckpointWriter:
    """Writes `<prefix>-<step>.pt` under `root` and keeps the last two; one writer per prefix at a time.

    `resumed`: the checkpoint the training went on from; it counts as written where it has this prefix.
    """

    def __init__(self, root: Path, prefix: str, resumed: Checkpoint | None) -> None:
        self.root, self.prefix = root, prefix
        self.written: list[Checkpoint] = []
        if resumed is not None and resumed.file.path == self._path(resumed.step):
            self.written.append(resumed)

    def write(self, training: Training) -> Checkpoint:
        """The checkpoint of the training's present step, on disk; written unless it is there already.

        Raises TrainingDiverged rather than keeping a broken state.
        """
        if self.written and self.written[-1].step == training.step:
            return self.written[-1]
        training.averages.check(training.step)
        buffer = io.BytesIO()
        torch.save(training.state(), buffer)
        file = artifacts.write(self.root, self._path(training.step), buffer.getvalue())
        checkpoint = Checkpoint(file=file, step=training.step, epoch=training.epoch, seconds=training.seconds)
        self.written = [*self.written, checkpoint][-KEPT:]
        self._clear()
        return checkpoint

    def _path(self, step: int) -> str:
        return f"{self.prefix}-{step}.pt"

    def _clear(self) -> None:
        """Removes what is neither of the last two, also what an earlier life of this prefix left.

        A file that cannot be removed costs room, not the training.
        """
        kept = {Path(checkpoint.file.path).name for checkpoint in self.written}
        folder, stem = (self.root / self.prefix).parent, Path(self.prefix).name
        pattern = re.compile(re.escape(stem) + r"-\d+\.pt(\.partial)?")
        with suppress(OSError):
            for path in folder.iterdir():
                if pattern.fullmatch(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)


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
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
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
