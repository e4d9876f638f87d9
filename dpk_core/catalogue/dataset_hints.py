"""What to say when a data set is not there: where it was looked for, what is there and what is expected.

Folders whose names are not UTF-8 cannot be asked for, because a request is JSON; they are mentioned.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from dpk_core.catalogue.layouts import entries
from dpk_core.catalogue.table_heads import no_table, read_head, table_files
from dpk_core.display import is_text, listed, shown

LAYOUTS = {
    "npz": "{}.npz with the arrays x_train, y_train, x_test, y_test, classes",
    "folder": "{0}/train/<class>/<picture>, perhaps with val and test beside train, or {0}/<class>/<picture>, or a "
    "table {0}/labels.csv of file_name and label",
    "imagenet": "{0}/train/<synset>/<picture> and {0}/val/<synset>/<picture>",
    "parquet": "{0}/train*.parquet or {0}/data/train*.parquet, perhaps with validation* and test* beside train*",
    "boxes": "{0}/annotations/instances_train.json, {0}/train/_annotations.coco.json or {0}/data.yaml",
}
"""What each kind must look like under the data root."""


MOST_TABLES = 3


def nearest_first(name: str, names: Sequence[str]) -> list[str]:
    """Names by how near they are to another, those with the same stem first."""
    stem = name.rpartition("/")[2]
    near = difflib.get_close_matches(name, names, n=len(names), cutoff=0.0)
    return sorted(near, key=lambda other: other.rpartition("/")[2] != stem)


def no_such_data_set(name: str, near: Sequence[str], data_root: Path | None) -> str:
    """Sentences about a data set that is not there. `near`: those that are, nearest first."""
    found = f"There is no data set {name!r}"
    kind, _, stem = name.partition("/")
    if data_root is None:
        return f"{found}: DPK_DATA_ROOT is not set on the server, so only digits is there."
    where = f"DPK_DATA_ROOT (the folder {shown(data_root.name or str(data_root))})"
    try:
        root = entries(data_root)
    except OSError as error:
        return f"{found}: {where} cannot be read on the server: {error.strerror}."
    sentences = [f"{found} under {where}.", f"Data sets there: {listed(list(near))}."]
    if odd := [each for each in (*root.folders, *root.files) if not is_text(each)]:
        sentences.append(f"Names that are not UTF-8 cannot be asked for: {listed(odd)}; rename them.")
    if kind not in LAYOUTS:
        kinds = ", ".join(f"{each}/<name>" for each in LAYOUTS)
        return " ".join([*sentences, f"Names are digits, {kinds}, torchvision/cifar10 or torchvision/cifar100."])
    if other := next((each for each in near if stem and each.partition("/")[2] == stem), None):
        sentences[1:2] = [f"It is there as {other}."]
    elif stem in root.folders and kind != "npz":
        sentences[1:2] = [f"The folder {shown(stem)} {inside(data_root / stem)}.", *_no_tables(data_root / stem)]
    expected = LAYOUTS[kind].format(shown(stem) if stem and "/" not in stem else "<name>")
    return " ".join([*sentences, f"Expected: {expected}."])


def _no_tables(folder: Path) -> list[str]:
    """Why the folder's files that look like tables of labels are none, of the first few."""
    try:
        names = table_files(entries(folder).files)[:MOST_TABLES]
        return [no_table(folder, name) for name in names if read_head(folder, name) is None]
    except OSError:
        return []


def inside(folder: Path) -> str:
    """What a folder holds that is no data set of the kind asked for."""
    try:
        found = entries(folder)
    except OSError as error:
        return f"cannot be read on the server: {error.strerror}"
    if not found.folders and not found.files:
        return "is empty"
    parts = [
        f"{len(names)} {what}{'s' * (len(names) != 1)} ({listed(list(names), 3)})"
        for what, names in (("folder", found.folders), ("file", found.files))
        if names
    ]
    return f"holds {' and '.join(parts)}"
