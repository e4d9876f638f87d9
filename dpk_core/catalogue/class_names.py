"""Labels of several files brought to one numbering, by the names of the classes.

Each file may have numbered its classes for itself. The training files set the order: that of their ClassLabel lists,
else texts sorted, else numbers rising. Every other label is looked up there by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.label_columns import FileLabels
from dpk_core.catalogue.spelling import composed, spelling_notes
from dpk_core.catalogue.splitting import check_labels
from dpk_core.display import listed, shown
from dpk_core.errors import DataFault


@dataclass(frozen=True, slots=True)
class MatchedLabels:
    """`labels` (int64 places in `classes`) of each split, joined in the order of its files."""

    classes: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...]


def match_by_name(found: Mapping[str, Sequence[FileLabels]]) -> MatchedLabels:
    """One numbering for the files of all splits.

    Raises DataFault naming a file and row whose label is out of range or is no class of the training files.
    """
    spelled = spelling_notes(name for files in found.values() for file in files for name in file.names or ())
    found = {split: [_composed(file) for file in files] for split, files in found.items()}
    numbers = all(file.names is None for file in found["train"])
    named = {split: [_named(file, found) for file in files] for split, files in found.items()}
    names = list(dict.fromkeys(each for file in named["train"] for each in file.names or ()))
    if not any(file.declared for file in named["train"]):
        names.sort(key=lambda each: (int(each), each) if numbers else (0, each))
    places = {each: place for place, each in enumerate(names)}
    labels = {split: np.concatenate([_looked_up(file, places) for file in files]) for split, files in named.items()}
    return MatchedLabels(tuple(names), labels, (*spelled, *_notes(named, names)))


def _composed(file: FileLabels) -> FileLabels:
    return file if file.names is None else replace(file, names=tuple(composed(name) for name in file.names))


def _named(file: FileLabels, found: Mapping[str, Sequence[FileLabels]]) -> FileLabels:
    """The file with a name for each of its labels."""
    if file.names is None:
        declared = {other.names for files in found.values() for other in files if other.declared}
        if len(declared) > 1:
            raise DataFault(
                f"{file.where} numbers its classes without naming them, and other files name them differently; "
                "give it the names in Hugging Face's metadata (ClassLabel)."
            )
        if not declared:
            return _by_number(file)
        file = replace(file, names=declared.pop(), declared=True)
    assert file.names is not None
    check_labels(file.where, file.values, len(file.names))
    return file


def _by_number(file: FileLabels) -> FileLabels:
    """Plain numbers are their own names."""
    if len(negative := np.flatnonzero(file.values < 0)):
        row = negative[0]
        raise DataFault(f"{file.where}, row {row} has no label ({file.values[row]}); every picture needs one.")
    distinct, values = np.unique(file.values, return_inverse=True)
    return replace(file, names=tuple(str(number) for number in distinct.tolist()), values=values.astype(np.int64))


def _looked_up(file: FileLabels, places: Mapping[str, int]) -> NDArray[np.int64]:
    assert file.names is not None
    labels = np.array([places.get(name, -1) for name in file.names], np.int64)[file.values]
    if len(strange := np.flatnonzero(labels < 0)):
        row = strange[0]
        raise DataFault(
            f"{file.where}, row {row}: the class {file.names[file.values[row]]} is in no training file "
            f"(there: {listed(list(places))})."
        )
    return labels


def _notes(named: Mapping[str, Sequence[FileLabels]], names: list[str]) -> tuple[str, ...]:
    other = [file.where for files in named.values() for file in files if file.declared and file.names != tuple(names)]
    if not other:
        return ()
    return (shown(f"Classes are numbered differently in {listed(other)}; they were matched by their names."),)
