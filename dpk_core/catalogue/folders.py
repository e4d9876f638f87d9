"""Pictures in class folders: `train/<class>/*.jpg`, perhaps `val/` and `test/` with the same classes.

This is the layout of torchvision's ImageFolder. ImageNet's has `train/` and `val/` with synset folders (`n01440764`)
and no labelled test pictures: there `val/` is what the literature reports on, so it is the test split here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, data_file, sample
from dpk_core.errors import DataFault

if TYPE_CHECKING:
    from dpk_core.catalogue.headers import Survey

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Files with other endings are no pictures and are left alone."""

FOLDER = {"train": "train", "val": "validation", "test": "test"}
IMAGENET = {"train": "train", "val": "test"}
"""The split that each folder is. The official test pictures of ImageNet have no labels and are left alone."""

SYNSET = re.compile(r"n\d{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """`labels` (int64) and `files` by split, in the order of classes and names."""

    folder: Path
    classes: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    labels: dict[str, NDArray[np.int64]]

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """The files of all splits."""
        return tuple(file for files in self.files.values() for file in files)


def folder_kind(folder: Path) -> str | None:
    """`imagenet` when all classes are synsets and only `train/` and `val/` have any, `folder` for other class folders.

    None where there is no `train/`.
    """
    if not (folder / "train").is_dir():
        return None
    classes = _folders(folder / "train")
    synsets = bool(classes) and all(SYNSET.fullmatch(name) for name in classes)
    tested = (folder / "test").is_dir() and bool(_folders(folder / "test"))
    return "imagenet" if synsets and (folder / "val").is_dir() and not tested else "folder"


def list_folder(folder: Path, kind: str) -> FolderListing:
    """Every picture of the data set. Raises DataFault naming the folder that is empty, missing or not understood."""
    splits = IMAGENET if kind == "imagenet" else FOLDER
    try:
        found = _folders(folder)
        if unknown := sorted(set(found) - set(FOLDER)):
            raise DataFault(f"{folder.name}/{unknown[0]} is none of train, val and test; rename or remove it.")
        classes = tuple(_folders(folder / "train"))
        listed = {splits[name]: _list_split(folder, name, classes) for name in splits if name in found}
    except OSError as error:
        raise DataFault(f"{folder.name}: {error.filename} cannot be listed: {error.strerror}.") from error
    return FolderListing(
        folder=folder,
        classes=classes,
        files={split: files for split, (files, _) in listed.items()},
        labels={split: labels for split, (_, labels) in listed.items()},
    )


def survey_folder(listing: FolderListing) -> Survey:
    """Headers of all pictures, of large data those of the sample."""
    # Pillow is loaded only where pictures are looked at: the API starts sooner without.
    from dpk_core.catalogue.headers import survey

    names = (file.name for file in sample(listing.all_files))
    return survey((f"{listing.folder.name}/{name}", listing.folder / name) for name in names)


def _list_split(folder: Path, split: str, classes: tuple[str, ...]) -> tuple[tuple[DataFile, ...], NDArray[np.int64]]:
    found = _folders(folder / split)
    if strange := sorted(set(found) - set(classes)):
        raise DataFault(f"{folder.name}/{split}/{strange[0]} is a class that {folder.name}/train does not have.")
    files: list[DataFile] = []
    counts = np.zeros(len(classes), np.int64)
    for label, name in enumerate(classes):
        if name in found:
            members = _pictures(folder, f"{split}/{name}/")
            files += members
            counts[label] = len(members)
    if not files:
        raise DataFault(f"{folder.name}/{split} holds no pictures in class folders; add some or remove it.")
    return tuple(files), np.repeat(np.arange(len(classes)), counts)


def _pictures(folder: Path, inside: str) -> list[DataFile]:
    with os.scandir(folder / inside) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in visible:
        if entry.is_dir():
            raise DataFault(f"{folder.name}/{inside}{entry.name} is a folder; pictures lie directly in their class.")
    members = [data_file(entry, inside) for entry in visible if entry.name.lower().endswith(ENDINGS)]
    if not members:
        raise DataFault(f"{folder.name}/{inside[:-1]} holds no pictures ({', '.join(ENDINGS)}).")
    if empty := next((file.name for file in members if file.size == 0), None):
        raise DataFault(f"{folder.name}/{empty} is an empty file; mend or remove it.")
    return sorted(members, key=lambda file: file.name)


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
