"""Whole data sets in memory: decoded once, kept as uint8 on the device, normalised batch by batch.

Shapes: B pictures, C channels, H x W.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from dpk_core.catalogue.datasets import DIGITS_SHARES, VALIDATION_SHARE, DatasetCard, fingerprint, npz_path
from dpk_core.catalogue.npz import file_digest
from dpk_core.catalogue.splits import stratified
from dpk_core.errors import DataFault

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Pictures of one split (B x C x H x W, uint8) with their labels (B, int64)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set on a device. `mean`, `std`: channel statistics (C) of the train split, in the pictures' own unit.

    `read_test` reads the test split when it is called and not before: only the end of a full run does.
    """

    card: DatasetCard
    train: Split
    validation: Split
    read_test: Callable[[], Split]
    mean: Tensor
    std: Tensor

    @property
    def device(self) -> torch.device:
        """Where the pictures are."""
        return self.train.labels.device

    def normalise(self, pictures_BCHW: Tensor) -> Tensor:
        """Pictures as float32 with mean 0 and standard deviation 1 per channel over the train split."""
        return (pictures_BCHW.float() - self.mean[:, None, None]) / self.std[:, None, None]


def load_dataset(card: DatasetCard, data_root: Path | None, device: torch.device) -> ImageData:
    """Loads what the card promises. Raises DataFault when the data on this machine is something else."""
    if card.name == "digits":
        return _load_digits(card, device)
    assert data_root is not None
    return _load_npz(card, npz_path(card.name, data_root), device)


def _load_digits(card: DatasetCard, device: torch.device) -> ImageData:
    bunch = load_digits()
    pictures, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    content = hashlib.sha256(pictures.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    _check_fingerprint(card, content)
    train, validation, test = stratified(labels, DIGITS_SHARES)
    return _image_data(
        card,
        train=_split(pictures[train], labels[train], device),
        validation=_split(pictures[validation], labels[validation], device),
        read_test=lambda: _split(pictures[test], labels[test], device),
    )


def _load_npz(card: DatasetCard, path: Path, device: torch.device) -> ImageData:
    try:
        _check_fingerprint(card, file_digest(path))
        with np.load(path, allow_pickle=False) as arrays:
            pictures, labels = arrays["x_train"], arrays["y_train"].astype(np.int64)
    except OSError as error:
        raise DataFault(f"{path.name} cannot be read: {error.strerror}.") from error
    validation, train = stratified(labels, [VALIDATION_SHARE])

    def read_test() -> Split:
        with np.load(path, allow_pickle=False) as arrays:
            return _split(arrays["x_test"], arrays["y_test"].astype(np.int64), device)

    return _image_data(
        card,
        train=_split(pictures[train], labels[train], device),
        validation=_split(pictures[validation], labels[validation], device),
        read_test=read_test,
    )


def _check_fingerprint(card: DatasetCard, content: str) -> None:
    found = fingerprint(content)
    if found != card.fingerprint:
        raise DataFault(f"The data set {card.name} has the fingerprint {found}, but {card.fingerprint} was expected.")


def _split(pictures: Pictures, labels: Labels, device: torch.device) -> Split:
    tensor = torch.from_numpy(pictures)
    pictures_BCHW = tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()
    return Split(pictures_BCHW.to(device), torch.from_numpy(labels).to(device))


def _image_data(card: DatasetCard, *, train: Split, validation: Split, read_test: Callable[[], Split]) -> ImageData:
    # Moments from a histogram: exact, and without a float copy of the whole split.
    levels = torch.arange(256, dtype=torch.float64)
    counts = [torch.bincount(channel.flatten().cpu(), minlength=256) for channel in train.pictures.unbind(1)]
    weights = torch.stack(counts).double() / counts[0].sum()
    mean_C = weights @ levels
    std_C = ((weights @ levels**2) - mean_C**2).clamp_min(1e-12).sqrt()
    device = train.labels.device
    return ImageData(card, train, validation, read_test, mean_C.float().to(device), std_C.float().to(device))
