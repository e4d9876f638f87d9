"""torchvision's copies of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): official files, known by their MD5. No torch.

The files are Python pickles, so only these very files are ever opened: one with another MD5 is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.downloads import DOWNLOAD, download_allowed
from dpk_core.errors import DataFault


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialCifar:
    """`files`: name and MD5 of each, training first. Classes have equally many pictures in each split."""

    folder: str
    classes: int
    files: tuple[tuple[str, str], ...]
    train_pictures: int = 50_000
    test_pictures: int = 10_000

    @property
    def content(self) -> str:
        """`md5-list:` and the SHA-256 of the official digests: the content, as far as MD5 identifies it."""
        listed = "".join(f"{name} {digest}\n" for name, digest in self.files)
        return f"md5-list:{hashlib.sha256(listed.encode()).hexdigest()}"

    def expected_labels(self) -> NDArray[np.int64]:
        """Labels with the right counts, from which the sizes of a stratified split follow."""
        return np.repeat(np.arange(self.classes), self.train_pictures // self.classes)

    def expected_test_labels(self) -> NDArray[np.int64]:
        """The same of the test pictures."""
        return np.repeat(np.arange(self.classes), self.test_pictures // self.classes)


OFFICIAL = {
    "torchvision/cifar10": OfficialCifar(
        folder="cifar-10-batches-py",
        classes=10,
        files=(
            ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
            ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            ("data_batch_4", "634d18415352ddfa80567beed471001a"),
            ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ("test_batch", "40351d587109b95175f43aff81a1287e"),
            ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        ),
    ),
    "torchvision/cifar100": OfficialCifar(
        folder="cifar-100-python",
        classes=100,
        files=(
            ("train", "16019d7e3df5f24257cddd939b257f8d"),
            ("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
            ("meta", "7973b15100ade9c7d40fb424638fde48"),
        ),
    ),
}


def check_present(name: str, data_root: Path | None) -> None:
    """Raises DataFault when the official files are not under the data root and may not be fetched."""
    official = OFFICIAL[name]
    if data_root is None:
        raise DataFault(f"{name} needs a data root: set DPK_DATA_ROOT to the folder that holds {official.folder}.")
    missing = next((file for file, _ in official.files if not (data_root / official.folder / file).is_file()), None)
    if missing is not None and not download_allowed():
        raise DataFault(
            f"{name}: {official.folder}/{missing} is not under the data root; put torchvision's files there, or set "
            f"{DOWNLOAD}=1 where the network allows to fetch them."
        )
