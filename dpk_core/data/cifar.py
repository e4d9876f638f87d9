"""torchvision's CIFAR-10 and CIFAR-100 from their official files."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from dpk_core.catalogue.cifar import OFFICIAL, check_present
from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.downloads import download_allowed
from dpk_core.catalogue.splits import fingerprint
from dpk_core.catalogue.splitting import split_parts
from dpk_core.data.split import ImageData, Split, check_fingerprint, image_data, split_of_arrays
from dpk_core.errors import DataFault

SOURCES: dict[str, Any] = {"torchvision/cifar10": CIFAR10, "torchvision/cifar100": CIFAR100}


def load_cifar(card: DatasetCard, data_root: Path, device: torch.device) -> ImageData:
    """Loads what the card promises; fetches it first where that is allowed and needed.

    The files are pickles. Each is opened only when its MD5 is the official one; raises DataFault naming another.
    """
    official = OFFICIAL[card.name]
    check_fingerprint(card, fingerprint(official.content))
    check_present(card.name, data_root)
    present = all((data_root / official.folder / name).is_file() for name, _ in official.files)
    if not present and download_allowed():
        _download(card.name, data_root)
    for name, digest in official.files:
        if not check_integrity(data_root / official.folder / name, digest):
            raise DataFault(f"{official.folder}/{name} is not the official file (its MD5 differs); it is not opened.")
    source = SOURCES[card.name](data_root, train=True)
    pictures, labels = source.data, np.asarray(source.targets, np.int64)
    parts = split_parts(card.name, {"train": labels, "test": labels[:1]})
    train, validation = (
        split_of_arrays(pictures[part.positions], labels[part.positions], device)
        for part in (parts.train, parts.validation)
    )

    def read_test() -> Split:
        test = SOURCES[card.name](data_root, train=False)
        return split_of_arrays(test.data, np.asarray(test.targets, np.int64), device)

    return image_data(card, train=train, validation=validation, read_test=read_test, sample_BCHW=train.pictures)


def _download(name: str, data_root: Path) -> None:
    try:
        SOURCES[name](data_root, download=True)
    except (OSError, URLError, RuntimeError) as error:
        raise DataFault(f"{name} could not be fetched into the data root: {error}.") from error
