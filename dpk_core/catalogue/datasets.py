"""Data set cards: what pre-flight must know before anything is loaded. No torch.

`digits` is scikit-learn's; every `<name>.npz` under the data root (`x_train, y_train, x_test, y_test, classes`) is the
data set `npz/<name>`.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.npz import file_digest, read_layout
from dpk_core.catalogue.splits import SPLIT_VERSION, stratified
from dpk_core.errors import DataFault, InvalidRequest

DIGITS_CONTENT = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""SHA-256 of scikit-learn's pictures (uint8, 0 … 16) followed by its labels (uint8)."""

DIGITS_SHARES = (0.5, 0.3)
"""Parts of train and validation, the rest is test. A wide validation part, because decisions are read there."""

VALIDATION_SHARE = 0.2
"""Part of the training pictures held out, stratified by class, where a data set brings no validation split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """A data set by name. `fingerprint`: content hash. Pictures are `channels` x `side` x `side`."""

    name: str
    fingerprint: str
    classes: int
    channels: int
    side: int
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    default_recipe: str


def fingerprint(content: str) -> str:
    """Identity of a data set: its content (SHA-256, 64 hex digits) and the way it is split."""
    return f"sha256:{content}/split-{SPLIT_VERSION}"


DIGITS_FINGERPRINT = fingerprint(DIGITS_CONTENT)

DIGITS = DatasetCard(
    name="digits", fingerprint=DIGITS_FINGERPRINT, classes=10, channels=1, side=8,
    train_pictures=898, validation_pictures=539, test_pictures=360, default_recipe="digits",
)  # fmt: skip
"""Facts of scikit-learn's digits (UCI, Alpaydin & Kaynak 1998); the loader checks them against what is installed."""


def dataset_names(data_root: Path | None) -> tuple[str, ...]:
    """Every data set that can be used with this data root, sorted."""
    found = sorted(data_root.glob("*.npz")) if data_root is not None else []
    return ("digits", *(f"npz/{path.stem}" for path in found))


def dataset_card(name: str, data_root: Path | None, field: str) -> DatasetCard:
    """The card of the data set `name`, from headers and labels alone.

    Raises InvalidRequest on `field` with the nearest name when there is none, DataFault when its file is broken.
    """
    names = dataset_names(data_root)
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        raise InvalidRequest(field, f"There is no data set {name!r}.", nearest)
    if name == "digits":
        return DIGITS
    assert data_root is not None
    path = npz_path(name, data_root)
    status = path.stat()
    return _npz_card(name, path, status.st_size, status.st_mtime_ns)


def npz_path(name: str, data_root: Path) -> Path:
    """The file of the data set `npz/<stem>`."""
    return data_root / f"{name.removeprefix('npz/')}.npz"


@functools.lru_cache(maxsize=64)
def _npz_card(name: str, path: Path, size: int, changed_ns: int) -> DatasetCard:  # noqa: ARG001  (both only key the cache)
    layout = read_layout(path)
    validation, train = stratified(layout.train_labels, [VALIDATION_SHARE])
    if not len(validation):
        raise DataFault(f"{path.name}: too few training pictures to hold {VALIDATION_SHARE:.0%} out for validation.")
    return DatasetCard(
        name=name,
        fingerprint=fingerprint(file_digest(path)),
        classes=layout.classes,
        channels=layout.channels,
        side=layout.side,
        train_pictures=len(train),
        validation_pictures=len(validation),
        test_pictures=len(layout.test_labels),
        default_recipe="small",
    )
