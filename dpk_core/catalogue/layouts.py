"""Where the pictures of a data set lie in its folder: in split folders, in class folders alone, or beside a table.

| layout | what it is taken for |
|---|---|
| `train/<class>/…`, perhaps `val/…` and `test/…` | the splits; what they may be called says `split_names` |
| a table (`.csv`, `.tsv`) of file names and labels | what the table says, see `label_tables` |
| `<class>/…` with pictures directly inside, two or more | training pictures; the other splits are held out of them |

The first that fits is taken.

A single folder that holds all of this, or the class folders of a split, as archives unpack to, is gone into.
`__MACOSX` and hidden folders are passed over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.catalogue.split_names import EXPECTED, by_split, split_words
from dpk_core.catalogue.table_heads import table_files
from dpk_core.display import listed
from dpk_core.errors import DataFault

ARCHIVE_CLUTTER = "__MACOSX"
"""A folder that macOS adds to archives."""

DEEPEST = 3
"""Folders in folders that are gone into in search of a layout."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Names in a folder, sorted. Folders with a leading dot are not among them. `dangling`: links to nothing."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    dangling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FolderLayout:
    """`splits`: the folder of each split, as `inner/train/`; the empty name is the data set's own folder.

    `looked_into`: the folders that had to be looked into. `is_flat`: class folders without a split folder.
    """

    splits: dict[str, str]
    looked_into: tuple[str, ...]
    is_flat: bool = False


def entries(folder: Path) -> Entries:
    """What lies in a folder. Raises OSError."""
    folders, files, dangling = [], [], []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir():
                if entry.name[0] != "." and entry.name != ARCHIVE_CLUTTER:
                    folders.append(entry.name)
            elif entry.is_symlink() and not (folder / entry.name).exists():
                dangling.append(entry.name)
            else:
                files.append(entry.name)
    return Entries(tuple(sorted(folders)), tuple(sorted(files)), tuple(sorted(dangling)))


def base_folder(folder: Path) -> str:
    """The folder that holds the layout: the empty name, or `inner/` where that is all there is. Raises OSError."""
    base = ""
    for _ in range(DEEPEST):
        found = entries(folder / base)
        if len(found.folders) != 1 or split_words(found.folders[0]) or _tables(found):
            break
        inner = f"{base}{found.folders[0]}/"
        if not entries(folder / inner).folders and not _tables(entries(folder / inner)):
            break
        base = inner
    return base


def has_classes(folder: Path, base: str) -> bool:
    """Whether class folders with pictures lie directly in `base`; looks for one picture in each. Raises OSError."""
    found = entries(folder / base).folders
    if len(found) < 2 or any(split_words(name) for name in found):
        return False
    return all(_holds_a_picture(folder / base / name) for name in found)


def find_layout(folder: Path) -> FolderLayout:
    """The folder of each split. Raises DataFault saying what is there and what is expected; OSError."""
    base = base_folder(folder)
    looked_into = tuple(dict.fromkeys(("", *(f"{base[: end + 1]}" for end in range(len(base)) if base[end] == "/"))))
    inside = entries(folder / base).folders
    where = f"{folder.name}/{base}".rstrip("/")
    found = by_split(where, inside)
    if not found and has_classes(folder, base):
        return FolderLayout({"train": base}, looked_into, is_flat=True)
    if unknown := sorted(set(inside) - {name for names in found.values() for name in names}):
        raise DataFault(
            f"{where}/{unknown[0]} is the folder of no split ({EXPECTED}); rename or remove it. {where} holds the "
            f"folders {listed(list(inside))}."
        )
    for split, names in found.items():
        if len(names) > 1:
            raise DataFault(f"{where} has {names[0]} and {names[1]}, which both mean {split}; keep one of them.")
    if "train" not in found:
        said = f"only {listed(list(inside))}" if inside else "no folders at all"
        raise DataFault(f"{where} has no training folder ({EXPECTED}), {said}.")
    outer = {split: f"{base}{names[0]}/" for split, names in found.items()}
    splits = {split: _inner(folder, inside) for split, inside in outer.items()}
    return FolderLayout(splits, tuple(dict.fromkeys((*looked_into, *outer.values()))))


def _inner(folder: Path, inside: str) -> str:
    """The split's folder itself, or the single one in it where that holds the class folders: `seg_train/seg_train`."""
    found = entries(folder / inside)
    if len(found.folders) != 1 or any(ending(name) in ENDINGS for name in found.files):
        return inside
    only = f"{inside}{found.folders[0]}/"
    return only if len(entries(folder / only).folders) > 1 else inside


def _tables(found: Entries) -> bool:
    return bool(table_files(found.files))


def _holds_a_picture(folder: Path) -> bool:
    with os.scandir(folder) as found:
        return any(ending(entry.name) in ENDINGS and entry.name[0] != "." for entry in found)
