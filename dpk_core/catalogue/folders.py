"""Pictures in class folders: `train/<class>/*.jpg`, perhaps validation and test folders with the same classes.

This is the layout of torchvision's ImageFolder; what else is taken, and what the folders may be called, say `layouts`
and `split_names`. ImageNet's has `train/` and `val/` with synset folders (`n01440764`) and no labelled test pictures:
there `val/` is what the literature reports on, so it is the test split here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, sample
from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.catalogue.formats import EXPECTED as FORMATS
from dpk_core.catalogue.label_tables import list_tables
from dpk_core.catalogue.layouts import Entries, base_folder, entries, find_layout, has_classes
from dpk_core.catalogue.left_out import LeftOut
from dpk_core.catalogue.listing import FolderListing, dangling, picture_file
from dpk_core.catalogue.reading import DECLARATION
from dpk_core.catalogue.spelling import composed, spelling_notes
from dpk_core.catalogue.split_names import split_words
from dpk_core.catalogue.survey import HeaderSummary
from dpk_core.catalogue.table_heads import has_table
from dpk_core.display import shown
from dpk_core.errors import DataFault

SYNSET = re.compile(r"n\d{8}")


def folder_kind(folder: Path) -> str | None:
    """`imagenet` when all classes are synsets and only `train/` and `val/` have any, `folder` for other pictures in
    class folders or with a table of labels. None where there is neither. Raises OSError.
    """
    base = base_folder(folder)
    found = entries(folder / base)
    inside = found.folders
    if has_table(folder / base, found.files) or has_classes(folder, base):
        return "folder"
    training = next((name for name in inside if "train" in _splits(name)), None)
    if training is None:
        return None
    train = entries(folder / base / training)
    if not train.folders and any(name.endswith(".parquet") for name in train.files):
        return None
    synsets = bool(train.folders) and all(SYNSET.fullmatch(name) for name in train.folders)
    validated = any("validation" in _splits(name) for name in inside)
    tested = any("test" in _splits(name) and entries(folder / base / name).folders for name in inside)
    return "imagenet" if synsets and validated and not tested else "folder"


def list_folder(folder: Path, kind: str) -> FolderListing:
    """Every picture of the data set. Raises DataFault naming the folder that is empty, missing or not understood."""
    try:
        base = base_folder(folder)
        if kind == "folder" and not _has_class_folders(folder, base):
            for files in _files_of_tables(folder / base):
                if has_table(folder / base, files):
                    return list_tables(folder, base, files)
        return _list_classes(folder, kind)
    except OSError as error:
        raise DataFault(f"{folder.name}: {error.filename} cannot be listed: {error.strerror}.") from error


def survey_folder(listing: FolderListing) -> HeaderSummary:
    """Headers of the sample of large data."""
    # Pillow is loaded only where pictures are looked at: the API starts sooner without.
    from dpk_core.catalogue.headers import survey

    names = (file.name for file in sample(listing.pictures))
    return survey((f"{listing.folder.name}/{name}", listing.folder / name) for name in names)


def _splits(name: str) -> set[str]:
    return set(split_words(name).values())


def _has_class_folders(folder: Path, base: str) -> bool:
    """Whether class folders in split folders say the labels, so that a table beside them does not."""
    training = next((name for name in entries(folder / base).folders if "train" in _splits(name)), None)
    return training is not None and bool(entries(folder / base / training).folders)


def _files_of_tables(folder: Path) -> Iterator[tuple[str, ...]]:
    """Files among which tables may be: beside the pictures' folders, else in split folders."""
    found = entries(folder)
    yield found.files
    yield tuple(f"{name}/{file}" for name in found.folders if _splits(name) for file in entries(folder / name).files)


def _list_classes(folder: Path, kind: str) -> FolderListing:
    left_out, layout = LeftOut(), find_layout(folder)
    splits, notes = dict(layout.splits), []
    if layout.is_flat:
        notes.append(
            f"{folder.name} has no folders of splits, so the pictures of its class folders are all for training."
        )
    if kind == "imagenet":
        if "test" in splits:
            notes.append(shown(f"Left out: the folder {splits['test'].rstrip('/')}, which has no class folders."))
        splits = {"train": splits["train"], "test": splits["validation"]}
    found = {split: entries(folder / inside) for split, inside in splits.items()}
    classes = tuple(sorted({composed(name) for name in found["train"].folders}))
    listed = {split: _list_split(folder, splits[split], found[split], classes, left_out) for split in splits}
    for inside in set(layout.looked_into) - set(layout.splits.values()):
        # What else lies there, an archive or a script, nobody takes for pictures of the data set.
        for name in entries(folder / inside).files:
            if ending(name) in ENDINGS and name[0] != ".":
                left_out.add(inside.rstrip("/"), name)
    left_out.check(folder.name)
    notes += spelling_notes(name for inside in found.values() for name in inside.folders)
    members = (f"{inside}{name}" for split, inside in splits.items() for name in found[split].folders)
    return FolderListing(
        folder=folder,
        classes=classes,
        files={split: files for split, (files, _) in listed.items()},
        labels={split: labels for split, (_, labels) in listed.items()},
        left_out=left_out.kinds(),
        folders=tuple(dict.fromkeys((*layout.looked_into, *splits.values(), *members))),
        notes=tuple(notes),
    )


def _list_split(
    folder: Path, inside: str, found: Entries, classes: tuple[str, ...], left_out: LeftOut
) -> tuple[tuple[DataFile, ...], NDArray[np.int64]]:
    """`inside`: the split's folder as of `FolderLayout`, in which `found` lies."""
    where = f"{folder.name}/{inside}".rstrip("/")
    spelled: dict[str, list[str]] = {name: [] for name in classes}
    for name in found.folders:
        spelled.setdefault(composed(name), []).append(name)
    if strange := [name for names in list(spelled.values())[len(classes) :] for name in names]:
        raise DataFault(f"{where}/{strange[0]} is a class that {folder.name} has no training folder of.")
    if found.dangling:
        raise dangling(f"{where}/{found.dangling[0]}")
    for name in found.files:
        if not (inside == "" and name == DECLARATION):
            left_out.add(inside.rstrip("/"), name)
    files: list[DataFile] = []
    counts = np.zeros(len(classes), np.int64)
    for label, name in enumerate(classes):
        members = [file for each in spelled[name] for file in _pictures(folder, f"{inside}{each}", left_out)]
        files += members
        counts[label] = len(members)
    if not files:
        instead = left_out.in_folder(inside.rstrip("/"))
        raise DataFault(
            f"{where} holds no class folders with pictures{instead}. Pictures lie in {where}/<class>/, or a table "
            f"{folder.name}/labels.csv names their files and labels; add some or remove {inside.rstrip('/')}."
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
                members.append(picture_file(folder.name, f"{inside}/", entry))
            else:
                left_out.add(inside, entry.name)
    left_out.read[inside] = len(members)
    if not members:
        instead = left_out.in_folder(inside)
        raise DataFault(f"{folder.name}/{inside} holds no pictures ({FORMATS}){instead}; add some or remove it.")
    return sorted(members, key=lambda file: file.name)
