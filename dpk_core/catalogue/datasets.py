"""Data set cards: what pre-flight must know before anything is loaded. No torch.

| name | what it is, under the data root |
|---|---|
| `digits` | scikit-learn's own; needs no data root |
| `npz/<name>` | `<name>.npz` with `x_train, y_train, x_test, y_test, classes` |
| `folder/<name>`, `imagenet/<name>` | `<name>/train/<class>/…`, see `folders` |
| `parquet/<name>` | `<name>/train*.parquet`, see `parquet` |
| `torchvision/cifar10`, `torchvision/cifar100` | torchvision's folders, see `cifar` |
"""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue import cifar
from dpk_core.catalogue.dataset_hints import nearest_first, no_such_data_set
from dpk_core.catalogue.folders import folder_kind
from dpk_core.catalogue.npz import file_digest, read_layout
from dpk_core.catalogue.pictures import (
    READING_VERSION,
    Listing,
    PictureFacts,
    is_picture_data,
    list_pictures,
    picture_facts,
    picture_parts,
)
from dpk_core.catalogue.shards import has_shards
from dpk_core.catalogue.splits import SPLIT_VERSION, stratified
from dpk_core.catalogue.splitting import VALIDATION_SHARE, deal
from dpk_core.display import is_text
from dpk_core.errors import DataFault, InvalidRequest

DIGITS_CONTENT = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""SHA-256 of scikit-learn's pictures (uint8, 0 … 16) followed by its labels (uint8)."""

DIGITS_SHARES = (0.5, 0.3)
"""Parts of train and validation, the rest is test. A wide validation part, because decisions are read there."""

IN_MEMORY_BYTES = 2**31
"""Data that is larger when decoded is read from its files while it trains. The same on all machines, because it decides
what a random crop is cut from."""


PHOTO_SIDE = 64
"""Pictures from this side on are trained on with flips and resized crops (recipe `photos`)."""

DEEP_NOTE = "Of grey pictures with 16 bits the upper 8 bits are read."


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """A data set by name. `fingerprint`: content hash. Pictures are `channels` x `side` x `side`.

    `notes`: sentences for people about what was left out or read in a way that is not obvious.
    """

    name: str
    fingerprint: str
    classes: int
    channels: int
    side: int
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    default_recipe: str
    notes: tuple[str, ...] = ()

    @property
    def decoded_bytes(self) -> int:
        """Memory that all pictures together take at their working size."""
        pictures = self.train_pictures + self.validation_pictures + self.test_pictures
        return pictures * self.channels * self.side**2


def fingerprint(content: str) -> str:
    """Identity of a data set: its content (scheme and 64 hex digits) and the way it is split."""
    return f"{content}/split-{SPLIT_VERSION}"


def picture_fingerprint(facts: PictureFacts) -> str:
    """Identity of a data set of picture files; what the networks see depends also on how they are resized."""
    return f"{fingerprint(facts.content)}/reading-{READING_VERSION}/side-{facts.side}"


DIGITS_FINGERPRINT = fingerprint(f"sha256:{DIGITS_CONTENT}")

DIGITS = DatasetCard(
    name="digits", fingerprint=DIGITS_FINGERPRINT, classes=10, channels=1, side=8,
    train_pictures=898, validation_pictures=539, test_pictures=360, default_recipe="digits",
)  # fmt: skip
"""Facts of scikit-learn's digits (UCI, Alpaydin & Kaynak 1998); the loader checks them against what is installed."""


def dataset_names(data_root: Path | None) -> tuple[str, ...]:
    """Every data set that can be used with this data root, sorted within its kind."""
    names: list[str] = []
    if data_root is not None:
        # A data root that cannot be read holds no data sets; who asks for one is told why.
        with contextlib.suppress(OSError), os.scandir(data_root) as entries:
            for entry in entries:
                if entry.name[0] != "." and is_text(entry.name):
                    names += _names(Path(entry.path), entry.is_dir())
        names += [name for name, found in cifar.OFFICIAL.items() if os.path.isdir(data_root / found.folder)]
    return ("digits", *sorted(names))


def check_dataset_name(name: str, data_root: Path | None, field: str) -> None:
    """Raises InvalidRequest on `field` with the nearest name when there is no such data set. Looks into no files."""
    if name in ("digits", *cifar.OFFICIAL) or _is_there(name, data_root):
        return
    near = nearest_first(name, dataset_names(data_root))
    raise InvalidRequest(field, no_such_data_set(name, near, data_root), near[0])


def dataset_card(name: str, data_root: Path | None, field: str) -> DatasetCard:
    """The card of the data set `name`, from headers, listings and labels alone.

    Raises InvalidRequest as `check_dataset_name` does, DataFault when the files are broken. The first look at picture
    files hashes their content; later ones only list them (`content.remembered`), about 5 seconds per million.
    """
    check_dataset_name(name, data_root, field)
    if name == "digits":
        return DIGITS
    if name in cifar.OFFICIAL:
        cifar.check_present(name, data_root)
        return _cifar_card(name)
    assert data_root is not None
    if is_picture_data(name):
        listing = list_pictures(name, data_root)
        return picture_card(name, listing, picture_facts(listing))
    path = npz_path(name, data_root)
    status = path.stat()
    return _npz_card(name, path, status.st_size, status.st_mtime_ns)


def picture_card(name: str, listing: Listing, facts: PictureFacts) -> DatasetCard:
    """The card of listed picture files. Raises DataFault when they are too few to be split."""
    parts = picture_parts(listing)
    return DatasetCard(
        name=name,
        fingerprint=picture_fingerprint(facts),
        classes=len(listing.classes),
        channels=facts.channels,
        side=facts.side,
        train_pictures=len(parts.train),
        validation_pictures=len(parts.validation),
        test_pictures=len(parts.test),
        default_recipe=_default_recipe(facts.side),
        notes=(*listing.notes, *([DEEP_NOTE] if facts.deep else [])),
    )


def _default_recipe(side: int) -> str:
    return "photos" if side >= PHOTO_SIDE else "small"


def npz_path(name: str, data_root: Path) -> Path:
    """The file of the data set `npz/<stem>`."""
    return data_root / f"{name.removeprefix('npz/')}.npz"


def _is_there(name: str, data_root: Path | None) -> bool:
    """Whether `<kind>/<stem>` is there, by looking at the one entry of the data root that it can be."""
    kind, _, stem = name.partition("/")
    if data_root is None or not stem or "/" in stem or "\0" in stem or stem[0] == "." or not is_text(stem):
        return False
    path = npz_path(name, data_root) if kind == "npz" else data_root / stem
    # Unlike pathlib's, these take a name that is too long for a name that is not there.
    return os.path.exists(path) and name in _names(path, os.path.isdir(path))


def _names(path: Path, is_folder: bool) -> list[str]:
    """The data sets that an entry of the data root is; folders that cannot be read (`lost+found`, say) are none."""
    if not is_folder:
        return [f"npz/{path.stem}"] if path.suffix == ".npz" and path.is_file() else []
    if not os.access(path, os.R_OK | os.X_OK):
        return []
    with contextlib.suppress(OSError):
        kind = folder_kind(path)
        return [f"{each}/{path.name}" for each in (kind, "parquet" if has_shards(path) else None) if each is not None]
    return []


def _cifar_card(name: str) -> DatasetCard:
    official = cifar.OFFICIAL[name]
    parts = deal(name, {"train": official.expected_labels(), "test": official.expected_labels()[:1]})
    return DatasetCard(
        name=name,
        fingerprint=fingerprint(official.content),
        classes=official.classes,
        channels=3,
        side=32,
        train_pictures=len(parts.train),
        validation_pictures=len(parts.validation),
        test_pictures=official.test_pictures,
        default_recipe="cifar100",
    )


@functools.lru_cache(maxsize=64)
def _npz_card(name: str, path: Path, size: int, changed_ns: int) -> DatasetCard:  # noqa: ARG001  (both only key the cache)
    layout = read_layout(path)
    validation, train = stratified(layout.train_labels, [VALIDATION_SHARE])
    if not len(validation):
        raise DataFault(f"{path.name}: too few training pictures to hold {VALIDATION_SHARE:.0%} out for validation.")
    return DatasetCard(
        name=name,
        fingerprint=fingerprint(f"sha256:{file_digest(path)}"),
        classes=layout.classes,
        channels=layout.channels,
        side=layout.side,
        train_pictures=len(train),
        validation_pictures=len(validation),
        test_pictures=len(layout.test_labels),
        default_recipe=_default_recipe(layout.side),
    )
