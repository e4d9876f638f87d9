"""Which files are tables of labels, by the first line of each: its separator, and the columns that it names.

A table is a file in UTF-8 that ends in one of `ENDINGS`, with commas, semicolons or tabs between its columns. Its
picture column is the first of `PICTURE_COLUMNS` that is there, its label column the first of `LABEL_COLUMNS`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from dpk_core.catalogue.formats import ending
from dpk_core.catalogue.label_columns import LABEL_COLUMNS
from dpk_core.display import listed, shown

ENDINGS = (".csv", ".tsv")
SEPARATORS = (",", ";", "\t")
PICTURE_COLUMNS = (
    "file_name", "filename", "file", "path", "filepath", "file_path", "image_path", "img_path", "image_name", "image",
    "img", "picture", "photo", "image_id", "id",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "set", "subset", "partition")

_LONGEST_HEAD = 2**16
"""Characters of a first line that are read."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its path from the folder with the data set's tables: its separator, and the names of its columns."""

    name: str
    separator: str
    picture: str
    label: str
    split: str | None


def table_files(names: tuple[str, ...]) -> list[str]:
    """Those that may be tables by their names."""
    return [name for name in names if ending(name) in ENDINGS and name.rpartition("/")[2][0] != "."]


def read_head(folder: Path, name: str) -> Table | None:
    """The table's columns; None where it is none. Raises OSError."""
    heads = _heads(folder / name) or {}
    for separator, head in heads.items():
        picture, label = _column(PICTURE_COLUMNS, head), _column(LABEL_COLUMNS, head)
        if picture is not None and label is not None:
            return Table(name, separator, picture, label, _column(SPLIT_COLUMNS, head))
    return None


def has_table(folder: Path, names: tuple[str, ...]) -> bool:
    """Whether one of the files is a table of labels. Raises OSError."""
    return any(read_head(folder, name) is not None for name in table_files(names))


def no_table(folder: Path, name: str) -> str:
    """Why a file that is called like one is no table of labels, as a sentence. Raises OSError."""
    heads = _heads(folder / name)
    if heads is None:
        return f"{shown(name)} is no table of labels: it is not in UTF-8."
    head = max(heads.values(), key=len)
    said = listed([each.strip() for each in head if each.strip()], 4) or "nothing"
    known = "pictures (as file_name)" if _column(PICTURE_COLUMNS, head) is None else ""
    if _column(LABEL_COLUMNS, head) is None:
        known += f"{' and none of ' if known else ''}labels (as label)"
    return f"{shown(name)} is no table of labels: its first line names no column of {known}, only {said}."


def _heads(path: Path) -> dict[str, list[str]] | None:
    """The names of the columns by separator; None where the file is not in UTF-8."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            line = stream.readline(_LONGEST_HEAD)
        return {each: next(csv.reader([line], delimiter=each), []) for each in SEPARATORS}
    except (UnicodeDecodeError, csv.Error):
        return None


def _column(known: tuple[str, ...], head: list[str]) -> str | None:
    return next((name for word in known for name in head if name.strip().lower() == word), None)
