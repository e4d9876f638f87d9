"""Which columns of a Parquet file hold pictures and labels, and what the labels are; by stated rules, never a guess.

The label column is the first of `LABEL_COLUMNS` that is there; else the only one that Hugging Face's metadata calls a
ClassLabel; else the only column of whole numbers, text or truth values. The picture column is the only struct of bytes
and path, of several the first of `PICTURE_COLUMNS`. Where this leaves a choice, the file is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.display import listed
from dpk_core.errors import DataFault

LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "fine_label")
PICTURE_COLUMNS = ("image", "img", "picture", "photo")

EXACT = 2**53
"""Whole numbers below it are exact as floats."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of pictures and labels; `note` says how the labels were found where that is not obvious."""

    pictures: str
    label: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLabels:
    """The labels of one file: places in `names`, or plain numbers where `names` is None.

    `declared`: the names are those of Hugging Face's ClassLabel. Otherwise they are the texts that occur.
    """

    where: str
    values: NDArray[np.int64]
    names: tuple[str, ...] | None
    declared: bool


def choose_columns(where: str, schema: Any) -> Columns:
    """The columns of a pyarrow schema. Raises DataFault naming what is there."""
    from pyarrow import types

    nested = [field for field in schema if types.is_struct(field.type)]
    structs = [field.name for field in nested if field.type.get_field_index("bytes") >= 0]
    pictures = structs[0] if len(structs) == 1 else _first_known(PICTURE_COLUMNS, structs)
    if pictures is None:
        said = f"has the columns of pictures {listed(structs)}" if structs else "has no column of pictures"
        raise DataFault(f"{where} {said}; there must be one, a struct of bytes and path, named {PICTURE_COLUMNS[0]}.")
    others = [field for field in schema if field.name not in structs]
    names = [field.name for field in others]
    label, note = _first_known(LABEL_COLUMNS, names), None
    if label is None:
        declared = [name for name in names if class_names(where, schema, name) is not None]
        candidates = declared or [field.name for field in others if _can_be_label(field.type)]
        if len(candidates) != 1:
            said = f"several could be the label ({listed(candidates)})" if candidates else "no other could be the label"
            raise DataFault(f"{where} has no column named {', '.join(LABEL_COLUMNS)}, and {said}; rename it to label.")
        label = candidates[0]
        note = f"Labels are read from the column {label}: none is named {', '.join(LABEL_COLUMNS)}."
    elif rest := [name for name in names if name.lower() in LABEL_COLUMNS and name != label]:
        note = f"Labels are read from the column {label}, not from {listed(rest)}."
    return Columns(pictures, label, note)


def class_names(where: str, schema: Any, column: str) -> tuple[str, ...] | None:
    """The names that Hugging Face's metadata gives the numbers of a column; None where it gives none."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata.get("info", {}).get("features", {}).get(column, {}).get("names")
    except (ValueError, AttributeError, RecursionError):
        raise DataFault(f"{where} has metadata of Hugging Face that cannot be read; write the file again.") from None
    if names is None:
        return None
    if not isinstance(names, list):
        raise DataFault(f"{where} does not list the names of its classes; write the file again.")
    found = tuple(str(name) for name in names)
    if twice := next((name for name in found if found.count(name) > 1), None):
        raise DataFault(f"{where} names the class {twice} twice; every class needs a name of its own.")
    return found


def read_labels(where: str, column: Any, names: tuple[str, ...] | None) -> FileLabels:
    """The labels in a pyarrow column. Raises DataFault naming the row that has none, or none that can be used."""
    from pyarrow import types

    if column.null_count == len(column) > 0:
        return FileLabels(where=where, values=np.full(len(column), -1), names=names, declared=names is not None)
    if column.null_count:
        row = next(row for row, value in enumerate(column) if not value.is_valid)
        raise DataFault(f"{where}, row {row} has no label.")
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if _is_text(column.type):
        return _text(where, column)
    if types.is_boolean(column.type):
        values = column.to_numpy().astype(np.int64)
        return FileLabels(where=where, values=values, names=("false", "true"), declared=False)
    if types.is_floating(column.type):
        values = _whole(where, column.to_numpy().astype(np.float64))
    elif types.is_integer(column.type):
        values = np.asarray(column.to_numpy(), np.int64)
    else:
        raise DataFault(
            f"{where}: the label column holds values of type {column.type}; labels are numbers, text or truth values."
        )
    return FileLabels(where=where, values=values, names=names, declared=names is not None)


def _first_known(known: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of the known names that is there, in lower or upper case."""
    return next((name for word in known for name in sorted(names, reverse=True) if name.lower() == word), None)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _can_be_label(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _can_be_label(kind.value_type)
    return bool(types.is_integer(kind) or types.is_boolean(kind)) or _is_text(kind)


def _text(where: str, column: Any) -> FileLabels:
    coded = column.combine_chunks().dictionary_encode()
    names = tuple(coded.dictionary.to_pylist())
    values = coded.indices.to_numpy().astype(np.int64)
    if not all(name.strip() for name in names):
        row = next(row for row, value in enumerate(values) if not names[value].strip())
        raise DataFault(f"{where}, row {row} has an empty label.")
    return FileLabels(where=where, values=values, names=names, declared=False)


def _whole(where: str, values: NDArray[np.float64]) -> NDArray[np.int64]:
    wrong = np.flatnonzero(~((np.floor(values) == values) & (np.abs(values) < EXACT)))
    if len(wrong):
        raise DataFault(
            f"{where}, row {wrong[0]}: the label is {values[wrong[0]]:g}; numbers must be whole to be classes."
        )
    return values.astype(np.int64)
