"""Tables beside pictures that say their labels: `labels.csv`, or `train.csv` and `val.csv`, or `train/metadata.csv`.

What makes a file a table is said in `table_heads`. A row's picture is the file of that path from the table's folder,
else the only file of that name, with or without its ending. The split is the table's path, else a column of
`SPLIT_COLUMNS`, else all rows are training pictures. Classes are in the order of their names, numbers by size.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from dpk_core.catalogue.content import DataFile, file_state
from dpk_core.catalogue.formats import ENDINGS, ending
from dpk_core.catalogue.label_columns import LABEL_COLUMNS
from dpk_core.catalogue.left_out import NO_LABEL, LeftOut
from dpk_core.catalogue.listing import FolderListing, picture_file
from dpk_core.catalogue.spelling import composed, spelling_notes
from dpk_core.catalogue.split_names import KEYWORDS, by_split, split_words
from dpk_core.catalogue.table_heads import Table, read_head, table_files
from dpk_core.display import listed, shown
from dpk_core.errors import DataFault


def list_tables(folder: Path, base: str, files: tuple[str, ...]) -> FolderListing:
    """Every picture that the tables in `base` of a data set's `folder` name.

    Raises DataFault naming the row that cannot be understood, and when too many pictures have no row; OSError.
    """
    found = {name: read_head(folder / base, name) for name in table_files(files)}
    tables = [table for table in found.values() if table is not None]
    notes = [
        f"Left out: {shown(name)}, which has no column of labels ({', '.join(LABEL_COLUMNS)})."
        for name, table in found.items()
        if table is None
    ]
    pictures, looked_into = _all_pictures(folder, base)
    spelled, rows = _composed(_rows(folder, base, tables, pictures))
    notes += spelled
    if "train" not in rows:
        said = listed(list(rows)) or "nothing"
        raise DataFault(
            f"{folder.name}: the tables {listed([t.name for t in tables])} name {said}, but no training pictures."
        )
    classes = _in_order({label for label, _ in rows["train"].values()})
    for members in rows.values():
        for label, where in members.values():
            if label not in classes:
                raise DataFault(f"{where}: no training picture has the label {label}.")
    left_out = _without_rows(folder, rows, pictures)
    order = {label: place for place, label in enumerate(classes)}
    splits = [split for split in KEYWORDS if split in rows]
    sorted_rows = {split: sorted((order[label], name) for name, (label, _) in rows[split].items()) for split in splits}
    return FolderListing(
        folder=folder,
        classes=classes,
        files={split: tuple(pictures[name] for _, name in members) for split, members in sorted_rows.items()},
        labels={split: np.array([label for label, _ in members], np.int64) for split, members in sorted_rows.items()},
        left_out=left_out.kinds(),
        folders=looked_into,
        tables=tuple(file_state(folder, f"{base}{table.name}") for table in tables),
        notes=tuple(notes),
    )


def _all_pictures(folder: Path, base: str) -> tuple[dict[str, DataFile], tuple[str, ...]]:
    """Every picture file in the data set by its path, and the folders that were looked into."""
    found: dict[str, DataFile] = {}
    looked_into, waiting = [""], [base] if base else [""]
    visited: set[tuple[int, int]] = set()
    while waiting:
        inside = waiting.pop()
        status = (folder / inside).stat()
        if (status.st_dev, status.st_ino) in visited:
            # A link back to a folder above it, or a second one to the same.
            continue
        visited.add((status.st_dev, status.st_ino))
        looked_into.append(inside)
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                if entry.name[0] == ".":
                    continue
                if entry.is_dir():
                    waiting.append(f"{inside}{entry.name}/")
                elif ending(entry.name) in ENDINGS:
                    file = picture_file(folder.name, inside, entry)
                    found[file.name] = file
    return found, tuple(dict.fromkeys(looked_into))


def _rows(
    folder: Path, base: str, tables: list[Table], pictures: Mapping[str, DataFile]
) -> dict[str, dict[str, tuple[str, str]]]:
    """By split and file name, the label and the place that says it."""
    named = by_split(folder.name, [table.name for table in tables])
    of_table = {name: split for split, names in named.items() for name in names}
    if not named and len(tables) > 1:
        names = listed([table.name for table in tables])
        raise DataFault(f"{folder.name} has the tables {names}; keep one, or name each by its split, as train.csv.")
    lookup, rows = _Lookup(base, pictures), dict[str, dict[str, tuple[str, str]]]()
    seen: dict[str, str] = {}
    for table in tables:
        if named and table.name not in of_table:
            continue
        for where, row in _lines(folder, base, table):
            split = of_table.get(table.name) or _split(where, row, table)
            name = lookup.find(where, table, (row[table.picture] or "").strip(), split)
            if name in seen:
                raise DataFault(f"{where}: {name} has a row already, {seen[name]}; a picture has one label.")
            label = (row[table.label] or "").strip()
            if not label:
                raise DataFault(f"{where} has no label.")
            seen[name] = where
            rows.setdefault(split, {})[name] = label, where
    return rows


def _composed(
    rows: dict[str, dict[str, tuple[str, str]]],
) -> tuple[tuple[str, ...], dict[str, dict[str, tuple[str, str]]]]:
    """The rows with their labels in NFC, after a sentence about labels that were spelled in two ways."""
    notes = spelling_notes(label for members in rows.values() for label, _ in members.values())
    return notes, {
        split: {name: (composed(label), where) for name, (label, where) in members.items()}
        for split, members in rows.items()
    }


def _lines(folder: Path, base: str, table: Table) -> Iterator[tuple[str, dict[str, str | None]]]:
    where = f"{folder.name}/{base}{table.name}"
    try:
        with (folder / base / table.name).open(newline="", encoding="utf-8-sig") as stream:
            for number, row in enumerate(csv.DictReader(stream, delimiter=table.separator), 2):
                yield f"{where}, line {number}", row
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataFault(f"{where} cannot be read as CSV in UTF-8.") from error


def _split(where: str, row: Mapping[str, str | None], table: Table) -> str:
    if table.split is None:
        return "train"
    said = row[table.split] or ""
    splits = set(split_words(said).values())
    if len(splits) != 1:
        raise DataFault(f"{where}: {said!r} in the column {table.split} names no split; write train, val or test.")
    return splits.pop()


class _Lookup:
    """Finds the file that a row means."""

    def __init__(self, base: str, pictures: Mapping[str, DataFile]) -> None:
        self._base, self._pictures = base, pictures
        self._by_name: dict[str, list[str]] = {}
        for name in pictures:
            path = PurePosixPath(name)
            for key in {composed(path.name), composed(path.stem)}:
                self._by_name.setdefault(key, []).append(name)

    def find(self, where: str, table: Table, said: str, split: str) -> str:
        """The path of the picture in the data set. Raises DataFault where there is none or more than one."""
        beside = table.name[: table.name.rfind("/") + 1]
        path = f"{self._base}{beside}{said.removeprefix('./')}"
        if path in self._pictures:
            return path
        found = self._by_name.get(composed(said.rpartition("/")[2]), [])
        if "/" in said.removeprefix("./"):
            wanted = composed(f"/{said.removeprefix('./')}")
            found = [name for name in found if f"/{composed(name)}".endswith(wanted) or _without_ending(name, wanted)]
        # Kaggle's train/1.jpg and test/1.jpg are two pictures: the one in the split's folder is meant.
        if len(found) > 1:
            found = [name for name in found if split in split_words(name.rpartition("/")[0]).values()] or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise DataFault(f"{where}: there is no picture {said!r}; mend or remove the row.")
        raise DataFault(f"{where}: {said!r} may be {listed(sorted(found))}; write the path from the table's folder.")


def _without_ending(name: str, wanted: str) -> bool:
    return f"/{composed(str(PurePosixPath(name).with_suffix('')))}".endswith(wanted)


def _without_rows(folder: Path, rows: Mapping[str, Mapping[str, object]], pictures: Mapping[str, DataFile]) -> LeftOut:
    """Pictures that no row names. A folder that no row leads into, of test pictures say, is no reason to refuse."""
    left_out = LeftOut()
    labelled = {name for members in rows.values() for name in members}
    for name in labelled:
        left_out.read[name.rpartition("/")[0]] += 1
    unlabelled = [name for name in pictures if name not in labelled]
    inside = LeftOut(read=left_out.read.copy())
    for name in unlabelled:
        place, _, file = name.rpartition("/")
        left_out.add(place, file, NO_LABEL)
        if left_out.read[place]:
            inside.add(place, file, NO_LABEL)
    inside.check(folder.name)
    return left_out


def _in_order(labels: set[str]) -> tuple[str, ...]:
    """Names of classes; whole numbers by size."""
    try:
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    except ValueError:
        return tuple(sorted(labels))
