"""Pictures in class folders: `train/<class>/*.jpg`, perhaps validation and test folders with the same classes.

This is the layout of torchvision's ImageFolder; what the split folders may be called says `split_names`. ImageNet's has
`train/` and `val/` with synset folders (`n01440764`) and no labelled test pictures: there `val/` is what the literature
reports on, so it is the test split here.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, data_file, sample
from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.catalogue.formats import EXPECTED as FORMATS
from dpk_core.catalogue.left_out import LeftOut
from dpk_core.catalogue.split_names import EXPECTED, by_split, split_words
from dpk_core.display import shown
from dpk_core.errors import DataFault

if TYPE_CHECKING:
    from dpk_core.catalogue.headers import Survey

SYNSET = re.compile(r"n\d{8}")


@dataclass(frozen=True, slots=True)
class Entries:
    """Names in a folder, sorted. Folders with a leading dot are not among them. `dangling`: links to nothing."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    dangling: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """`labels` (int64) and `files` by split, in the order of classes and names. `notes`: what is left out."""

    folder: Path
    classes: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    labels: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...]

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """The files of all splits."""
        return tuple(file for files in self.files.values() for file in files)


def entries(folder: Path) -> Entries:
    """What lies in a folder. Raises OSError."""
    folders, files, dangling = [], [], []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir():
                if entry.name[0] != ".":
                    folders.append(entry.name)
            elif entry.is_symlink() and not (folder / entry.name).exists():
                dangling.append(entry.name)
            else:
                files.append(entry.name)
    return Entries(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(dangling)))


def folder_kind(folder: Path) -> str | None:
    """`imagenet` when all classes are synsets and only `train/` and `val/` have any, `folder` for other class folders.

    None where there is no training folder, or one that holds Parquet files.
    """
    inside = entries(folder).folders
    training = next((name for name in inside if "train" in _splits(name)), None)
    if training is None:
        return None
    train = entries(folder / training)
    if not train.folders and any(name.endswith(".parquet") for name in train.files):
        return None
    synsets = bool(train.folders) and all(SYNSET.fullmatch(name) for name in train.folders)
    validated = any("validation" in _splits(name) for name in inside)
    tested = any("test" in _splits(name) and entries(folder / name).folders for name in inside)
    return "imagenet" if synsets and validated and not tested else "folder"


def list_folder(folder: Path, kind: str) -> FolderListing:
    """Every picture of the data set. Raises DataFault naming the folder that is empty, missing or not understood."""
    left_out = LeftOut()
    try:
        splits, notes = _split_folders(folder), []
        if kind == "imagenet":
            if "test" in splits:
                notes.append(shown(f"Left out: the folder {splits['test']}, which has no class folders."))
            splits = {"train": splits["train"], "test": splits["validation"]}
        classes = entries(folder / splits["train"]).folders
        listed = {split: _list_split(folder, name, classes, left_out) for split, name in splits.items()}
    except OSError as error:
        raise DataFault(f"{folder.name}: {error.filename} cannot be listed: {error.strerror}.") from error
    left_out.check(folder.name)
    return FolderListing(
        folder=folder,
        classes=classes,
        files={split: files for split, (files, _) in listed.items()},
        labels={split: labels for split, (_, labels) in listed.items()},
        notes=(*notes, *left_out.notes()),
    )


def survey_folder(listing: FolderListing) -> Survey:
    """Headers of all pictures, of large data those of the sample."""
    # Pillow is loaded only where pictures are looked at: the API starts sooner without.
    from dpk_core.catalogue.headers import survey

    names = (file.name for file in sample(listing.all_files))
    return survey((f"{listing.folder.name}/{name}", listing.folder / name) for name in names)


def _splits(name: str) -> set[str]:
    return set(split_words(name).values())


def _split_folders(folder: Path) -> dict[str, str]:
    """The folder of each split."""
    inside = entries(folder).folders
    found = by_split(folder.name, inside)
    if unknown := sorted(set(inside) - {name for names in found.values() for name in names}):
        raise DataFault(f"{folder.name}/{unknown[0]} is the folder of no split ({EXPECTED}); rename or remove it.")
    for split, names in found.items():
        if len(names) > 1:
            raise DataFault(f"{folder.name} has {names[0]} and {names[1]}, which both mean {split}; keep one of them.")
    if "train" not in found:
        raise DataFault(f"{folder.name} has no training folder ({EXPECTED}).")
    return {split: names[0] for split, names in found.items()}


def _list_split(
    folder: Path, split: str, classes: tuple[str, ...], left_out: LeftOut
) -> tuple[tuple[DataFile, ...], NDArray[np.int64]]:
    found = entries(folder / split)
    if strange := sorted(set(found.folders) - set(classes)):
        raise DataFault(f"{folder.name}/{split}/{strange[0]} is a class that {folder.name} has no training folder of.")
    if found.dangling:
        raise _dangling(f"{folder.name}/{split}/{found.dangling[0]}")
    for name in found.files:
        left_out.add(split, name)
    files: list[DataFile] = []
    counts = np.zeros(len(classes), np.int64)
    for label, name in enumerate(classes):
        if name in found.folders:
            members = _pictures(folder, f"{split}/{name}", left_out)
            files += members
            counts[label] = len(members)
    if not files:
        instead = left_out.in_folder(split)
        raise DataFault(
            f"{folder.name}/{split} holds no class folders with pictures{instead}. "
            f"Pictures lie in {folder.name}/{split}/<class>/; add some or remove {split}."
        )
    return tuple(files), np.repeat(np.arange(len(classes)), counts)


def _pictures(folder: Path, inside: str, left_out: LeftOut) -> list[DataFile]:
    members: list[DataFile] = []
    with os.scandir(folder / inside) as found:
        for entry in found:
            hidden = entry.name[0] == "."
            if entry.is_dir():
                if not hidden:
                    raise DataFault(
                        f"{folder.name}/{inside}/{entry.name} is a folder; pictures lie directly in their class."
                    )
            elif not hidden and ending(entry.name) in ENDINGS:
                members.append(_picture(folder.name, inside, entry))
            else:
                left_out.add(inside, entry.name)
    left_out.read[inside] = len(members)
    if not members:
        instead = left_out.in_folder(inside)
        raise DataFault(f"{folder.name}/{inside} holds no pictures ({FORMATS}){instead}; add some or remove it.")
    return sorted(members, key=lambda file: file.name)


def _picture(name: str, inside: str, entry: os.DirEntry[str]) -> DataFile:
    where = f"{name}/{inside}/{entry.name}"
    try:
        file = data_file(entry, f"{inside}/")
        regular = stat.S_ISREG(entry.stat().st_mode)
    except FileNotFoundError as error:
        raise _dangling(where) from error
    except OSError as error:
        raise DataFault(f"{where} cannot be read: {error.strerror}; mend or remove it.") from error
    if not regular:
        raise DataFault(f"{where} is no plain file; remove it.")
    if file.size == 0:
        raise DataFault(f"{where} is an empty file; mend or remove it.")
    return file


def _dangling(where: str) -> DataFault:
    return DataFault(f"{where} is a link to a file that is not there; mend or remove it.")
