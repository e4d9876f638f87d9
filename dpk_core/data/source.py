"""Loading a data set by its card: whole and decoded in memory where it is small, else read while it trains."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch

from dpk_core.catalogue.built_in import DIGITS_SHARES
from dpk_core.catalogue.cifar import OFFICIAL
from dpk_core.catalogue.content import file_digest
from dpk_core.catalogue.datasets import DatasetCard, npz_path
from dpk_core.catalogue.detection.cards import is_box_data
from dpk_core.catalogue.pictures import is_picture_data
from dpk_core.catalogue.splits import fingerprint, stratified
from dpk_core.catalogue.splitting import VALIDATION_SHARE
from dpk_core.data.picture_files import load_pictures
from dpk_core.data.split import ImageData, PictureSplit, Split, check_fingerprint, image_data, split_of_arrays
from dpk_core.errors import DataFault

__all__ = ["ImageData", "PictureSplit", "Split", "load_dataset"]


def load_dataset(card: DatasetCard, data_root: Path | None, device: torch.device) -> ImageData:
    """Loads what the card promises. Raises DataFault when the data on this machine is something else."""
    if card.name == "digits":
        return _load_digits(card, device)
    assert data_root is not None
    if card.name in OFFICIAL:
        # Here, as the other data sets are trained on without torchvision, which takes longer to import than torch.
        from dpk_core.data.cifar import load_cifar

        return load_cifar(card, data_root, device)
    if is_box_data(card.name):
        # Here, as Pillow is loaded only where files are read.
        from dpk_core.data.box_files import load_boxes

        return load_boxes(card, data_root, device)
    if is_picture_data(card.name):
        return load_pictures(card, data_root, device)
    return _load_npz(card, npz_path(card.name, data_root), device)


def _load_digits(card: DatasetCard, device: torch.device) -> ImageData:
    try:
        values_N65 = np.loadtxt(_digits_file(), delimiter=",", dtype=np.uint8)
    except (PackageNotFoundError, OSError) as error:
        raise DataFault("digits is a file of scikit-learn, which is not here; install scikit-learn.") from error
    pictures, labels = values_N65[:, :-1].reshape(-1, 8, 8), values_N65[:, -1].astype(np.int64)
    content = hashlib.sha256(pictures.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    check_fingerprint(card, fingerprint(f"sha256:{content}"))
    train, validation, test = (
        split_of_arrays(pictures[chosen], labels[chosen], device) for chosen in stratified(labels, DIGITS_SHARES)
    )
    return image_data(card, train=train, validation=validation, read_test=lambda: test, sample_BCHW=train.pictures)


def _digits_file() -> Path:
    """The file that `sklearn.datasets.load_digits` reads. Importing scikit-learn would take longer than a short run."""
    return Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))


def _load_npz(card: DatasetCard, path: Path, device: torch.device) -> ImageData:
    try:
        check_fingerprint(card, fingerprint(f"sha256:{file_digest(path)}"))
        with np.load(path, allow_pickle=False) as arrays:
            pictures, labels = arrays["x_train"], arrays["y_train"].astype(np.int64)
    except OSError as error:
        raise DataFault(f"{path.name} cannot be read: {error.strerror}.") from error
    validation, train = (
        split_of_arrays(pictures[chosen], labels[chosen], device) for chosen in stratified(labels, [VALIDATION_SHARE])
    )

    def read_test() -> Split:
        with np.load(path, allow_pickle=False) as arrays:
            return split_of_arrays(arrays["x_test"], arrays["y_test"].astype(np.int64), device)

    return image_data(card, train=train, validation=validation, read_test=read_test, sample_BCHW=train.pictures)
