"""Pictures in Parquet files as Hugging Face writes them: a struct column {bytes, path} and a column of labels.

The files lie in the data set's folder, or in its `data/`: `train*.parquet`, perhaps `validation*.parquet` and
`test*.parquet`. Needs pyarrow, which the API can do without until such a data set is asked for.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, data_file, is_large
from dpk_core.catalogue.splitting import check_labels
from dpk_core.errors import DataFault

if TYPE_CHECKING:
    from dpk_core.catalogue.headers import Survey

SPLITS = ("train", "validation", "test")
LABEL_COLUMNS = ("label", "labels", "fine_label")
NO_LABEL = -1
"""How Hugging Face writes that a label is withheld; a test split of these alone is no test split for us."""

SURVEYED_ROWS = 100
"""Pictures at the beginning of each file whose headers are looked at in large data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetListing:
    """`labels` (int64) and `files` by split, rows in the order of files. Pictures are in the column `pictures`."""

    folder: Path
    pictures: str
    classes: tuple[str, ...]
    files: dict[str, tuple[DataFile, ...]]
    labels: dict[str, NDArray[np.int64]]

    @property
    def all_files(self) -> tuple[DataFile, ...]:
        """The files of all splits."""
        return tuple(file for files in self.files.values() for file in files)


def parquet_files(folder: Path) -> dict[str, tuple[DataFile, ...]]:
    """The files of each split that is there, by listing alone; empty when the folder is no such data set."""
    inside = "data/" if (folder / "data").is_dir() else ""
    with os.scandir(folder / inside) as entries:
        shards = sorted(
            (data_file(entry, inside) for entry in entries if entry.name.endswith(".parquet")), key=lambda f: f.name
        )
    found = {split: tuple(f for f in shards if f.name.removeprefix(inside).startswith(split)) for split in SPLITS}
    return {split: files for split, files in found.items() if files}


def list_parquet(folder: Path) -> ParquetListing:
    """Reads footers and labels. Raises DataFault naming the file, and the row where there is one."""
    files = parquet_files(folder)
    if "train" not in files:
        raise DataFault(f"{folder.name} holds no train*.parquet.")
    first = _open(folder, files["train"][0])
    pictures, label, names = _columns(f"{folder.name}/{files['train'][0].name}", first.schema_arrow)
    labels = {split: [_labels(folder, file, pictures, label) for file in shards] for split, shards in files.items()}
    if "test" in labels and all((found == NO_LABEL).all() for found in labels["test"]):
        del labels["test"], files["test"]
    if names is None:
        largest = max((int(found.max()) for found in labels["train"] if len(found)), default=-1)
        names = tuple(str(number) for number in range(largest + 1))
    for split, shards in files.items():
        for file, found in zip(shards, labels[split], strict=True):
            check_labels(f"{folder.name}/{file.name}", found, len(names))
        if not sum(len(found) for found in labels[split]):
            raise DataFault(f"{folder.name}/{files[split][0].name} holds no pictures.")
    joined = {split: np.concatenate(found) for split, found in labels.items()}
    return ParquetListing(folder=folder, pictures=pictures, classes=names, files=files, labels=joined)


def survey_parquet(listing: ParquetListing) -> Survey:
    """Headers of all pictures, of large data those at the beginning of each file."""
    # As with class folders: Pillow only where it is needed.
    from dpk_core.catalogue.headers import survey

    most = SURVEYED_ROWS if is_large(listing.all_files) else None
    found = (row for split in listing.files for row in encoded_pictures(listing, split, most))
    return survey((name, io.BytesIO(content)) for name, content in found)


def encoded_pictures(listing: ParquetListing, split: str, most: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and encoded bytes of every picture of a split, in order; at most `most` of each file.

    Raises DataFault naming a row without bytes: a path alone is never followed.
    """
    for file in listing.files[split]:
        name, row = f"{listing.folder.name}/{file.name}", 0
        batches = _open(listing.folder, file).iter_batches(batch_size=most or 256, columns=[listing.pictures])
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
    except (OSError, ArrowException) as error:
        raise DataFault(f"{where} cannot be read as a Parquet file; mend or remove it.") from error


def _open(folder: Path, file: DataFile) -> Any:
    with _readable(f"{folder.name}/{file.name}"):
        from pyarrow import parquet

        return parquet.ParquetFile(folder / file.name)


def _next(where: str, batches: Iterator[Any]) -> Any:
    with _readable(where):
        return next(batches, None)


def _columns(where: str, schema: Any) -> tuple[str, str, tuple[str, ...] | None]:
    """The columns of pictures and of labels, and the names of the classes where Hugging Face's metadata has them."""
    from pyarrow import types

    structs = [field for field in schema if types.is_struct(field.type)]
    pictures = [field.name for field in structs if "bytes" in {part.name for part in field.type}]
    if not pictures:
        raise DataFault(f"{where} has no column of pictures; it must be a struct of bytes and path.")
    whole = [field.name for field in schema if types.is_integer(field.type)]
    label = next((name for name in LABEL_COLUMNS if name in whole), None)
    if label is None:
        if len(whole) != 1:
            raise DataFault(f"{where} has no whole-numbered column named {', '.join(LABEL_COLUMNS)}.")
        label = whole[0]
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    names = metadata.get("info", {}).get("features", {}).get(label, {}).get("names")
    return pictures[0], label, None if names is None else tuple(names)


def _labels(folder: Path, file: DataFile, pictures: str, label: str) -> NDArray[np.int64]:
    source, where = _open(folder, file), f"{folder.name}/{file.name}"
    if missing := {pictures, label} - set(source.schema_arrow.names):
        raise DataFault(f"{where} has no column {min(missing)}, which the first training file has.")
    with _readable(where):
        column = source.read(columns=[label]).column(0)
    if column.null_count:
        row = next(row for row, value in enumerate(column) if not value.is_valid)
        raise DataFault(f"{where}, row {row} has no label.")
    return np.asarray(column.to_numpy(), np.int64)
