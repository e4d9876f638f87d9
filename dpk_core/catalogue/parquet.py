"""Pictures in Parquet files as Hugging Face writes them: a struct column {bytes, path} and a column of labels.

Which files and splits there are says `shards`, which columns and labels `label_columns`, and how the files' numberings
of classes become one `class_names`. Needs pyarrow, which the API can do without until such a data set is asked for.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.class_names import match_by_name
from dpk_core.catalogue.content import DataFile
from dpk_core.catalogue.label_columns import Columns, FileLabels, choose_columns, class_names, read_labels
from dpk_core.catalogue.shards import list_shards
from dpk_core.catalogue.survey import HeaderSummary
from dpk_core.display import is_text
from dpk_core.errors import DataFault

NO_LABEL = -1
"""How Hugging Face writes that a label is withheld; a test split of these alone is no test split for us."""

SURVEYED_ROWS = 100
"""Pictures at the beginning of each file whose headers are looked at in large data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetListing:
    """`labels` (int64) and `files` by split, rows in the order of files. Pictures are in the column `pictures`.

    `notes`: what is left out, and how labels were read where that is not obvious.
    """

    folder: Path
    pictures: str
    classes: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    labels: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...]

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """The files of all splits."""
        return tuple(file for files in self.files.values() for file in files)

    @property
    def folders(self) -> tuple[str, ...]:
        """Those that were looked into, by their path in `folder`; a file added or removed changes one of them."""
        inside = {f"{parent}/" for file in self.all_files for parent in PurePosixPath(file.name).parents[:-1]}
        return ("", "data/", *sorted(inside - {"data/"}))


def list_parquet(folder: Path) -> ParquetListing:
    """Reads footers and labels. Raises DataFault naming the file, and the row where there is one."""
    shards = list_shards(folder)
    files, notes = dict(shards.files), list(shards.notes)
    where = f"{folder.name}/{files['train'][0].name}"
    with _opened(folder, files["train"][0]) as first:
        columns = choose_columns(where, first.schema_arrow)
    if columns.note is not None:
        notes.append(columns.note)
    found = {split: [_labels(folder, file, columns) for file in members] for split, members in files.items()}
    if "test" in found and all((file.values == NO_LABEL).all() for file in found["test"]):
        del found["test"], files["test"]
        notes.append("The test files have no labels, so test pictures are held out of the training pictures.")
    for split, members in found.items():
        if not sum(len(file.values) for file in members):
            raise DataFault(f"{folder.name}/{files[split][0].name} holds no pictures.")
    matched = match_by_name(found)
    return ParquetListing(
        folder=folder, pictures=columns.pictures, classes=matched.classes, files=files, labels=matched.labels,
        notes=(*notes, *matched.notes),
    )  # fmt: skip


def survey_parquet(listing: ParquetListing) -> HeaderSummary:
    """Headers of the pictures at the beginning of each file, for large data."""
    # As with class folders: Pillow only where it is needed.
    from dpk_core.catalogue.headers import survey

    found = (row for split in listing.files for row in encoded_pictures(listing, split, SURVEYED_ROWS))
    return survey((name, io.BytesIO(content)) for name, content in found)


def encoded_pictures(listing: ParquetListing, split: str, most: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and encoded bytes of every picture of a split, in order; at most `most` of each file.

    Raises DataFault naming a row without bytes: a path alone is never followed.
    """
    for file in listing.files[split]:
        name, row = f"{listing.folder.name}/{file.name}", 0
        with _opened(listing.folder, file) as opened:
            batches = opened.iter_batches(batch_size=most or 256, columns=[listing.pictures])
            while (batch := _next(name, batches)) is not None:
                for content in batch.column(0).field("bytes"):
                    if not content.is_valid:
                        raise DataFault(f"{name}, row {row} holds no bytes of a picture.")
                    yield f"{name}, row {row}", content.as_py()
                    row += 1
                if most is not None:
                    break


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    """Raises DataFault, naming the file, for what pyarrow says about it inside, or when there is no pyarrow."""
    try:
        from pyarrow import ArrowException
    except ImportError as error:
        raise DataFault(f"{where} needs pyarrow, which is not installed here: install dpk-select[parquet].") from error
    try:
        yield
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise DataFault(f"{where} cannot be read as a Parquet file; mend or remove it.") from error


@contextlib.contextmanager
def _opened(folder: Path, file: DataFile) -> Iterator[Any]:
    path = folder / file.name
    with contextlib.ExitStack() as stack:
        with _readable(f"{folder.name}/{file.name}"):
            from pyarrow import parquet

            # pyarrow takes paths as UTF-8 only.
            source = path if is_text(str(path)) else stack.enter_context(path.open("rb"))
            opened = stack.enter_context(parquet.ParquetFile(source))
        yield opened


def _next(where: str, batches: Iterator[Any]) -> Any:
    with _readable(where):
        return next(batches, None)


def _labels(folder: Path, file: DataFile, columns: Columns) -> FileLabels:
    where = f"{folder.name}/{file.name}"
    with _opened(folder, file) as opened:
        schema = opened.schema_arrow
        if missing := {columns.pictures, columns.label} - set(schema.names):
            raise DataFault(f"{where} has no column {min(missing)}, which the first training file has.")
        with _readable(where):
            column = opened.read(columns=[columns.label]).column(0)
            return read_labels(where, column, class_names(where, schema, columns.label))
