"""What a listing of class folders or of a table of labels comes to, and the files in it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, data_file
from dpk_core.catalogue.left_out import LeftOutKind
from dpk_core.errors import DataFault


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """`labels` (int64) and `files` by split, in the order of classes and names.

    `tables`: files that say the labels. `folders`: those that were looked into, by their path in `folder`; a file
    added or removed changes one of them. `notes`: how the files were read where that is not obvious.
    """

    folder: Path
    classes: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    labels: dict[str, NDArray[np.int64]]
    left_out: tuple[LeftOutKind, ...]
    folders: tuple[str, ...]
    tables: tuple[DataFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[DataFile, ...]:
        """The pictures of all splits."""
        return tuple(file for files in self.files.values() for file in files)

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """Every file that its content depends on."""
        return (*self.tables, *self.pictures)


def picture_file(name: str, inside: str, entry: os.DirEntry[str]) -> DataFile:
    """The picture behind an entry of the folder `inside` (its path in the data set `name`, with a slash, or empty).

    Raises DataFault when it is no plain file with something in it.
    """
    where = f"{name}/{inside}{entry.name}"
    try:
        file = data_file(entry, inside)
        regular = stat.S_ISREG(entry.stat().st_mode)
    except FileNotFoundError as error:
        raise dangling(where) from error
    except OSError as error:
        raise DataFault(f"{where} cannot be read: {error.strerror}; mend or remove it.") from error
    if not regular:
        raise DataFault(f"{where} is no plain file; remove it.")
    if file.size == 0:
        raise DataFault(f"{where} is an empty file; mend or remove it.")
    return file


def dangling(where: str) -> DataFault:
    """About a link to nothing."""
    return DataFault(f"{where} is a link to a file that is not there; mend or remove it.")
